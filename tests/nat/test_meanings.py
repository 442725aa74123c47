"""Every verdict is explained, once, and the page that lists them is the one the code writes."""

from pathlib import Path

from gateway.nat.meanings import MEANINGS, table
from gateway.nat.verdict import NAMES
from gateway.testing import Simulator
from gateway.wire import build
from tests.worlds import A4, E4, S4, world


def test_every_verdict_has_a_meaning() -> None:
    assert set(MEANINGS) == set(NAMES)


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "verdicts.md"
    assert page.read_text() == table(), "write it anew: python -m gateway.nat.meanings > docs/verdicts.md"


def test_a_query_s_identifier_is_not_a_change_of_destination() -> None:
    told = Simulator(world(), seed=1).explain(build.icmp_message(A4, S4, 8, 0, bytes([0, 9, 0, 1])))
    assert told["source"] == {"from": f"{A4}:9", "to": f"{E4}:9"} and told["destination"] is None
    crowded = Simulator(world(nat={"portRange": "40000-40001"}), seed=1)
    told = crowded.explain(build.icmp_message(A4, S4, 8, 0, bytes([0, 9, 0, 1])))
    assert told["translated"] and told["source"]["from"] == f"{A4}:9" and told["destination"] is None
