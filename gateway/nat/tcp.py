"""TCP as a middlebox sees it: states, and whether a segment fits the conversation it claims to belong to.

The states follow RFC 7857 section 2 and RFC 5382; the window rules are those of Guido van Rooij, "Real
Stateful TCP Packet Filtering": a segment is believed when its bytes lie in the window that the other side
announced and its acknowledgement covers bytes that the other side sent. A RST is believed only at the
exact next sequence number (RFC 5961), so that nobody who merely guesses a window can end a flow.
"""

from __future__ import annotations

from ..wire import bits, order, sides, tcp
from ..wire.batch import Batch
from ..wire.packet import Packet
from . import row, state
from .table import FlowTable
from .verdict import Verdict

_S, _R, _B, _E, _F, _C, _X = (state.SYN_SENT, state.SYN_RECEIVED, state.SYN_ANSWERED, state.ESTABLISHED,
                              state.FIN_WAIT, state.CLOSING, state.RESET)
_N, _A = state.NONE, state.RESTART

# Rows: what arrives. Columns: the state it arrives in. A cell: the state from then on. FIN leads to
# CLOSING instead of FIN_WAIT once the other side has closed too. Columns NEW and ACTIVE are not TCP's.
GRID = {
    sides.ORIGINAL: {  # none new act  S   R   B   E   F   C   X
        state.SYN:       (_A, _N, _N, _A, _A, _A, _E, _F, _A, _A),  # sent again; port reuse after the end
        state.SYN_ACK:   (_N, _N, _N, _S, _B, _B, _E, _F, _C, _X),  # simultaneous open
        state.ACK:       (_E, _N, _N, _S, _E, _E, _E, _F, _C, _E),  # adopted; data after a RST: it was not believed
        state.FIN:       (_F, _N, _N, _S, _F, _F, _F, _F, _C, _X),
    },
    sides.REPLY: {
        state.SYN:       (_N, _N, _N, _R, _R, _B, _E, _F, _C, _X),  # simultaneous open
        state.SYN_ACK:   (_N, _N, _N, _R, _R, _E, _E, _F, _C, _X),
        state.ACK:       (_N, _N, _N, _S, _R, _E, _E, _F, _C, _E),  # in S: a half-open peer's, which the sender resets
        state.FIN:       (_N, _N, _N, _S, _F, _F, _F, _F, _C, _X),
    },
}  # fmt: skip


def after(one: int, other: int) -> bool:
    """Whether sequence number `one` lies after `other` (RFC 9293 section 3.4)."""
    return (one - other - 1) & bits.M32 < state.HALF


