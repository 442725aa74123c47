"""Records as people see them: one dict for each flow that began or ended, and for each refusal worth telling.

kind: "created", "closed", "exhausted" or "quota".  time: ISO 8601, UTC; a flow that expired ended when its time
was up, not when that was noticed.  flow: its id; None for refusals.  internal, external: "address:port";
external is None where nothing is translated, and has port 0 where the ports of that address are exhausted.
reason: why a flow ended ("expired", "finished", "reset", "ended"), what is exhausted ("flows", "ports",
"addresses"), or which limit of the source was reached ("flows", "ports", "rate").  Refusals are told once a
second for each egress address and protocol, or source; suppressed: how many went untold since the last.
remote: only where asked for, as the sender of the first packet addressed or was it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ..wire import address, bits, sides
from . import flow, record, row

KINDS = {record.CREATED: "created", record.CLOSED: "closed", record.EXHAUSTED: "exhausted", record.QUOTA: "quota"}
REASONS = {0: None, record.EXPIRED: "expired", record.FINISHED: "finished", record.RESET: "reset",
           record.ENDED: "ended", record.FLOWS: "flows", record.PORTS: "ports", record.ADDRESSES: "addresses",
           record.RATE: "rate"}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Events:
    """The records of one `Records.drain`, read out when somebody wants them: most gateways open more flows than
    anybody reads of. pools: names by number, which never change.  epoch: added to the records' times.  worker: whose
    rows they name.
    """

    def __init__(self, data: bytes, pools: Sequence[str], epoch: int, remote: bool, worker: int = 0) -> None:
        self.words = memoryview(data).cast("Q")
        self.pools, self.epoch, self.remote, self.worker = pools, epoch, remote, worker

    def __len__(self) -> int:
        return len(self.words) // record.WORDS

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self.read, range(len(self)))

    def refusals(self) -> Iterator[dict[str, Any]]:
        """Those of kind "exhausted" and "quota"."""
        for index, subject in enumerate(self.words[record.SUBJECT :: record.WORDS]):
            if subject >> record.KIND & 0xFF >= record.EXHAUSTED:
                yield self.read(index)

    def read(self, index: int) -> dict[str, Any]:
        at = index * record.WORDS
        return read(self.words[at : at + record.WORDS].tolist(), self.pools, self.epoch, self.remote, self.worker)


def read(words: Sequence[int], pools: Sequence[str], epoch: int, remote: bool, worker: int) -> dict[str, Any]:
    subject = words[record.SUBJECT]
    kind = subject >> record.KIND & 0xFF
    is_flow = kind in (record.CREATED, record.CLOSED)
    label = words[row.ORIGINAL_LABEL]
    number = label >> row.LABEL_PROTOCOL & 0xFF
    inside = (label >> row.LABEL_SIDE & 1) == sides.INSIDE
    one: dict[str, Any] = {
        "kind": KINDS[kind], "time": moment(words[record.TIME] + epoch),
        "flow": flow_id(words, worker) if is_flow else None,
        "protocol": flow.PROTOCOLS.get(number, str(number)),
        "internal": source(words, 0) if inside else source(words, 1),
        "external": external(words, inside), "pool": pools[subject >> record.POOL] or None,
        "reason": REASONS[subject >> record.REASON & 0xFF],
    }
    if not is_flow:
        one["suppressed"] = subject & bits.M32
    if remote:
        one["remote"] = destination(words, 0) if inside else source(words, 0)
    return one


def flow_id(words: Sequence[int], worker: int) -> str:
    opening = words[row.ORIGINAL_LABEL] >> row.OPENING_SHIFT
    number = flow.number_of(words[record.SUBJECT] & bits.M32, worker)
    return flow.identity(number, words[: record.TUPLES], opening)


def source(words: Sequence[int], direction: int) -> str:
    at, label = direction * row.TUPLE_STRIDE, words[row.ORIGINAL_LABEL + direction]
    return address.endpoint(words[at], words[at + 1], label >> row.LABEL_SOURCE_PORT & bits.M16)


def destination(words: Sequence[int], direction: int) -> str:
    at, label = direction * row.TUPLE_STRIDE + 2, words[row.ORIGINAL_LABEL + direction]
    return address.endpoint(words[at], words[at + 1], label & bits.M16)


def external(words: Sequence[int], inside: bool) -> str | None:
    """The internal end as the outside sees it; None if it is seen as it is, or has none yet."""
    near, far = (row.ORIGINAL_SOURCE, row.REPLY_DESTINATION) if inside else (row.REPLY_SOURCE, row.ORIGINAL_DESTINATION)
    if words[far : far + 2] == words[near : near + 2] or not words[far] | words[far + 1]:
        return None
    return destination(words, 1 if inside else 0)


def moment(nanoseconds: int) -> str:
    when = EPOCH + timedelta(microseconds=nanoseconds // 1000)
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")
