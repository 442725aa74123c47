"""What the gateway reads and changes in the kernel, by netlink and /proc/sys.

Changed: the TUN's addresses and state, rules and routes that bring the pods' packets into it, forwarding,
ARP and ND for the egress addresses, an ingress drop behind the packet socket, reserved ports. Every change is
recorded before it is made and undone in reverse: at exit, or at the next start when the owner was killed.
Read: interfaces, routes, neighbours, the ports the host listens on.
"""

from .attach import Attached, HostError, Plan, attach

__all__ = ["Attached", "HostError", "Plan", "attach"]
