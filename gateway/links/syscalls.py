"""The batched system calls in the speed that was asked for: compiled, or interpreted with GATEWAY_PURE=1.

A missing extension is an error, not a silent tenfold slowdown.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING or os.environ.get("GATEWAY_PURE") == "1":
    from ._syscalls_py import NextHopCache, Packet, Tun
    from ._xdp_py import Xdp
else:
    from ._syscalls import NextHopCache, Packet, Tun, Xdp

__all__ = ["NextHopCache", "Packet", "Tun", "Xdp"]
