"""Other people's tools through the real gateway: what they report is checked, and shown in docs/behaviour.md.

The project's own tests see the gateway with the project's own eyes; these see it with coturn's, nmap's and the
others'. One file a family of tools; `ground` is the network they run in, `report` what is shown and checked.
"""

from labs.behaviour.family import Family

__all__ = ["Family", "all_families"]


def all_families() -> list[Family]:
    """Every family, in the order in which to read them."""
    from labs.behaviour import probes, routes, scans, shrinking, sizes, stun

    return [stun.FAMILY, routes.FAMILY, sizes.FAMILY, shrinking.FAMILY, probes.FAMILY, scans.FAMILY]
