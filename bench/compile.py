"""Compiles the benchmarks' own hot modules in place when their sources changed; setup.py has none of it."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
SOURCES = ["traffic.pyx", "pass_on.py", "null_rounds.pyx", "lookups.py"]
STAMP = ROOT / "build" / "bench.stamp"


def fingerprint() -> str:
    """Of all that the compiled modules are made from, the gateway's declarations included: layouts are compiled in."""
    files = [*HERE.glob("*.pxd"), *(HERE / source for source in SOURCES), Path(__file__),
             ROOT / "gateway/wire/sides.py", *(ROOT / "gateway").rglob("*.pxd")]
    digest = hashlib.sha256(sys.version.encode())
    for path in sorted(files):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def compiled() -> bool:
    return STAMP.exists() and STAMP.read_text() == fingerprint() and all(
        list(HERE.glob(f"{Path(source).stem}.*.so")) for source in SOURCES)


def ensure() -> None:
    """Compile if anything changed. In a process of its own, since Cython changes how this one compiles."""
    STAMP.parent.mkdir(exist_ok=True)
    with STAMP.with_suffix(".lock").open("w") as lock:  # tests may run side by side
        fcntl.flock(lock, fcntl.LOCK_EX)
        if compiled():
            return
        print("compiling the benchmarks' own senders", file=sys.stderr)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "GATEWAY_PURE": "0"}
        done = subprocess.run([sys.executable, "-m", "bench.compile"], cwd=ROOT, env=environment, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            sys.exit(done.stdout)
        importlib.invalidate_caches()
        STAMP.write_text(fingerprint())


def build() -> None:
    """As setup.py builds the gateway: the same directives and the same flags."""
    from Cython.Build import cythonize
    from setuptools import Extension, setup

    spec = importlib.util.spec_from_file_location("gateway_setup", ROOT / "setup.py")
    assert spec is not None and spec.loader is not None
    ours = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(ours)
    ours.write_declarations()
    modules = [Extension(f"bench.{Path(source).stem}", [f"bench/{source}"],
                         extra_compile_args=["-O3", "-fno-strict-aliasing"]) for source in SOURCES]
    setup(ext_modules=cythonize(modules, compiler_directives=ours.DIRECTIVES, force=True),
          script_args=["-q", "build_ext", "--inplace"])


if __name__ == "__main__":
    build()
