"""What the cases say: packets between A (a pod), S (a remote) and E (the egress address), in few words."""

from collections.abc import Callable

from gateway.testing import Simulator
from gateway.wire import build, tcp
from tests.worlds import A4, A6, E4, E6, HOSTS, S4, S6, back, out

ACK, FIN, PSH, RST, SYN, URG = tcp.ACK, tcp.FIN, tcp.PSH, tcp.RST, tcp.SYN, 0x20
INSIDE_GATEWAY, OUTSIDE_GATEWAY = {4: "192.168.0.1", 6: "fd00:10:244::1"}, {4: "198.51.100.1", 6: "2001:db8:e::1"}
Make = Callable[..., Simulator]

OPEN_UDP = {"nat": {"mapping": {"udp": "EndpointIndependent"}, "filtering": {"udp": "EndpointIndependent"}}}
OPEN_TCP = {"nat": {"mapping": {"tcp": "EndpointIndependent"}, "filtering": {"tcp": "EndpointIndependent"}}}


def outside(mtu: int) -> dict[str, object]:
    """The outside of the tests' world with another MTU."""
    return {"driver": "memory", "addresses": ["198.51.100.1/24", "2001:db8:e::1/64"], "mtu": mtu}


def inside(mtu: int) -> dict[str, object]:
    return {"driver": "memory", "addresses": ["192.168.0.1/16", "fd00:10:244::1/64"], "mtu": mtu}


def asked(family: int = 4, payload: bytes = b"question", port: int = 40000, remote_port: int = 53) -> bytes:
    """A pod's UDP datagram."""
    internal, remote, _ = HOSTS[family]
    return build.udp_datagram(internal, port, remote, remote_port, payload)


def replied(family: int = 4, payload: bytes = b"answer", port: int = 40000, remote_port: int = 53) -> bytes:
    """The remote's answer to it."""
    _, remote, external = HOSTS[family]
    return build.udp_datagram(remote, remote_port, external, port, payload)


def sent(flags: int, sequence: int, acknowledgement: int = 0, payload: bytes = b"", options: bytes = b"",
         window: int = 64240, family: int = 4) -> bytes:
    """A pod's TCP segment."""
    internal, remote = (A4, S4) if family == 4 else (A6, S6)
    return build.tcp_segment(internal, 40000, remote, 80, payload, flags=flags, sequence=sequence % 2**32,
                             acknowledgement=acknowledgement % 2**32, options=options, window=window)


def answered(flags: int, sequence: int, acknowledgement: int = 0, payload: bytes = b"", options: bytes = b"",
             window: int = 64240, family: int = 4) -> bytes:
    """The remote's."""
    remote, external = (S4, E4) if family == 4 else (S6, E6)
    return build.tcp_segment(remote, 80, external, 40000, payload, flags=flags, sequence=sequence % 2**32,
                             acknowledgement=acknowledgement % 2**32, options=options, window=window)


def established(sim: Simulator, options: bytes = b"", family: int = 4) -> Simulator:
    """A connection whose next bytes are 1001 from inside and 5001 from outside."""
    out(sim, sent(SYN, 1000, options=options, family=family))
    back(sim, answered(SYN | ACK, 5000, 1001, options=options, family=family))
    out(sim, sent(ACK, 1001, 5001, family=family))
    return sim


def state(sim: Simulator) -> str:
    """Of the only flow."""
    [flow] = sim.flows()
    return str(flow.state)


def summed(packet: bytes) -> bytes:
    """An IPv4 packet with its header checksum computed anew."""
    size = (packet[0] & 15) * 4
    return (packet[:10] + build.checksum(packet[:10] + b"\0\0" + packet[12:size]).to_bytes(2, "big") + packet[12:])


def changed(packet: bytes, at: int, *values: int) -> bytes:
    """With other bytes at an offset, and IPv4's header checksum right again."""
    new = packet[:at] + bytes(values) + packet[at + len(values) :]
    return summed(new) if new[0] >> 4 == 4 else new
