"""Every port of an external address is used, and what comes then is refused and told; one end makes room for one."""

import pytest

from bench import engine, exhaustion


@pytest.mark.skipif(not engine.is_compiled(), reason="a quarter of a million flows: interpreted it takes minutes")
@pytest.mark.parametrize("protocol", ["udp", "tcp"])
@pytest.mark.parametrize("family", [4, 6])
def test_64512_flows_of_one_address_to_one_destination(family, protocol):
    """RFC 6888 REQ-11, RFC 4787 REQ-3. `demonstrate` counts the ports and reads the errors; `scripts/bench exhaustion`
    prints its figures."""
    took = exhaustion.demonstrate(family, protocol)
    assert list(took) == ["50 % full", "90 % full", "99 % full", "100 % full", "refused, sender told"]