class Tracker:
    """Steps the TCP state of a flow's row by the packet that has just been parsed.

    flow8, flow32: that row, by 1 and 4 bytes. It is checked once, by `step`, and every other method but `stretch` and
    `clamp` belongs to a step.
    """

    def __init__(self, table: FlowTable, packet: Packet, batch: Batch) -> None:
        self.packet, self.r8, self.r32 = packet, table.r8, table.r32
        cells = [GRID[direction][event][column] for direction in (sides.ORIGINAL, sides.REPLY)
                 for event in range(state.EVENTS) for column in range(state.STATES)]
        self.grid = memoryview(bytearray(cells))
        self.bind(batch)

    def bind(self, batch: Batch) -> None:
        """Read segments of this batch from now on."""
        self.u32 = batch.u32

    def step(self, base: int, direction: int) -> int:
        """Step row `base` by the packet; returns ACCEPT or why the packet does not belong."""
        self.flow8 = order.span8(self.r8, base * row.BYTES, row.BYTES)
        self.flow32 = order.span32(self.r32, base * row.QUADS, row.QUADS)
        flags = self.packet.tcp_flags
        plain = flags & (tcp.SYN | tcp.RST | tcp.FIN | tcp.ACK) == tcp.ACK
        if plain and self.flow8[row.STATE] == state.ESTABLISHED and not self.flow8[row.FLAGS] & row.REBORN:
            return self.go_on(direction)
        if flags & tcp.RST:
            return Verdict.DROP_BAD_FLAGS if flags & tcp.SYN else self.reset(direction)
        if flags & tcp.SYN:
            if flags & tcp.FIN:
                return Verdict.DROP_BAD_FLAGS
            event = state.SYN_ACK if flags & tcp.ACK else state.SYN
        elif not flags & tcp.ACK:
            return Verdict.DROP_BAD_FLAGS
        else:
            event = state.FIN if flags & tcp.FIN else state.ACK
        present = self.flow8[row.STATE]
        following = self.grid[(direction * state.EVENTS + event) * state.STATES + present]
        self.read(direction)
        if following == state.RESTART:
            return self.restart(present)
        if present == state.SYN_SENT and event == state.ACK:
            return self.challenge(direction)
        if self.is_half_open(present, direction, event):
            return Verdict.ACCEPT
        reborn = self.flow8[row.FLAGS] & row.REBORN != 0
        if reborn and event >= state.ACK and self.begins_anew(direction):
            present = state.NONE
            following = self.grid[event * state.STATES + present]
        if present == state.NONE:  # adopted mid-stream: the scale agreed on is unknown, so the widest is assumed
            self.flow8[row.TCP_SCALE] = tcp.WINDOW_SCALE_MAX << 4 | tcp.WINDOW_SCALE_MAX
            self.window <<= tcp.WINDOW_SCALE_MAX
        if event == state.SYN_ACK and direction == sides.REPLY and present <= state.SYN_ANSWERED:
            self.believe()
        if not self.fits(direction):
            return Verdict.DROP_OUT_OF_WINDOW
        if event <= state.SYN_ACK and state.SYN_SENT <= present <= state.SYN_ANSWERED:
            self.agree_scale(direction)
        self.slide(direction)
        if present == state.RESET and event == state.ACK and self.is_from_inside(direction):
            self.flow32[(1 - direction) * row.TCP_STRIDE + row.TCP_END] = self.acknowledgement  # a challenge (RFC 5961)
        if event == state.FIN:
            following = self.close(direction, following)
        self.flow8[row.STATE] = following
        return Verdict.ACCEPT

    def go_on(self, direction: int) -> int:
        """What most segments do in an ESTABLISHED conversation: `step` comes to the same, by way of the grid."""
        self.read(direction)
        if not self.fits(direction):
            return Verdict.DROP_OUT_OF_WINDOW
        self.slide(direction)
        return Verdict.ACCEPT

    def is_half_open(self, present: int, direction: int, event: int) -> bool:
        """Whether one end has forgotten the conversation that the other still holds (RFC 9293 section 3.5.1).

        Its SYN, and the answer that makes it reset (`challenge`), pass and change nothing: whoever drops one of them
        leaves that port unusable until the old flow's time is up. So does the SYN-ACK of a peer that has forgotten it
        too.
        """
        if event == state.SYN_ACK:
            return direction == sides.REPLY and self.flow8[row.FLAGS] & row.REBORN != 0
        passes = (event == state.SYN and direction == sides.ORIGINAL
                  and (present == state.ESTABLISHED or present == state.FIN_WAIT))
        if passes and self.flow8[row.ARRIVES_ON] == sides.INSIDE:
            self.flow8[row.FLAGS] |= row.REBORN
        return passes

    def challenge(self, direction: int) -> int:
        """An ACK in answer to a SYN, whose numbers nobody can judge: the SYN's sender resets whoever sent it.

        It keeps no flow alive, and carries no data.
        """
        if direction == sides.REPLY and self.following != self.sequence:
            return Verdict.DROP_OUT_OF_WINDOW
        return state.PASSES

    def begins_anew(self, direction: int) -> bool:
        """Whether a host that was REBORN goes on with another conversation: then that one is adopted.

        Only those inside are trusted with this. If it goes on with the old one, its SYN was an old one too.
        """
        if direction == sides.REPLY:
            return False
        self.flow8[row.FLAGS] &= ~row.REBORN & 0xFF
        if self.fits(direction):
            return False
        self.flow8[row.FLAGS] &= row.USED | row.MAPPED | row.MAPPING_HEAD
        self.flow8[row.TCP_WINDOW] = 0
        self.flow8[row.TCP_WINDOW + 1] = 0
        self.flow8[row.TCP_SCALE] = state.UNSCALED << 4 | state.UNSCALED
        self.read(direction)
        return True

    def read(self, direction: int) -> None:
        """The segment's numbers; `window` scaled as agreed."""
        at = self.packet.transport
        words = order.span32(self.u32, at >> 2, tcp.HEADER >> 2)
        self.sequence = order.swap32(words[tcp.SEQUENCE >> 2])
        self.acknowledgement = order.swap32(words[tcp.ACKNOWLEDGEMENT >> 2])
        fourth = order.swap32(words[tcp.DATA_OFFSET >> 2])  # the header's length, flags, window
        self.window = fourth & bits.M16
        length = self.packet.end - at - (fourth >> 28 << 2)
        if self.packet.tcp_flags & (tcp.SYN | tcp.FIN):
            length += 1
        self.following = (self.sequence + length) & bits.M32
        scale = self.flow8[row.TCP_SCALE]
        if not self.packet.tcp_flags & tcp.SYN and scale & 15 != state.UNSCALED and scale >> 4 != state.UNSCALED:
            self.window <<= scale >> (direction << 2) & 15

    def restart(self, present: int) -> int:
        """A SYN that begins a conversation: the first, one sent again, or one that reuses the port.

        Whether a reused port's sequence number lies far enough ahead (RFC 9293 section 3.6.1) is for the peer to
        say: it may have forgotten the old conversation long ago.
        """
        if self.is_sent_again(present):
            if present == state.SYN_SENT:
                self.flow8[row.TCP_SCALE] = self.offered_scale() | state.UNSCALED << 4
            self.slide(sides.ORIGINAL)
            return Verdict.ACCEPT
        flags = self.flow8[row.FLAGS] & (row.USED | row.MAPPED | row.MAPPING_HEAD | row.KNOCKING)
        self.flow8[row.FLAGS] = flags | row.WINDOW_KNOWN
        self.flow8[row.STATE] = state.SYN_SENT
        self.flow8[row.TCP_SCALE] = self.offered_scale() | state.UNSCALED << 4
        self.flow8[row.TCP_WINDOW] = 0
        self.flow8[row.TCP_WINDOW + 1] = 0
        self.begin(sides.ORIGINAL)
        return Verdict.ACCEPT

    def is_sent_again(self, present: int) -> bool:
        """Whether a SYN is the one before, now with the data of a Fast Open or without (RFC 7413 section 4.2.2)."""
        unanswered = state.SYN_SENT <= present <= state.SYN_ANSWERED
        return unanswered and (self.flow32[row.TCP_END] - 1 - self.sequence) & bits.M32 <= state.FAST_OPEN_MOST

    def believe(self) -> None:
        """A SYN-ACK that acknowledges exactly what was sent is the peer's, whatever seemed to be before it.

        So a forged SYN, or the answer of a peer that keeps no state for a SYN (SYN cookies), blocks nobody.
        """
        if self.acknowledgement == self.flow32[row.TCP_END]:
            self.flow8[row.TCP_WINDOW + sides.REPLY] = 0

    def begin(self, direction: int) -> None:
        """The first segment of a direction sets its numbers."""
        own = direction * row.TCP_STRIDE
        other = self.reach(1 - direction)
        self.flow32[own + row.TCP_END] = self.following
        self.flow32[own + row.TCP_MAX_END] = (self.following + (1 << other)) & bits.M32
        self.slide(direction)

    def reach(self, direction: int) -> int:
        """log2 of the largest window seen from this direction; of an adopted flow, the largest there is."""
        if self.flow8[row.FLAGS] & row.WINDOW_KNOWN:
            return self.flow8[row.TCP_WINDOW + direction]
        return state.WIDEST

    def fits(self, direction: int) -> bool:
        """Whether the segment lies in the window, and acknowledges what was sent. A new direction begins here."""
        own, peer = direction * row.TCP_STRIDE, (1 - direction) * row.TCP_STRIDE
        own_window, peer_window = self.flow8[row.TCP_WINDOW + direction], self.flow8[row.TCP_WINDOW + (1 - direction)]
        known = self.flow8[row.FLAGS] & row.WINDOW_KNOWN != 0
        if peer_window != 0 and self.packet.tcp_flags & tcp.ACK:
            lag = max(1 << (own_window if known else state.WIDEST), state.MAX_ACK_WINDOW)
            end = self.flow32[peer + row.TCP_END]
            if (known and after(self.acknowledgement, end)) or after((end - lag) & bits.M32, self.acknowledgement):
                return False
        if own_window == 0:
            self.begin(direction)
            return True
        reach = peer_window if known else state.WIDEST
        oldest = (self.flow32[own + row.TCP_END] - (1 << reach) - 1) & bits.M32
        return not after(self.sequence, self.flow32[own + row.TCP_MAX_END]) and not after(oldest, self.following)

    def slide(self, direction: int) -> None:
        """Note how far the sender has got, and how far it lets the peer go."""
        own, peer = direction * row.TCP_STRIDE, (1 - direction) * row.TCP_STRIDE
        at = row.TCP_WINDOW + direction
        if after(self.following, self.flow32[own + row.TCP_END]):
            self.flow32[own + row.TCP_END] = self.following
        size = self.flow8[at]
        if size == 0 or self.window >> size != 0:
            size = 1
            while self.window >> size != 0:
                size += 1
            self.flow8[at] = size
        if self.packet.tcp_flags & tcp.ACK:
            if after(self.acknowledgement, self.flow32[peer + row.TCP_END]):  # adopted: now what was sent before is
                self.flow32[peer + row.TCP_END] = self.acknowledgement
            edge = (self.acknowledgement + self.window + 1) & bits.M32  # one more: a full window is probed
            if after(edge, self.flow32[peer + row.TCP_MAX_END]) or self.flow8[row.TCP_WINDOW + (1 - direction)] == 0:
                self.flow32[peer + row.TCP_MAX_END] = edge

    def stretch(self, base: int, direction: int, following: int) -> None:
        """A segment that came in fragments reaches further: the first of them could not say how far."""
        at = base * row.QUADS + direction * row.TCP_STRIDE + row.TCP_END
        if after(following, self.r32[at]):
            self.r32[at] = following

    def close(self, direction: int, following: int) -> int:
        """One FIN keeps the established timer, both start the closing one (RFC 7857 section 2)."""
        flags = self.flow8[row.FLAGS] | (row.FIN_REPLY if direction else row.FIN_ORIGINAL)
        self.flow8[row.FLAGS] = flags
        both = row.FIN_ORIGINAL | row.FIN_REPLY
        return state.CLOSING if flags & both == both and following == state.FIN_WAIT else following

    def reset(self, direction: int) -> int:
        """A RST is passed on only at the exact next sequence number, or in answer to the SYN just sent."""
        self.read(direction)
        own, peer = direction * row.TCP_STRIDE, (1 - direction) * row.TCP_STRIDE
        if self.flow8[row.TCP_WINDOW + direction] != 0:
            believed = self.sequence == self.flow32[own + row.TCP_END]
        elif self.flow8[row.TCP_WINDOW + (1 - direction)] != 0:
            believed = bool(self.packet.tcp_flags & tcp.ACK) and self.acknowledgement == self.flow32[peer + row.TCP_END]
        else:
            believed = True
        if not believed:
            return Verdict.ACCEPT if self.is_for_peer(direction) else Verdict.DROP_OUT_OF_WINDOW
        if self.flow8[row.STATE] != state.CLOSING:  # which data after a RST must not restore
            self.flow8[row.STATE] = state.RESET
        return Verdict.ACCEPT

    def is_for_peer(self, direction: int) -> bool:
        """Whether a RST that is not believed passes all the same, changes nothing, and is the peer's to judge.

        A SYN's sender answers so a peer that took it for another. A host that has forgotten the connection resets
        at the last acknowledgement it got (RFC 9293 section 3.5.2), which may lie below what it sent, and one whose
        data was lost on the way here resets above what we saw; only those inside are trusted that far.
        """
        if direction == sides.ORIGINAL and self.flow8[row.STATE] == state.SYN_SENT:
            return True
        own = direction * row.TCP_STRIDE
        end = self.flow32[own + row.TCP_MAX_END]
        oldest = (self.flow32[own + row.TCP_END] - (1 << self.reach(1 - direction))) & bits.M32
        return self.is_from_inside(direction) and not after(self.sequence, end) and not after(oldest, self.sequence)

    def is_from_inside(self, direction: int) -> bool:
        return self.flow8[row.ARRIVES_ON + direction * row.ARRIVES_STRIDE] == sides.INSIDE

    def agree_scale(self, direction: int) -> None:
        """Window scale counts when both SYNs offer it (RFC 7323 section 2.2)."""
        kept = self.flow8[row.TCP_SCALE] & state.UNSCALED << ((1 - direction) << 2)
        self.flow8[row.TCP_SCALE] = kept | self.offered_scale() << (direction << 2)

    def offered_scale(self) -> int:
        """The window scale option of a SYN, state.UNSCALED if it has none."""
        at = self.find_option(tcp.OPTION_WINDOW_SCALE, 3)
        return min(self.packet.load8(at + 2), tcp.WINDOW_SCALE_MAX) if at else state.UNSCALED

    def clamp(self, limit: int) -> None:
        """Lower a SYN's maximum segment size to `limit`; 0 for no limit (RFC 4459 section 3.2)."""
        at = self.find_option(tcp.OPTION_MSS, 4)
        if at != 0 and limit != 0 and self.packet.load16(at + 2) > limit:
            self.packet.patch16(at + 2, limit)

    def find_option(self, wanted: int, length: int) -> int:
        """Where a TCP option of that length is; 0 if the segment has none."""
        at = self.packet.transport + tcp.HEADER
        end = self.packet.transport + (self.packet.load8(self.packet.transport + tcp.DATA_OFFSET) >> 4 << 2)
        while at + 1 < end:
            option = self.packet.load8(at)
            if option == tcp.OPTION_NOP:
                at += 1
                continue
            size = self.packet.load8(at + 1)
            if option == tcp.OPTION_END or size < 2 or at + size > end:
                break
            if option == wanted and size == length:
                return at
            at += size
        return 0
