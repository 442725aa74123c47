"""A run's figures become a part of the page and a picture."""

from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

from bench import page, picture
from bench.results import GATEWAY, KERNEL, Results


def run() -> picture.Document:
    results = Results({"machine": "one & only, 2 cores", "kernel": "Linux 6"})
    for path, values in ((GATEWAY, [300, 100, 200]), (KERNEL, [400, 400, 400])):
        for value in values:
            results.add("on links", "udp 1", "kpps", path, value)
    results.add("beside others", "udp 1", "kpps", "pasta", 20)
    results.add("beside others", "udp 1", "kpps", KERNEL, 200)
    results.note("something\nwas left out")
    return json.loads(json.dumps(results.as_json()))  # type: ignore[no-any-return]


def test_figures_go_between_the_marks_and_replace_older_ones() -> None:
    given = f"before\n{page.BEGIN}\nOUTDATED\n{page.END}\nafter\n"
    once = page.into(given, run())
    assert once.startswith("before\n") and once.endswith("\nafter\n") and "OUTDATED" not in once
    assert "| udp 1, kpps | 200 (100-300) | 400 (400-400) |" in once
    assert "| udp 1, this gateway: at least 0.6 of kernel nftables | 0.50 | no |" in once
    assert "- something was left out" in once
    assert page.into(once, run()) == once
    with pytest.raises(ValueError, match="lacks"):
        page.into("no marks", run())


def test_every_data_path_is_drawn_beside_the_kernel_of_its_own_section() -> None:
    assert picture.shares(run()) == {"udp 1": {GATEWAY: 0.5, "pasta": 0.1}}
    drawn = ElementTree.fromstring(picture.draw(run()))
    words = [one.text for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"0.50", "0.10", "pasta", "small UDP, 1 flow", "one & only, 2 cores, Linux 6"} <= set(words)


def test_a_run_without_the_kernel_has_no_picture() -> None:
    with pytest.raises(ValueError, match="kernel"):
        picture.draw(Results({}).as_json())


def test_the_page_in_the_repository_has_a_place_for_figures() -> None:
    assert "| udp 1, kpps |" in page.into(page.PAGE.read_text(), run())
