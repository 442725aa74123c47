"""The shape of the program: which room may import which, and how large a file and a function may grow."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = {
    "wire": set(),
    "match": {"wire.bits"},  # word masks
    "nat": {"wire", "match"},
    "resources": {"match", "wire.address"},
    "links": set(),
    "host": set(),
    "runtime": {"wire", "match", "nat", "resources", "links", "host"},
    "testing": {"wire", "match", "nat", "resources", "links", "host", "runtime", "twin"},
    "cli": {"runtime", "resources", "testing"},
}
COMPILED = ("wire", "match", "nat")
OPERATING_SYSTEM = {"asyncio", "fcntl", "io", "logging", "os", "pathlib", "random", "secrets", "select", "signal",
                    "socket", "subprocess", "threading", "time", "uvloop"}
FILE_LINES, FUNCTION_LINES = 350, 50
SOURCES = sorted((ROOT / "gateway").rglob("*.py"))
OURS = [path for folder in ("gateway", "labs", "tests") for path in sorted((ROOT / folder).rglob("*.py"))]


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(path: Path) -> set[str]:
    """Absolute names of what a file imports, wherever in it; names imported from a package are taken for modules."""
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            name = ".".join(part for part in (base, node.module) if part)
            found |= {f"{name}.{alias.name}" for alias in node.names}
    return found


def cimported(path: Path) -> set[str]:
    """What a `.pxd` declares that it needs, of ours."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {f"{words[1]}.{words[3]}" for words in lines if words[:1] == ["from"] and words[2:3] == ["cimport"]}


def forbidden(names: set[str], room: str) -> set[str]:
    """Those of our own modules among `names` that a room may not use."""
    ours = {name.removeprefix("gateway.") for name in names if name.startswith("gateway.")}
    allowed = ROOMS[room] | {room, "__version__"}
    return {name for name in ours if not any(name == one or name.startswith(f"{one}.") for one in allowed)}


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_between_rooms_go_one_way(room):
    wrong = {}
    for path in sorted((ROOT / "gateway" / room).rglob("*.p*")):
        names = cimported(path) if path.suffix == ".pxd" else imported(path) if path.suffix == ".py" else set()
        if found := forbidden(names, room):
            wrong[path.name] = found
    assert not wrong


@pytest.mark.parametrize("room", COMPILED)
def test_the_packet_path_knows_no_clock_device_log_or_randomness(room):
    """Law 1: packets, the time and the seed are arguments."""
    wrong = {path.name: used for path in (ROOT / "gateway" / room).glob("*.py")
             if (used := {name.split(".")[0] for name in imported(path)} & OPERATING_SYSTEM)}
    assert not wrong


@pytest.mark.parametrize("room", COMPILED)
def test_the_packet_path_imports_relatively_so_that_its_twins_can_be_loaded(room):
    wrong = [path.name for path in (ROOT / "gateway" / room).glob("*.py")
             for node in ast.walk(ast.parse(path.read_text()))
             if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").startswith("gateway")]
    assert not wrong


def test_no_source_imports_cython_and_no_package_imports_scapy():
    wrong = {module_of(path): used for path in SOURCES
             if (used := {name.split(".")[0] for name in imported(path)} & {"cython", "Cython", "scapy"})}
    assert not wrong


def test_files_and_functions_stay_small():
    wrong = []
    for path in OURS:
        text = path.read_text()
        if text.count("\n") > FILE_LINES:
            wrong.append(f"{path.relative_to(ROOT)}: {text.count(chr(10))} lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                size = (node.end_lineno or 0) - node.lineno + 1
                if size > FUNCTION_LINES:
                    wrong.append(f"{path.relative_to(ROOT)}: {node.name} has {size}")
    assert not wrong


def test_no_module_has_a_name_that_says_nothing():
    nothing = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert not [str(path) for path in OURS if path.stem in nothing or path.parent.name in nothing]


def test_every_module_says_first_what_belongs_in_it():
    assert not [module_of(path) for path in SOURCES if not ast.get_docstring(ast.parse(path.read_text()))]


def test_every_hot_module_is_compiled_where_it_was_built():
    """A build that left one out would pass every other test, slowly."""
    built = {path.name.split(".")[0] for path in (ROOT / "gateway").rglob("*.so")}
    if not built:
        pytest.skip("nothing is built here")
    import gateway.nat.verdict  # a constants module: plain Python, its .pxd written by setup.py

    interpreted = {path.stem for path in (ROOT / "gateway").rglob("*.pxd")
                   if path.read_text().startswith(("# Written by setup.py", "# What C has already"))}
    hot = {path.stem for path in (ROOT / "gateway").rglob("*.pxd")} - interpreted
    assert hot <= built and gateway.nat.verdict.__file__.endswith(".py")


def test_ruff_is_content():
    pytest.importorskip("ruff")
    command = [sys.executable, "-m", "ruff", "check", "--quiet", "--output-format", "concise", "gateway", "tests"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
