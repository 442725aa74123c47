"""Where bytes come from and go to: TUN, AF_PACKET, memory, and wrappers that capture or disturb.

A link fills a batch and sends a batch; it knows nothing of translation. The batched system calls are the one
compiled file that is not plain Python: `_syscalls.pyx`, with `_syscalls_py.py` as its stand-in.
"""

from .link import Link, LinkError, LinkStatistics, NextHopSource

__all__ = ["Link", "LinkError", "LinkStatistics", "NextHopSource"]
