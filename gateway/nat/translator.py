"""The translator: what becomes of each packet of a batch. The running gateway, the simulator, the property
tests and `explain` all drive this one.

The compiled `Engine` does what every packet needs; here is what few packets need: ICMP errors, answers of
the gateway's own, and everything that lists or ends flows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from ..match.ruleset import Ruleset
from ..match.settings import Settings
from ..wire import bits, ipv4, kind, sides, vnet
from ..wire.batch import Batch
from . import bounds, flow, record, row
from .answers import Answers
from .engine import Engine, is_unfinished
from .errors import Errors
from .events import KINDS, Events
from .fragments import Fragments
from .knocks import Knocks
from .shares import Share
from .sorting import Mail
from .verdict import NAMES, Verdict

NO_OFFLOAD = bytes(vnet.HEADER)
ROWS_AT_ONCE = 64  # copied for a listing: 8 KiB


def hash_key(material: bytes) -> int:
    """Of the hash by which internal addresses are dealt out (`nat.shares`): from the gateway's seed, 32 bits, odd."""
    return int.from_bytes(hashlib.blake2b(material, digest_size=4, person=b"shares").digest(), "big") | 1


class Translator:
    """One gateway's flows and the rules that new ones are decided by.

    seed: everything random here follows from it: the hash keys, ports, identifiers. Draw it anew at each
    start. outbox: (side, offload header, packet) of the gateway's own packets, for the caller to send and clear.

    worker, workers: it has one share of a gateway's flows and ports (`nat.shares`); all shares have one seed. What
    belongs to another is for the caller to bring there: what `post` gives, before the outbox is sent.
    """

    def __init__(self, ruleset: Ruleset, seed: bytes | int, worker: int = 0, workers: int = 1) -> None:
        material = seed if isinstance(seed, bytes) else seed.to_bytes(32, "big", signed=True)
        salt = worker.to_bytes(16, "big")  # 0: what one worker alone has
        digest = hashlib.blake2b(material, digest_size=48, salt=salt).digest()
        self.share = Share(worker, workers, hash_key(material))
        keys = [int.from_bytes(digest[at : at + 8], "big") for at in range(0, 48, 8)]
        self.engine = Engine(self.share.part(ruleset.settings.limits.flows), (keys[0], keys[1], keys[2], keys[3]),
                             self.share)
        self.errors = Errors(self.engine)
        self.answers = Answers(self.engine, keys[4], keys[5])
        self.outbox: list[tuple[int, bytes, bytes]] = []
        self.mail: Mail = []
        self.fragments = Fragments(self.engine, self.outbox, self.mail, self.answers)
        self.knocks = Knocks(self.engine, self.answers, self.outbox)
        self.use(ruleset)

    def prepare(self, ruleset: Ruleset) -> None:
        """What `use` would have to do first, and takes long: `translate` may run meanwhile."""
        self.engine.options.prepare(ruleset)

    def use(self, ruleset: Ruleset) -> None:
        """Decide new flows by this ruleset. Live flows go on as they began."""
        self.ruleset = ruleset
        self.engine.use(ruleset)
        settings = self.share_of(ruleset.settings)
        self.answers.use(settings)
        self.fragments.use(settings)
        self.knocks.use(settings)

    def share_of(self, settings: Settings) -> Settings:
        """With this worker's part of the limits that hold for all together; who sorts fragments has a part for that."""
        if self.share.count == 1:
            return settings
        limits = settings.limits
        parts = Share(self.share.number, self.share.count + 1) if self.share.count < bounds.WORKERS else self.share
        return replace(settings, limits=replace(
            limits, fragments_held=parts.part(limits.fragments_held),
            icmp_errors_per_second=self.share.part(limits.icmp_errors_per_second)))

    def translate(self, batch: Batch, side: int, now: int, handed: bool = False) -> None:
        """Give every frame of `batch` its verdict; those accepted are rewritten and have their side in batch.out.

        side: where they came from (wire.sides).  now: nanoseconds, never falling.  handed: another worker found them
        to be this one's.
        """
        self.engine.decider.handed = handed
        if batch is not self.engine.batch:
            self.engine.bind(batch)
        self.engine.records.now = now
        if self.engine.run(side, now >> row.TICK_SHIFT & bits.M32):
            self.finish(side, now)

    def finish(self, side: int, now: int) -> None:
        """What the compiled loop left of the bound batch. Raises after the last frame what one of them came to."""
        batch, failed = self.engine.batch, []
        for index in range(batch.count):
            if is_unfinished(batch.verdict[index]):
                try:
                    self.finish_one(index, side, now)
                except Exception as error:  # our bug: it costs this frame
                    batch.out[index] = sides.NOWHERE
                    failed.append(error)
        if failed:
            raise failed[0]

    def finish_one(self, index: int, side: int, now: int) -> None:
        """Settle frame `index`'s verdict and send what it asks for."""
        engine = self.engine
        before = Verdict(engine.batch.verdict[index])
        engine.packet.parse(engine.batch.start[index], engine.batch.length[index], False)
        verdict = self.settle(index, side, now) if before == Verdict.SLOW else before
        if verdict == Verdict.DROP_UNSOLICITED_SYN:
            self.knocks.note(side, now)
        elif before == Verdict.ANSWER_ECHO or verdict >= Verdict.REJECT_TTL_EXCEEDED:
            verdict = self.answer(verdict, side, now)
        engine.counters[before] -= 1
        engine.counters[verdict] += 1
        engine.batch.verdict[index] = verdict
        if verdict == Verdict.HAND_OVER:
            engine.batch.neighbour[index] = engine.decider.owner

    def answer(self, verdict: Verdict, side: int, now: int) -> Verdict:
        """Send what the verdict owes the sender; the verdict, or what turned out to be wrong with the packet."""
        if verdict == Verdict.ANSWER_ECHO:
            answer = self.answers.echo()
            verdict = verdict if answer else Verdict.DROP_BAD_CHECKSUM
        elif verdict == Verdict.REJECT_NOT_SYN:
            answer = self.answers.reset(now)
        else:
            answer = self.answers.error(verdict, side, now, self.engine.mtu)
        if answer is not None:
            self.outbox.append((side, NO_OFFLOAD, answer))
        return verdict

    def settle(self, index: int, side: int, now: int) -> Verdict:
        """The verdict on a packet that the compiled loop does not judge."""
        packet = self.engine.packet
        if packet.kind == kind.ERROR:
            return self.errors.translate(index, side, now >> row.TICK_SHIFT & bits.M32)
        if packet.kind == kind.LINK:
            return Verdict.DROP_LINK_SCOPE
        if packet.kind == kind.FRAGMENT:
            return self.fragments.translate(index, side, now)
        whole = packet.segment == packet.end - packet.at
        if packet.family == 4 and whole and not packet.load16(packet.at + ipv4.FRAGMENT) & ipv4.DF:
            return self.fragments.fragment(index, side, now)
        verdict = Verdict(self.engine.pass_on(index, side, now >> row.TICK_SHIFT & bits.M32, False))
        return Verdict.REJECT_TOO_BIG if verdict is Verdict.SLOW else verdict  # engine.mtu is this packet's again

    def post(self, batch: Batch, side: int) -> Mail:
        """All that is for other workers: of a batch just translated, from `side`, then of the mail. None is kept."""
        engine, found = self.engine, []
        for index in range(batch.count):
            addressee = engine.addressee(index)
            if addressee >= 0:
                seen_on = side if batch.verdict[index] == Verdict.HAND_OVER else sides.ACROSS
                found.append((addressee, seen_on, batch.offload(index), batch.packet(index)))
        return found + self.take_mail()

    def take_mail(self) -> Mail:
        """What is for other workers beside batches, and none is kept."""
        if any(side == sides.ACROSS for side, _, _ in self.outbox):
            self.mail_outbox()
        taken = self.mail[:]
        self.mail.clear()
        return taken

    def mail_outbox(self) -> None:
        """The gateway's own packets for other workers go into the mail: an error about a hairpin, its fragments."""
        with self.engine.aside() as scratch:
            for side, offload, packet in self.outbox:
                if side == sides.ACROSS:
                    scratch.clear()
                    scratch.append(packet, offload)
                    scratch.verdict[0], scratch.out[0] = Verdict.ACCEPT, side
                    self.mail.append((self.engine.addressee(0), side, offload, packet))
        self.outbox[:] = [one for one in self.outbox if one[0] != sides.ACROSS]

    def tick(self, now: int, budget: int = 4096) -> int:
        """End flows whose time has come, looking at no more than twice `budget` rows; returns how many.

        May add to the outbox: some answers are owed only after a while.
        """
        self.engine.records.now = now
        self.take_ahead()
        self.fragments.tick(now)
        self.knocks.tick(now)
        return self.engine.end_expired(now >> row.TICK_SHIFT & bits.M32, budget)

    def take_ahead(self) -> int:
        """A step towards the memory that the next flows will need: bytes taken, 0 when there is enough."""
        table, records = self.engine.table, self.engine.records.ahead
        index, rows = table.ahead
        return (index.step(index.size if index.size <= index.most else 0) or records.step(records.most)
                or rows.step((table.high_water + 1) * row.BYTES + rows.most))

    @property
    def waiting(self) -> bool:
        """Whether `tick` has more to look at than flows, or there are events."""
        return bool(self.fragments.datagrams or self.fragments.sorting.datagrams or self.knocks.waiting or self.outbox
                    or self.engine.records.count)

    def counters(self) -> dict[str, int]:
        """Packets by verdict, by name, zero ones too."""
        return {name: self.engine.counters[verdict] for verdict, name in NAMES.items()}

    def flows(self, now: int, copy: flow.Copy = bytes) -> Iterator[flow.Flow]:
        """Every live flow, in the order of the table.

        copy: how to copy some rows at one moment, where another thread translates.
        """
        first = 1
        while first <= self.engine.table.high_water:
            end = min(first + ROWS_AT_ONCE, self.engine.table.high_water + 1)
            data = copy(self.engine.table.r8[first * row.BYTES : end * row.BYTES])
            yield from flow.live(data, flow.number_of(first, self.share.number), self.engine.options.pools, now)
            first += ROWS_AT_ONCE

    def end_flow(self, identifier: str) -> bool:
        """End a flow by its id; False if there is none such any more."""
        try:
            base = int(identifier.partition("-")[0], 16) ^ flow.number_of(0, self.share.number)
        except ValueError:
            return False
        table = self.engine.table
        if not 0 < base <= table.high_water or flow.identify(self.engine, base) != identifier:
            return False
        return bool(self.engine.end(base, record.ENDED, 0))

    def explain(self, packet: bytes, side: int, now: int) -> dict[str, Any]:
        """Every step of the decision on one packet, as `gateway explain -o json` prints it; changes no state."""
        from .explain import explain

        return explain(self, packet, side, now)

    def events(self, epoch: int = 0) -> list[dict[str, Any]]:
        """What began, ended and was refused since the last call (`nat.events`).

        epoch: nanoseconds from 1970 to the start of the clock that `translate` is given.
        """
        return list(self.take_events(epoch))

    def take_events(self, epoch: int = 0) -> Events:
        """The same, not yet read out."""
        data = self.engine.records.drain()
        return Events(data, self.engine.options.pools, epoch, self.ruleset.settings.records_remote, self.share.number)

    def events_lost(self) -> dict[str, int]:
        """Events that found no room since the start, by kind: nobody asked for events in time."""
        return {name: self.engine.records.lost[kind] for kind, name in KINDS.items()}

    @property
    def live(self) -> int:
        """Rows in use, those whose time is up but which were not swept yet included."""
        return self.engine.table.live

    @property
    def capacity(self) -> int:
        return self.engine.table.capacity

    @property
    def memory(self) -> int:
        """Bytes reserved for flows; resident are those that were used."""
        return self.engine.table.r8.nbytes + self.engine.table.index.nbytes
