"""Every step of the decision on one packet, in words. The real decider and opener are asked; the flow they
open is closed again, so nothing changes.
"""

from __future__ import annotations

from typing import Any

from ..match import decision
from ..wire import address, bits, fault, ipv4, kind, protocol, sides, vnet
from ..wire.batch import Batch
from . import flow, record, row
from .meanings import MEANINGS
from .translator import Translator
from .verdict import NAMES, Verdict

ARRIVING = {sides.INSIDE: "arriving inside", sides.OUTSIDE: "arriving outside",
            sides.ACROSS: "as another worker sends it on, for the mapping it goes through is this one's"}
LEAVING = {sides.INSIDE: "on the inside", sides.OUTSIDE: "on the outside",
           sides.ACROSS: "to the worker whose mapping it goes through"}


class Explanation:
    """Collects the steps; `result` is what `gateway explain -o json` prints."""

    def __init__(self, translator: Translator, side: int, now: int) -> None:
        self.translator, self.engine, self.side, self.now = translator, translator.engine, side, now
        self.steps: list[dict[str, str]] = []
        self.source: dict[str, str] | None = None
        self.destination: dict[str, str] | None = None
        self.pool: str | None = None
        self.excluded_by: str | None = None
        self.leaves, self.sent = sides.NOWHERE, b""

    def step(self, stage: str, says: str) -> None:
        self.steps.append({"stage": stage, "says": says})

    def result(self, verdict: Verdict) -> dict[str, Any]:
        self.step("verdict", MEANINGS[verdict][0])
        passed = verdict == Verdict.ACCEPT
        return {"verdict": NAMES[verdict], "translated": passed and self.source is not None,
                "source": self.source if passed else None, "destination": self.destination if passed else None,
                "pool": self.pool, "excluded_by": self.excluded_by, "policy": None, "steps": self.steps}

    def run(self, packet: bytes) -> dict[str, Any]:
        engine = self.engine
        batch = Batch(1)
        batch.append(packet, bytes(vnet.HEADER))
        before, identifiers = engine.batch, bytes(engine.identifiers.counters)
        engine.bind(batch)
        engine.records.now, engine.decider.handed = self.now, False
        try:
            result = self.result(self.judge(batch))
            self.leaves, self.sent = batch.out[0], batch.packet(0)
            return result
        finally:
            engine.bind(before)
            engine.identifiers.counters[:] = memoryview(identifiers).cast("I")

    def judge(self, batch: Batch) -> Verdict:
        engine, cursor = self.engine, self.engine.packet
        wrong = cursor.parse(batch.start[0], batch.length[0], False)
        if wrong != fault.NONE:
            return Verdict(wrong)
        name = flow.PROTOCOLS.get(cursor.protocol, str(cursor.protocol))
        self.step("packet", f"{name} from {self.end(0)} to {self.end(1)}, {ARRIVING[self.side]}")
        tick = self.now >> row.TICK_SHIFT & bits.M32
        if cursor.kind == kind.LINK:
            return Verdict.DROP_LINK_SCOPE
        if cursor.kind == kind.ERROR:
            self.step("packet", "an ICMP error: judged by the flow of the packet it quotes")
            return self.translator.errors.translate(0, self.side, tick)  # no error changes a flow
        if cursor.fragment & ipv4.OFFSET_MASK:
            self.step("packet", "a later fragment: what becomes of it is decided by the first one of its datagram")
            return Verdict.HOLD_FRAGMENT
        sought = (cursor.source_high, cursor.source_low, cursor.destination_high, cursor.destination_low,
                  self.side << row.LABEL_SIDE | cursor.protocol << row.LABEL_PROTOCOL | cursor.ports)
        found = engine.table.find(*sought, tick)
        if found:
            self.step("flow", f"belongs to flow {flow.identify(engine, found >> 1)}, as it began")
            self.show(found >> 1, found & 1)
            return self.rehearse(found >> 1, tick)
        self.step("flow", "none yet: this packet would begin one")
        return self.judge_new(engine.table.key(*sought), tick)

    def judge_new(self, key: int, tick: int) -> Verdict:
        engine = self.engine
        engine.decider.decide(self.side)
        self.describe_pools()
        with engine.rehearsal():
            found = engine.opener.open(self.side, key, tick, self.may_be_cut())
            if not found:
                verdict = Verdict(engine.opener.verdict)
                return Verdict.REJECT_TOO_BIG if verdict is Verdict.SLOW else verdict
            self.show(found >> 1, 0)
            verdict = self.rehearse(found >> 1, tick)
            engine.end(found >> 1, record.ENDED, 0)
            return verdict

    def rehearse(self, base: int, tick: int) -> Verdict:
        """Send the packet on its way through flow `base`, which is put back to what it was before."""
        engine = self.engine
        words = engine.table.r64[base * row.WORDS : (base + 1) * row.WORDS]
        before, flags = bytes(words), base * row.BYTES + row.FLAGS
        with engine.rehearsal():
            verdict = Verdict(engine.pass_on(0, self.side, tick, engine.packet.fragment != 0))
            if engine.flow != base:  # a hairpin that leads nowhere has ended, and another begun
                self.show(engine.flow, 0)
                engine.end(engine.flow, record.ENDED, 0)
        head = engine.table.r8[flags] & row.MAPPING_HEAD  # its entries in the index may have become this row's
        words[:] = memoryview(before).cast("Q")
        engine.table.r8[flags] = engine.table.r8[flags] & ~row.MAPPING_HEAD & 0xFF | head
        if verdict is Verdict.SLOW:  # larger than the other side's MTU
            return Verdict.ACCEPT if self.may_be_cut() else Verdict.REJECT_TOO_BIG
        return verdict

    def may_be_cut(self) -> bool:
        cursor = self.engine.packet
        return cursor.family == 4 and not cursor.load16(cursor.at + ipv4.FRAGMENT) & ipv4.DF

    def describe_pools(self) -> None:
        """What the source and the destination are members of, and what follows (Calico's natOutgoing rule)."""
        cursor, decider, ruleset = self.engine.packet, self.engine.decider, self.translator.ruleset
        for high, low in ((cursor.source_high, cursor.source_low), (cursor.destination_high, cursor.destination_low)):
            members = [one for one in ruleset.members(high, low) if one.name]
            text = ", ".join(one.name + (" (natOutgoing)" if one.flags & decision.NAT_SOURCE else "")
                             for one in members)
            self.step("pool", f"{address.text(high, low)} is in {text or 'no pool'}")
        self.pool = self.engine.options.pools[decider.pool] or None
        if self.side == sides.INSIDE and decider.source_flags & decision.NAT_SOURCE and not decider.translated:
            excluding = [one for one in ruleset.members(cursor.destination_high, cursor.destination_low)
                         if one.flags & (decision.POOL | decision.NO_TRANSLATE)]
            self.excluded_by = excluding[0].name if excluding else None

    def show(self, base: int, direction: int) -> None:
        """How flow `base` translates a packet in this direction."""
        near = flow.tuple_of(self.engine, base, direction)
        far = flow.tuple_of(self.engine, base, 1 - direction)
        pool = self.engine.table.r16[base * row.HALVES + row.DECISION]
        self.pool = self.engine.options.pools[pool] or None
        ends = [(near[:2], far[2:]), (near[2:], far[:2])]
        if self.engine.packet.protocol in (protocol.ICMP, protocol.ICMPV6):  # one identifier, named with the source
            ends[1] = (near[2:], (far[0], near[3]))
        changes = [None if old == new else {"from": flow.endpoint(*old), "to": flow.endpoint(*new)}
                   for old, new in ends]
        self.source, self.destination = changes
        for word, change in zip(("source", "destination"), changes, strict=True):
            if change:
                self.step("translate", f"{word} {change['from']} becomes {change['to']}")
        if not any(changes):
            self.step("translate", "nothing: the packet goes on as it is")
        label = self.engine.table.r64[base * row.WORDS + row.REPLY_LABEL - direction]
        self.step("leave", LEAVING[label >> row.LABEL_SIDE & 0xFF])

    def end(self, which: int) -> str:
        cursor = self.engine.packet
        if which == 0:
            return address.endpoint(cursor.source_high, cursor.source_low, cursor.ports >> 16)
        return address.endpoint(cursor.destination_high, cursor.destination_low, cursor.ports & bits.M16)


def explain(translator: Translator, packet: bytes, side: int, now: int) -> dict[str, Any]:
    """The steps and the verdict for one packet; changes no state."""
    return Explanation(translator, side, now).run(packet)
