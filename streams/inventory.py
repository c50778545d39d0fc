"""Inventory: movements to rows, and from rows the ledger, decisions and allocations."""

from typing import Final

import msgspec

from models import topics
from models.inventory import entry_of, transition
from models.ledger import LedgerEntry
from models.movements import ChannelRuleSet, Hold, Movement, decode, place
from models.outcomes import APPLIED, Code, Outcome
from models.rows import version
from streams.allocations import Allocations
from streams.dead_letters import bury
from streams.decisions import send_decision
from streams.engine.partition import Partition
from streams.engine.stage import Raw, Work
from streams.routing import Routing

_BURIED: Final = {
    Outcome.BUCKET_NEGATIVE: (Code.BUCKET_NEGATIVE, "the bucket holds less than is taken from it"),
    Outcome.COUNT_BEYOND_HISTORY: (
        Code.COUNT_BEYOND_HISTORY,
        "the count is older than the deltas that are kept",
    ),
}
LEDGER_PACK: Final = 256
"""Ledger entries per record."""

_encode = msgspec.json.Encoder().encode


class Inventory:
    """The stage that owns every SKU of its partitions."""

    name = "inventory"
    inputs: tuple[str, ...] = (topics.INVENTORY_MOVEMENTS,)
    state = topics.INVENTORY_STATE

    def __init__(self, routing: Routing, *, trust_origins: bool = True) -> None:
        self._routing = routing
        self._trust_origins = trust_origins
        self._allocations: dict[int, Allocations] = {}
        self._entries: dict[int, list[LedgerEntry]] = {}
        self.origins_skipped = 0

    def opened(self, partition: Partition) -> None:
        """Derive the channel rules in force, and what they need."""
        self._entries[partition.number] = []
        self._allocations[partition.number] = Allocations(
            partition, self._routing.allocations[partition.number]
        )

    def closed(self, number: int) -> None:
        """Forget what was derived."""
        self._allocations.pop(number, None)
        self._entries.pop(number, None)

    def absorb(self, work: Work, record: Raw) -> bool:
        """Apply a record's movements, less those whose origin is absorbed already."""
        partition = work.partition
        position = partition.position
        allocations = self._allocations[partition.number]
        base = version(position.generation, place(record.offset, 0))
        cut = self.inputs[0] in position.cursor
        entries = self._entries[partition.number]
        for index, movement in enumerate(decode(record.value or b"")):
            new = position.absorb_origin(movement.topic, movement.partition, movement.ordinal)
            if not (new or cut) and self._trust_origins:
                self.origins_skipped += 1
                continue
            if type(movement) is ChannelRuleSet:
                # Rules stand alone in their record, so the cursor is theirs.
                return allocations.rule_set(work, movement, base)
            change = transition(partition, movement, base + index)
            entries.append(entry_of(change, movement, work.now))
            if change.outcome is not APPLIED:
                self._answer(work, record, movement, change.outcome)
            if allocations.rules:
                allocations.moved(change, base + index)
        return True

    def finish(self, work: Work) -> None:
        """Send the step's ledger entries, and the last allocation of each channel and SKU."""
        destination = self._routing.ledger[work.partition.number]
        entries = self._entries[work.partition.number]
        for start in range(0, len(entries), LEDGER_PACK):
            work.emit(destination, None, _encode(entries[start : start + LEDGER_PACK]))
        entries.clear()
        self._allocations[work.partition.number].send(work)

    def _answer(self, work: Work, record: Raw, movement: Movement, outcome: Outcome) -> None:
        if type(movement) is Hold:
            send_decision(work, self._routing, movement, outcome)
        elif outcome in _BURIED:
            code, reason = _BURIED[outcome]
            original = _encode(movement)
            bury(work, self._routing, record, code, reason, 0, original)
