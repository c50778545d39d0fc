"""Inventory: movements to rows, and from rows the ledger, decisions and allocations."""

from typing import Final

import msgspec

from models import movements, topics
from models.inventory import Change, entry_of, transition
from models.movements import ChannelRuleSet, Hold, Movement
from models.outcomes import Code, Outcome
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
_encode = msgspec.json.Encoder().encode


class Inventory:
    """The stage that owns every SKU of its partitions."""

    name = "inventory"
    inputs = (topics.INVENTORY_MOVEMENTS,)
    state = topics.INVENTORY_STATE

    def __init__(self, routing: Routing, *, trust_origins: bool = True) -> None:
        self._routing = routing
        self._trust_origins = trust_origins
        self._allocations: dict[int, Allocations] = {}
        self.origins_skipped = 0

    def opened(self, partition: Partition) -> None:
        """Derive the channel rules in force, and what they need."""
        self._allocations[partition.number] = Allocations(partition, self._routing.allocations)

    def closed(self, number: int) -> None:
        """Forget what was derived."""
        self._allocations.pop(number, None)

    def finish(self, work: Work) -> None:
        """Send the step's last allocation of each channel and SKU."""
        self._allocations[work.partition.number].send(work)

    def absorb(self, work: Work, record: Raw) -> bool:
        """Apply one movement, unless its origin is absorbed already."""
        partition = work.partition
        movement = movements.decode(record.value or b"")
        position = partition.position
        cut = self.inputs[0] in position.cursor
        new = cut or position.absorb_origin(movement.topic, movement.partition, movement.ordinal)
        if not new and self._trust_origins:
            self.origins_skipped += 1
            return True
        row_version = version(position.generation, record.offset)
        allocations = self._allocations[partition.number]
        if type(movement) is ChannelRuleSet:
            return allocations.rule_set(work, movement, row_version)
        change = transition(partition, movement, row_version)
        self._tell(work, record, movement, change)
        if allocations.rules:
            allocations.moved(change, row_version)
        return True

    def _tell(self, work: Work, record: Raw, movement: Movement, change: Change) -> None:
        entry = entry_of(change, movement, work.now)
        number = work.partition.number
        work.emit(self._routing.ledger, number, record.key, _encode(entry))
        outcome = change.outcome
        if type(movement) is Hold:
            send_decision(work, self._routing, movement, outcome)
        elif outcome in _BURIED:
            code, reason = _BURIED[outcome]
            bury(work, self._routing, record, code, reason, 0, record.value or b"")
