"""Real tools through the real gateway: every claim holds, and docs/behaviour.md shows what they were asked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.testing.namespaces import FOLDER, missing
from labs.behaviour import Family, all_families, family
from labs.behaviour.__main__ import CLOSING, HEADING, OPENING, PAGE, main, written
from labs.behaviour.ground import SECOND
from labs.behaviour.report import Report, trim, without

BOOTSTRAP = (Path(__file__).parents[2] / "scripts" / "bootstrap").read_text()
FAMILIES = {one.name: one for one in all_families()}
absent = family.missing(FAMILIES.values())
together = pytest.mark.skipif(
    missing() is not None or bool(absent),
    reason=str(missing() or f"these are not installed (scripts/behaviour --install): {', '.join(absent)}"))


def a_report() -> Report:
    report = Report("one", "One tool")
    report.say("It says:")
    report.check("water is wet", True)
    report.check("fire is cold", False, "it is hot")
    return report


def networks() -> set[Path]:
    """The second router is in this network and in no other."""
    return set(FOLDER.glob("gw-transit-*"))


@pytest.fixture(scope="module")
def before() -> set[Path]:
    return networks()


@pytest.fixture(scope="module")
def reports(before: set[Path]) -> dict[str, Report]:
    """All families at once, as the script runs them: most of their time is waiting for what must not come."""
    return {report.name: report for report in family.run(FAMILIES.values())}


@together
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", FAMILIES)
def test_what_the_tools_report_is_so(name: str, reports: dict[str, Report]) -> None:
    assert reports[name].checks and not reports[name].failed


@together
@pytest.mark.parametrize("name", FAMILIES)
def test_the_page_shows_what_they_were_asked(name: str, reports: dict[str, Report]) -> None:
    page = PAGE.read_text()
    assert [command for command in reports[name].commands if f"\n{command}\n" not in page] == []


@together
def test_nothing_stays_behind(before: set[Path], reports: dict[str, Report]) -> None:
    assert networks() <= before
    running = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in running if line.startswith(b"turnserver") and SECOND[0].encode() in line]


def test_bootstrap_installs_every_tool() -> None:
    for package in family.PACKAGES.values():
        assert re.search(rf":{package}\b", BOOTSTRAP), package


def test_a_family_that_breaks_off_fails_and_keeps_what_it_saw() -> None:
    def look(report: Report) -> None:
        report.check("it began", True)
        raise RuntimeError("the cable was cut")

    report = Family("short", "Short", (), look).run()
    assert len(report.checks) == 2
    assert report.failed == [("it ran to its end, without RuntimeError: the cable was cut", "")]


def test_a_failed_claim_says_what_was_seen_instead() -> None:
    assert a_report().failed == [("fire is cold", "it is hot")]
    assert a_report().markdown() == "### One tool\n\nIt says:\n\n- water is wet\n- **FAILED** fire is cold"


def test_output_is_trimmed_but_not_changed() -> None:
    assert trim("a  \n\n  b\n") == "a\n  b"
    assert without("^--")("-- x\ny\n") == "y"


def test_a_section_is_written_between_its_marks() -> None:
    page = written("# Title\n\nFirst.\n", [a_report()])
    assert page.startswith(f"# Title\n\nFirst.\n\n{OPENING}\n\n{HEADING}\n\n### One tool")
    assert written(page, [a_report()]) == page and page.endswith(f"{CLOSING}\n")


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch,
                                                  capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(family, "present", lambda tool: tool != "mtr")
    monkeypatch.setattr("sys.argv", ["behaviour", "routes"])
    assert main() == 1
    assert capsys.readouterr().err == (
        "missing: mtr. scripts/behaviour --install installs them, or: apt-get install mtr-tiny\n")
