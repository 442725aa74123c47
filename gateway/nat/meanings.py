"""What each verdict means, in one sentence, with its source: for `explain` and for docs/verdicts.md.

`python -m gateway.nat.meanings > docs/verdicts.md` writes the latter anew.
"""

from __future__ import annotations

from .verdict import NAMES, Verdict

MEANINGS: dict[int, tuple[str, str]] = {
    Verdict.ACCEPT: ("passed, translated or as it is", ""),
    Verdict.DROP_TRUNCATED: ("shorter than its own headers say", "RFC 791, 8200"),
    Verdict.DROP_BAD_VERSION: ("neither IPv4 nor IPv6, or an IPv4 header shorter than 20 bytes", "RFC 791"),
    Verdict.DROP_BAD_LENGTH: ("a length field contradicts what arrived", "RFC 768, 791"),
    Verdict.DROP_BAD_CHECKSUM: (
        "the IPv4 header's checksum, or that of an ICMP packet for us, is wrong",
        "RFC 1812 5.2.2",
    ),
    Verdict.DROP_BAD_HEADER: ("a header or an option contradicts itself", "RFC 791, 9293"),
    Verdict.DROP_SOURCE_ROUTE: (
        "routes by its sender's wish: LSRR, SSRR, IPv6 routing header of type 0 or with segments left",
        "RFC 7126, 5095, 8200 4.4",
    ),
    Verdict.DROP_EXTENSION_LIMIT: ("more IPv6 extension headers than anybody needs", "RFC 7045"),
    Verdict.DROP_NO_UDP_CHECKSUM: ("UDP over IPv6 without a checksum", "RFC 8200 8.1"),
    Verdict.DROP_TINY_FRAGMENT: ("a first fragment without its whole transport header", "RFC 1858, 3128"),
    Verdict.DROP_MAPPED_ADDRESS: ("an IPv6 header with an IPv4 address in it (::ffff:0:0/96)", "RFC 6890, 4942 2.2"),
    Verdict.ANSWER_ECHO: ("an echo request for the gateway itself, answered", "RFC 1122 3.2.2.6"),
    Verdict.HOLD_FRAGMENT: ("waits for its datagram's first fragment", "RFC 4787 REQ-14"),
    Verdict.LEAVE_TO_HOST: ("belongs to the host that shares this address", ""),
    Verdict.HAND_OVER: ("belongs to another worker, which judges it; counted here besides", ""),
    Verdict.DROP_SPOOFED_SOURCE: ("the source address is not behind the interface it came from", "RFC 2827"),
    Verdict.DROP_BOGON_SOURCE: ("the source address can be nobody's", "RFC 6890"),
    Verdict.DROP_BOGON_DESTINATION: ("the destination address can be nobody's", "RFC 6890"),
    Verdict.DROP_LAND: ("source and destination are the same", "CVE-1999-0016"),
    Verdict.DROP_MULTICAST: ("to a multicast address", "RFC 5135"),
    Verdict.DROP_LINK_SCOPE: ("an address or a message that must not leave its link or site", "RFC 4291, 4193, 4861"),
    Verdict.DROP_NOT_OURS: ("neither for an egress address nor for one behind the inside", ""),
    Verdict.DROP_UNSOLICITED: ("nobody inside asked for it", "RFC 4787 REQ-8"),
    Verdict.DROP_UNSOLICITED_SYN: ("a SYN nobody asked for: silence for 6 s, then port unreachable", "RFC 5382 REQ-4"),
    Verdict.DROP_FILTERED: ("for a mapping that exists, from a remote it does not admit", "RFC 4787 REQ-8"),
    Verdict.DROP_NOT_SYN: ("TCP without a flow, and no SYN alone", "RFC 7857 2"),
    Verdict.DROP_BAD_FLAGS: ("in a flow, a combination of TCP flags that no stack sends", "RFC 9293"),
    Verdict.DROP_OUT_OF_WINDOW: ("a TCP segment that does not fit its connection", "RFC 5961"),
    Verdict.DROP_UNTRANSLATABLE: (
        "a protocol without ports, towards a remote that another host speaks it with",
        "RFC 3022 4.3",
    ),
    Verdict.DROP_NO_EGRESS_ADDRESS: ("to be translated, and there is no egress address of its family", ""),
    Verdict.DROP_TABLE_FULL: ("no room for another flow; live ones are never evicted", "RFC 6888 REQ-11"),
    Verdict.DROP_PORTS_EXHAUSTED: ("no free port is left towards that destination", "RFC 6888 REQ-11"),
    Verdict.DROP_SOURCE_LIMIT: (
        "its source has as many flows or ports as it may, or opens them too fast",
        "RFC 6888 REQ-4",
    ),
    Verdict.DROP_ERROR_UNMATCHED: ("an ICMP error whose quote fits no flow", "RFC 5508 REQ-4"),
    Verdict.DROP_ERROR_MALFORMED: (
        "an ICMP error whose quote is cut too short, broken or an error itself",
        "RFC 5508 REQ-3",
    ),
    Verdict.DROP_ERROR_OUT_OF_WINDOW: (
        "an ICMP error quoting a sequence number that was not just sent",
        "RFC 5927 4.1",
    ),
    Verdict.DROP_FRAGMENT_OVERLAP: (
        "overlaps another fragment of its datagram: none of it passes; or repeats one",
        "RFC 5722, 8200",
    ),
    Verdict.DROP_FRAGMENT_LIMIT: ("too many fragments wait already, in all or from this source", "RFC 4787 REQ-14"),
    Verdict.DROP_FRAGMENT_TIMEOUT: ("the first fragment never came", "RFC 4787 REQ-14"),
    Verdict.DROP_FRAGMENT_REFUSED: ("a fragment of a datagram that was refused", ""),
    Verdict.DROP_TTL_EXCEEDED: ("its hops are used up, and nobody may be told", "RFC 1812 4.3.2.7"),
    Verdict.REJECT_TTL_EXCEEDED: ("its hops are used up: time exceeded", "RFC 1812 5.3.1"),
    Verdict.REJECT_TOO_BIG: (
        "larger than the other side's MTU: fragmentation needed or packet too big",
        "RFC 1191, 8200",
    ),
    Verdict.REJECT_PORTS_EXHAUSTED: (
        "no free port is left towards that destination: host unreachable",
        "RFC 6888 REQ-11",
    ),
    Verdict.REJECT_TABLE_FULL: ("no room for another flow: host unreachable", "RFC 6888 REQ-11"),
    Verdict.REJECT_SOURCE_LIMIT: (
        "its source has as many flows or ports as it may, or opens them too fast: host unreachable",
        "RFC 6888 REQ-4",
    ),
    Verdict.REJECT_NOT_SYN: ("TCP without a flow, and no SYN alone: reset", "RFC 9293 3.5.2"),
}


PREFACE = """# Verdicts

Every packet gets exactly one. The name is the counter (`gateway stats`), the metric's label and what `gateway
explain` says. `drop_` did not pass; `reject_` did not pass and its sender was told, as long as
`limits.icmpErrorsPerSecond` allows; the rest passed, were answered, or are the host's own. This page is written by
`python -m gateway.nat.meanings`.

| verdict | meaning | source |
|---|---|---|
"""


def table() -> str:
    """docs/verdicts.md."""
    return PREFACE + "".join(
        f"| `{name}` | {MEANINGS[verdict][0]} | {MEANINGS[verdict][1]} |\n" for verdict, name in sorted(NAMES.items())
    )


if __name__ == "__main__":
    print(table(), end="")
