"""The flow table: rows in one flat array, and one hash index of every key they are found by.

An index entry is 32 bits, 0 for an empty slot: from the top a tag (what bits of the hash are left over), the
entry's displacement from its home slot, its kind (`nat.bounds`) and its row. Entries of one home stand
together and homes stand in order (Robin Hood hashing): a search ends where the next home begins, the gap that
an entry leaves is closed by moving others back, without tombstones or a look at any row, and nobody is ever far
from home. There is no wrapping round: PROBE_LIMIT slots follow the last home.

A mapping (RFC 4787) is a ring of rows. Only its head is in the index, by its internal and its external
endpoint; a mapping lives as long as any of its rows does.
"""

from __future__ import annotations

from ..wire import bits, order, sides
from . import bounds, prefetch, row
from .crowd import Crowds
from .memory import Ahead, reserve
from .siphash import hash_pair


class FlowTable:
    """Up to `capacity` rows. Memory is reserved at once and touched only when used.

    r8, r16, r32, r64: the rows (`nat.row`) by 1, 2, 4 and 8 bytes. Time is in ticks, modulo 2**32. high_water: the last
    row ever used. guests: flows opened from outside. crowds: told of each port a row gives up. sought: the last key.
    """

    def __init__(self, capacity: int, key0: int, key1: int) -> None:
        if not 1 <= capacity <= bounds.ROW_LIMIT:
            raise ValueError(f"a flow table holds 1 to {bounds.ROW_LIMIT} flows, not {capacity}")
        self.capacity, self.key0, self.key1 = capacity, key0, key1
        self.live = self.guests = self.high_water = self.free = self.cursor = self.sought = 0
        self.slots = bounds.SLOTS_PER_ROW * capacity
        rows, index = reserve((capacity + 1) * row.BYTES), reserve((self.slots + bounds.PROBE_LIMIT) * 4)
        self.r8, self.r16, self.r32, self.r64 = rows, rows.cast("H"), rows.cast("I"), rows.cast("Q")
        self.crowds = Crowds(rows, key0, key1)
        self.index = index.cast("I")
        self.ahead = Ahead(index, bounds.INDEX_AHEAD), Ahead(rows, bounds.ROWS_AHEAD)
        self.row_bits = capacity.bit_length()
        self.row_mask = (1 << self.row_bits) - 1
        self.kind_mask = (1 << self.row_bits + bounds.KIND_BITS) - 1
        self.step = self.kind_mask + 1  # one slot of displacement
        self.tag_mask = (1 << 32 - self.row_bits - bounds.KIND_BITS - bounds.DISPLACEMENT_BITS) - 1

    def find(self, source_high: int, source_low: int, destination_high: int, destination_low: int, label: int,
             now: int) -> int:
        """row * 2 + direction of the live row that has this tuple; 0 when there is none."""
        return self.find_keyed(0, source_high, source_low, destination_high, destination_low, label, now)

    def find_keyed(self, key: int, source_high: int, source_low: int, destination_high: int, destination_low: int,
                   label: int, now: int) -> int:
        """The same, given the tuple's `key`, or 0 where that is not known yet."""
        self.sought = key = key or self.key(source_high, source_low, destination_high, destination_low, label)
        slot = self.home(key)
        wanted = (key & self.tag_mask) << bounds.DISPLACEMENT_BITS + 1  # a tuple: the high bit of its kind is 0
        for distance in range(bounds.PROBE_LIMIT):
            entry = self.index[slot + distance]
            if entry >> self.row_bits + 1 == wanted:
                found = (entry & self.row_mask) * 2 + (entry >> self.row_bits & 1)
                if self.has_tuple(found, source_high, source_low, destination_high, destination_low, label, now):
                    return found
            elif entry == 0 or self.displacement(entry) < distance:
                return 0
            wanted += 2
        return 0

    def candidate(self, key: int) -> int:
        """The first row whose index entry looks like a tuple of this key; 0 for none. Only the index is read."""
        slot = self.home(key)
        wanted = (key & self.tag_mask) << bounds.DISPLACEMENT_BITS + 1
        for distance in range(bounds.PROBE_LIMIT):
            entry = self.index[slot + distance]
            if entry >> self.row_bits + 1 == wanted:
                return entry & self.row_mask
            if entry == 0 or self.displacement(entry) < distance:
                return 0
            wanted += 2
        return 0

    def has_tuple(self, found: int, source_high: int, source_low: int, destination_high: int, destination_low: int,
                  label: int, now: int) -> bool:
        direction = found & 1
        flow = order.span64(self.r64, (found >> 1) * row.WORDS, row.WORDS)
        word = direction * row.TUPLE_STRIDE
        return (flow[word + row.ORIGINAL_SOURCE + 1] == source_low
                and flow[word + row.ORIGINAL_DESTINATION + 1] == destination_low
                and flow[row.ORIGINAL_LABEL + direction] & row.LABEL_MASK == label
                and flow[word + row.ORIGINAL_SOURCE] == source_high
                and flow[word + row.ORIGINAL_DESTINATION] == destination_high
                and not self.expired(found >> 1, now))

    def find_mapping(self, kind: int, high: int, low: int, scope_high: int, scope_low: int, label: int) -> int:
        """The head of the newest mapping of an endpoint, which may be dead (see `promote`); 0 for none.

        kind: bounds.INTERNAL or EXTERNAL.  scope: (0, 0), or the remote address when mappings depend on it.
        label: protocol and port, side 0.
        """
        return self.find_mapping_keyed(self.mapping_key(kind, high, low, scope_high, scope_low, label),
                                       kind, high, low, scope_high, scope_low, label)

    def find_mapping_keyed(self, key: int, kind: int, high: int, low: int, scope_high: int, scope_low: int,
                           label: int) -> int:
        slot = self.home(key)
        wanted = (key & self.tag_mask) << bounds.DISPLACEMENT_BITS + bounds.KIND_BITS | kind
        for distance in range(bounds.PROBE_LIMIT):
            entry = self.index[slot + distance]
            if entry >> self.row_bits == wanted:
                head = entry & self.row_mask
                if self.has_endpoint(head, kind, high, low, scope_high, scope_low, label):
                    return head
            elif entry == 0 or self.displacement(entry) < distance:
                return 0
            wanted += 1 << bounds.KIND_BITS
        return 0

    def has_endpoint(self, member: int, kind: int, high: int, low: int, scope_high: int, scope_low: int,
                     label: int) -> bool:
        word = self.endpoint(member, kind)
        if self.r64[word] != high or self.r64[word + 1] != low or self.endpoint_label(member, kind) != label:
            return False
        if self.r8[member * row.BYTES + row.MAPPING_SCOPE] == 0:
            return scope_high == 0 and scope_low == 0
        remote = self.remote(member)
        return self.r64[remote] == scope_high and self.r64[remote + 1] == scope_low

    # A flow from inside has its internal endpoint in its original tuple, one from outside in its reply tuple.

    def endpoint(self, member: int, kind: int) -> int:
        """The word at which a row's internal or external address starts."""
        if self.from_inside(member):
            return member * row.WORDS + (row.ORIGINAL_SOURCE if kind == bounds.INTERNAL else row.REPLY_DESTINATION)
        return member * row.WORDS + (row.REPLY_SOURCE if kind == bounds.INTERNAL else row.ORIGINAL_DESTINATION)

    def endpoint_label(self, member: int, kind: int) -> int:
        """Protocol and port of a row's internal or external endpoint, as `find_mapping` takes them."""
        original = self.from_inside(member) == (kind == bounds.INTERNAL)
        label = self.r64[member * row.WORDS + (row.ORIGINAL_LABEL if original else row.REPLY_LABEL)]
        port = label >> row.LABEL_SOURCE_PORT if kind == bounds.INTERNAL else label
        return label & row.LABEL_PROTOCOL_MASK | port & bits.M16

    def remote(self, member: int) -> int:
        """The word at which the remote address starts, as the outside sees it."""
        return member * row.WORDS + (row.REPLY_SOURCE if self.from_inside(member) else row.ORIGINAL_SOURCE)

    def from_inside(self, member: int) -> bool:
        return (self.r64[member * row.WORDS + row.ORIGINAL_LABEL] >> row.LABEL_SIDE) & 0xFF == sides.INSIDE

    def reserve(self) -> int:
        """A row of zeros but for USED, for the caller to fill in and link; 0 when the table is full."""
        taken = self.free
        if taken:
            self.free = following = self.r32[taken * row.QUADS + row.FREE]
            for word in range(row.WORDS):
                self.r64[taken * row.WORDS + word] = 0
        elif self.high_water < self.capacity:
            self.high_water += 1
            taken = self.high_water
            following = taken + bounds.ROWS_EXPECTED
        else:
            return 0
        prefetch.prefetch64(self.r64, following * row.WORDS)  # the next to be taken
        prefetch.prefetch64(self.r64, following * row.WORDS + row.ORIGINAL_LABEL)
        self.r8[taken * row.BYTES + row.FLAGS] = row.USED
        self.live += 1
        return taken

    def link(self, member: int, original: int = 0, reply: int = 0, internal: int = 0, external: int = 0) -> bool:
        """Make a filled-in row findable by both its tuples and, if it is MAPPED, let it join or begin its mapping.

        original, reply: the tuples' keys where known; internal, external: its mapping's where none is there to join.
        False, and nothing changed, when PROBE_LIMIT forbids it. What a linked row is found by must not change.
        """
        original = original if original else self.row_key(member, sides.ORIGINAL)
        reply = reply if reply else self.row_key(member, sides.REPLY)
        alone = not self.r8[member * row.BYTES + row.FLAGS] & row.MAPPED
        if (self.insert(member, sides.ORIGINAL, original) and self.insert(member, sides.REPLY, reply)
                and (alone or (self.begin(member, internal, external) if internal else self.join(member)))):
            return True
        self.remove(member, sides.REPLY)
        self.remove(member, sides.ORIGINAL)
        return False

    def close(self, member: int) -> int:
        """End a row, linked or not: 1, or 0 when it was not in use."""
        if member <= 0 or member > self.high_water or not self.r8[member * row.BYTES + row.FLAGS] & row.USED:
            return 0
        if self.crowds.count:
            self.crowds.give_up(member, self.endpoint(member, bounds.EXTERNAL), self.remote(member))
        self.guests -= not self.from_inside(member)
        self.remove(member, sides.ORIGINAL)
        self.remove(member, sides.REPLY)
        self.part(member)
        self.r8[member * row.BYTES + row.FLAGS] = 0
        self.r32[member * row.QUADS + row.FREE] = self.free
        self.free = member
        self.live -= 1
        return 1

    def expired(self, member: int, now: int) -> bool:
        return ((now - self.r32[member * row.QUADS + row.EXPIRES]) & bits.M32) >> 31 == 0

    def next_expired(self, now: int, budget: int) -> int:
        """The next used and expired row, 0 if none is among the next `budget` rows. Goes round and round."""
        for _ in range(min(budget, self.high_water)):
            self.cursor = self.cursor + 1 if self.cursor < self.high_water else 1
            if self.r8[self.cursor * row.BYTES + row.FLAGS] & row.USED and self.expired(self.cursor, now):
                return self.cursor
        return 0

    def join(self, member: int) -> bool:
        """Enter the ring of the newest mapping of this internal endpoint, if its external one is the same too."""
        key = self.row_key(member, bounds.INTERNAL)
        head = self.mapping_of(member, key)
        if head == 0:
            return self.begin(member, key, self.row_key(member, bounds.EXTERNAL))
        after = self.r32[head * row.QUADS + row.NEXT]
        self.tie(head, member)
        self.tie(member, after)
        return True

    def mapping_of(self, member: int, key: int) -> int:
        word, label = self.endpoint(member, bounds.INTERNAL), self.endpoint_label(member, bounds.INTERNAL)
        scope = self.r8[member * row.BYTES + row.MAPPING_SCOPE]
        remote = self.remote(member)
        head = self.find_mapping_keyed(key, bounds.INTERNAL, self.r64[word], self.r64[word + 1],
                                       self.r64[remote] if scope else 0, self.r64[remote + 1] if scope else 0, label)
        if head == 0:
            return 0
        ours, theirs = self.endpoint(member, bounds.EXTERNAL), self.endpoint(head, bounds.EXTERNAL)
        if self.r64[ours] != self.r64[theirs] or self.r64[ours + 1] != self.r64[theirs + 1]:
            return 0
        return head if self.endpoint_label(member, bounds.EXTERNAL) == self.endpoint_label(head, bounds.EXTERNAL) else 0

    def begin(self, member: int, internal: int, external: int) -> bool:
        """Begin a mapping: a ring of one."""
        if not self.insert(member, bounds.INTERNAL, internal):
            return False
        if not self.insert(member, bounds.EXTERNAL, external):
            self.remove(member, bounds.INTERNAL)
            return False
        self.r8[member * row.BYTES + row.FLAGS] |= row.MAPPING_HEAD
        self.tie(member, member)
        return True

    def tie(self, before: int, after: int) -> None:
        self.r32[before * row.QUADS + row.NEXT] = after
        self.r32[after * row.QUADS + row.PREVIOUS] = before

    def part(self, member: int) -> None:
        """Leave the ring; the next row becomes the head in a head's place."""
        after = self.r32[member * row.QUADS + row.NEXT]
        if after == member:
            self.remove(member, bounds.INTERNAL)
            self.remove(member, bounds.EXTERNAL)
        elif after:
            if self.r8[member * row.BYTES + row.FLAGS] & row.MAPPING_HEAD:
                self.crown(member, after)
            self.tie(self.r32[member * row.QUADS + row.PREVIOUS], after)

    def crown(self, head: int, heir: int) -> None:
        """Let another row of the ring stand for the mapping: same keys, so its entries stay where they are."""
        for kind in range(bounds.INTERNAL, bounds.EXTERNAL + 1):
            slot = self.seek(head, kind)
            self.index[slot] = self.index[slot] & ~self.row_mask | heir
        self.r8[head * row.BYTES + row.FLAGS] &= ~row.MAPPING_HEAD
        self.r8[heir * row.BYTES + row.FLAGS] |= row.MAPPING_HEAD

    def promote(self, head: int, now: int) -> int:
        """The live row that stands for a mapping: its head, or another that becomes it; 0 when none is alive.

        At most RING_LIMIT rows are looked at a call; the next call looks further.
        """
        if head == 0 or not self.expired(head, now):
            return head
        heir = head
        for _ in range(bounds.RING_LIMIT):
            heir = self.r32[heir * row.QUADS + row.NEXT]
            if heir == head:
                return 0
            if not self.expired(heir, now):
                break
        self.crown(head, heir)
        return 0 if self.expired(heir, now) else heir

    def key(self, first_high: int, first_low: int, second_high: int, second_low: int, label: int) -> int:
        return hash_pair(self.key0, self.key1, first_high, first_low, second_high, second_low, label)

    def mapping_key(self, kind: int, high: int, low: int, scope_high: int, scope_low: int, label: int) -> int:
        if scope_high | scope_low:
            return self.key(high, low, scope_high, scope_low, label | (kind << 1 | 1) << row.LABEL_MARK)
        return self.key(high, low, high, low, label | kind << 1 + row.LABEL_MARK)

    def row_key(self, member: int, kind: int) -> int:
        """The hash of what a row is found by, of one kind."""
        if kind < bounds.INTERNAL:
            word = member * row.WORDS + kind * row.TUPLE_STRIDE
            return self.key(self.r64[word], self.r64[word + 1], self.r64[word + 2], self.r64[word + 3],
                             self.r64[member * row.WORDS + row.ORIGINAL_LABEL + kind] & row.LABEL_MASK)
        word, remote = self.endpoint(member, kind), self.remote(member)
        scope = self.r8[member * row.BYTES + row.MAPPING_SCOPE]
        return self.mapping_key(kind, self.r64[word], self.r64[word + 1], self.r64[remote] if scope else 0,
                                 self.r64[remote + 1] if scope else 0, self.endpoint_label(member, kind))

    def home(self, key: int) -> int:
        return ((key >> 32) * self.slots) >> 32

    def displacement(self, entry: int) -> int:
        return (entry >> self.row_bits + bounds.KIND_BITS) & (bounds.PROBE_LIMIT - 1)

    def insert(self, member: int, kind: int, key: int) -> bool:
        """Enter a row by one of its keys, before all others of that home: the newest is found first.

        False, and nothing changed, when any entry would come to stand too far from its home.
        """
        slot, distance = self.home(key), 0
        while self.displacement(self.index[slot]) > distance:
            slot += 1
            distance += 1
        end = slot
        while self.index[end]:
            if self.displacement(self.index[end]) == bounds.PROBE_LIMIT - 1:
                return False
            end += 1
        while end > slot:
            self.index[end] = self.index[end - 1] + self.step
            end -= 1
        tag = (key & self.tag_mask) << bounds.DISPLACEMENT_BITS | distance
        self.index[slot] = (tag << bounds.KIND_BITS | kind) << self.row_bits | member
        return True

    def remove(self, member: int, kind: int) -> None:
        """Take a row's entry out, if it is there, and move those behind it one slot nearer to their homes."""
        slot = self.seek(member, kind)
        if slot >= 0:
            while self.displacement(self.index[slot + 1]):
                self.index[slot] = self.index[slot + 1] - self.step
                slot += 1
            self.index[slot] = 0

    def seek(self, member: int, kind: int) -> int:
        """The slot of a row's entry of one kind; -2 if it has none."""
        slot = self.home(self.row_key(member, kind))
        wanted = kind << self.row_bits | member
        for distance in range(bounds.PROBE_LIMIT):
            if self.index[slot + distance] & self.kind_mask == wanted:
                return slot + distance
            if self.index[slot + distance] == 0 or self.displacement(self.index[slot + distance]) < distance:
                break
        return -2
