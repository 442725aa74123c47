"""What a figure depends on: the machine, its kernel, the interpreter, the compiler, the commit."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

from bench import cores

ROOT = Path(__file__).parent.parent


def describe() -> dict[str, str]:
    return {
        "machine": f"{processor()}, {len(cores.CORES)} of {os.cpu_count()} cores, {memory()}",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "cython": importlib.metadata.version("cython"),
        "commit": commit(),
        "load before": load(),
    }


def load() -> str:
    """Of the last minute, whoever made it."""
    return f"{os.getloadavg()[0]:.2f}"


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return " ".join(line.split(":", 1)[1].split())
    return platform.machine()


def memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def commit() -> str:
    """The short commit, with a + when the tree differs from it."""
    try:
        name, changes = git("rev-parse", "--short", "HEAD"), git("status", "--porcelain", "-uno")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return name + ("+" if changes else "")


def git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
