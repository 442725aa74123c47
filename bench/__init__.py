"""How fast the gateway is, beside the kernel's own NAT and a forwarder that translates nothing.

`scripts/bench` runs it. Every figure comes with the figures of its peers from the same run, taken in turns:
on a machine that does other things too, only the ratios mean anything.
"""

import os

HOT = ("pass_on", "lookups")

if os.environ.get("GATEWAY_PURE") == "1":
    from gateway import twin

    for _name in HOT:  # compiled, they need the gateway compiled
        twin.interpret(f"{__name__}.{_name}", __path__)
