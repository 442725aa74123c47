"""A source-NAT egress gateway in user space that speaks Calico's resources.

The packet path (`wire`, `match`, `nat`) is compiled when installed. GATEWAY_PURE=1 runs the same files
interpreted instead, to be stepped through and covered.
"""

import os

__version__ = "0.1.0"

if os.environ.get("GATEWAY_PURE") == "1":
    from . import twin

    twin.interpret(__name__, __path__)
