"""Compiles the packet path.

Every module with a `.pxd` beside it is compiled with Cython; everything else stays Python. Constants
live in plain `.py` files (CONSTANTS below): their `.pxd`, a C enum of the same names, is written here,
so that each number stands in one place. GATEWAY_PURE=1 compiles nothing.
"""

import importlib.util
import os
import sys
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).parent
CONSTANTS = [
    "gateway/wire/bits.py",
    "gateway/wire/ethernet.py",
    "gateway/wire/fault.py",
    "gateway/wire/icmp.py",
    "gateway/wire/ipv4.py",
    "gateway/wire/ipv6.py",
    "gateway/wire/kind.py",
    "gateway/wire/protocol.py",
    "gateway/wire/sctp.py",
    "gateway/wire/sides.py",
    "gateway/wire/tcp.py",
    "gateway/wire/udp.py",
    "gateway/wire/vnet.py",
    "gateway/match/decision.py",
    "gateway/match/node.py",
    "gateway/nat/account.py",
    "gateway/nat/bounds.py",
    "gateway/nat/record.py",
    "gateway/nat/row.py",
    "gateway/nat/state.py",
    "gateway/nat/verdict.py",
]
GIVEN = ["gateway/wire/order.py", "gateway/nat/prefetch.py"]  # what C has already: the `.pxd` says where
# One memory is read in views of 1, 2, 4 and 8 bytes: the compiler must not assume that they never overlap.
# The compiler stops inlining when a file has grown by so many percent, and Cython's own code, most of each file, uses
# that up before the packet path has its turn.
FLAGS = ["-O3", "-g0", "-fno-strict-aliasing",
         "--param=inline-unit-growth=1000", "--param=max-inline-insns-single=1000"]
SANITIZE = os.environ.get("GATEWAY_SANITIZE", "").split()  # flags for compiler and linker, given by scripts/sanitize
DIRECTIVES = {
    "language_level": 3,
    "annotation_typing": False,
    "boundscheck": True,
    "wraparound": False,
    "cdivision": True,
    "initializedcheck": False,
    "embedsignature": True,
}


def constants(path: Path) -> dict[str, int]:
    """The upper-case integers of a module: its own, or the members of its IntEnum."""
    module = importlib.import_module(".".join(path.with_suffix("").parts))
    enums = [value for value in vars(module).values() if isinstance(value, type) and issubclass(value, int)
             and value.__module__ == module.__name__]
    names = dict(enums[0].__members__) if enums else vars(module)
    return {name: int(value) for name, value in names.items() if name.isupper() and isinstance(value, int)}


def declare(path: Path) -> str:
    """The `.pxd` text of a constants module. Macros, because a C enum holds 32 bits and an address word 64."""
    stem = path.stem.upper()
    values = constants(path)
    macros = "".join(f"    #define GATEWAY_{stem}_{name} {value:#x}{'ULL' if value >> 31 else ''}\n"
                     for name, value in values.items())
    wide = "".join(f'    const unsigned long long {name} "GATEWAY_{stem}_{name}"\n'
                   for name, value in values.items() if value >> 31)
    small = "".join(f'        {name} "GATEWAY_{stem}_{name}"\n' for name, value in values.items() if not value >> 31)
    small = f"    enum:\n{small}" if small else ""
    return f'# Written by setup.py from {path.name}.\ncdef extern from *:\n    """\n{macros}    """\n{small}{wide}'


def write_declarations() -> None:
    sys.path.insert(0, str(ROOT))
    os.environ["GATEWAY_PURE"] = "1"  # what is read here must not depend on what is built here
    for name in CONSTANTS:
        target, text = (ROOT / name).with_suffix(".pxd"), declare(Path(name))
        if not target.exists() or target.read_text() != text:
            target.write_text(text)


def extensions() -> list[Extension]:
    if os.environ.get("GATEWAY_PURE") == "1":
        return []
    write_declarations()
    from Cython.Build import cythonize

    declared = {Path(name).with_suffix(".pxd") for name in CONSTANTS + GIVEN}
    hot = [path.relative_to(ROOT) for path in sorted((ROOT / "gateway").rglob("*.pxd"))]
    sources = [path.with_suffix(".py") for path in hot if path not in declared and path.with_suffix(".py").exists()]
    sources += [path.relative_to(ROOT) for path in sorted((ROOT / "gateway").rglob("*.pyx"))]
    return cythonize(
        [Extension(".".join(path.with_suffix("").parts), [str(path)], extra_compile_args=FLAGS + SANITIZE,
                   extra_link_args=SANITIZE)
         for path in sources],
        compiler_directives=DIRECTIVES, nthreads=os.cpu_count() or 1,
    )


if __name__ == "__main__":
    os.chdir(ROOT)
    setup(ext_modules=extensions(), options={"build_ext": {"parallel": os.cpu_count()}})
