"""Labs: small networks built in namespaces, with a real gateway, real clients and checks. One file a lab.

`gateway lab` lists and runs them. A lab opens with its drawing; the rest of its file is what the reader sees happen:
`world` builds the network, `servers` and `clients` talk through it, `tap` watches both ends, `story` tells it.
"""

from labs.lab import Lab, Unable

__all__ = ["Lab", "Unable", "all_labs"]


def all_labs() -> list[Lab]:
    """Every lab, in the order in which to read them."""
    from labs import bridge, nat_outgoing, no_nat_ranges, pool_switch, public_pool

    return [nat_outgoing.LAB, no_nat_ranges.LAB, public_pool.LAB, pool_switch.LAB, bridge.LAB]
