"""Every verdict is explained, once, and the page that lists them is the one the code writes."""

from pathlib import Path

from gateway.nat.meanings import MEANINGS, table
from gateway.nat.verdict import NAMES


def test_every_verdict_has_a_meaning() -> None:
    assert set(MEANINGS) == set(NAMES)


def test_the_page_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "verdicts.md"
    assert page.read_text() == table(), "write it anew: python -m gateway.nat.meanings > docs/verdicts.md"
