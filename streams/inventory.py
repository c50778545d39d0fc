"""Inventory: movements to rows, and from rows the ledger, decisions and allocations."""

from operator import attrgetter
from typing import Final

from models import topics
from models.counts import ClosedRow, CountRow, count_key, end_count
from models.documents import AdviceRow, TransferRow
from models.holds import HoldRow
from models.inventory import close_count, entry_elsewhere, entry_of, transition
from models.ledger import encode as encode_entry
from models.movements import (
    AnyMovement,
    ChannelRuleSet,
    CountClosed,
    Hold,
    decode,
    decode_one,
    place,
)
from models.native import (
    PackedStock,
    PlainDeltas,
    StockTable,
    Written,
    WrittenDocument,
    write_stock,
)
from models.outcomes import APPLIED, Code, Outcome
from models.packs import Pack, pack
from models.returns import ReturnRow
from models.rows import Document, parts, version
from models.stock import StockRow
from runtime.records import Fetch, Fetched
from streams.allocations import SWEEP, Allocations
from streams.dead_letters import bury_movement
from streams.decisions import send_decision
from streams.dormant import Dormant
from streams.engine.partition import Partition
from streams.engine.stage import Work
from streams.routing import Routing

_BURIED: Final = {
    Outcome.BUCKET_NEGATIVE: (
        Code.BUCKET_NEGATIVE,
        "the bucket has less than is taken",
    ),
    Outcome.COUNT_BEYOND_HISTORY: (
        Code.COUNT_BEYOND_HISTORY,
        "the count is older than the deltas that are kept",
    ),
    Outcome.SNAPSHOT_BEYOND_HISTORY: (
        Code.SNAPSHOT_BEYOND_HISTORY,
        "the book had read less than the deltas that are kept one by one",
    ),
    Outcome.DOCUMENT_LIMIT: (Code.DOCUMENT_LIMIT, "more facts of one line than are kept"),
    Outcome.OVER_RECEIPT: (
        Code.OVER_RECEIPT,
        "more came than was announced or sent; what came is booked",
    ),
    Outcome.RETURN_EXCEEDS: (
        Code.RETURN_EXCEEDS,
        "more came back or was decided on than the return allows",
    ),
}
_DOCUMENTS: Final[dict[str, type[Document]]] = {
    "hold": HoldRow,
    "return": ReturnRow,
    "transfer": TransferRow,
    "advice": AdviceRow,
    "count": CountRow,
    "closed": ClosedRow,
}
LEDGER_PACK: Final = 256
"""Ledger entries per record."""


class Inventory:
    """The stage that owns every SKU of its partitions."""

    name = "inventory"
    inputs: tuple[str, ...] = (topics.INVENTORY_MOVEMENTS,)
    state = topics.INVENTORY_STATE
    state_may_wait = False

    def __init__(
        self, routing: Routing, *, trust_origins: bool = True, compiled: bool = True
    ) -> None:
        self._routing = routing
        self._trust_origins = trust_origins
        self._allocations: dict[int, Allocations] = {}
        self._dormant: dict[int, Dormant] = {}
        self._entries: dict[int, Pack] = {}
        self._packed: dict[int, StockTable] = {}
        self._compiled = compiled
        self._plain = PlainDeltas(trust_origins) if compiled and PlainDeltas is not None else None
        self._skipped = 0

    @property
    def origins_skipped(self) -> int:
        """Movements that were absorbed before."""
        return self._skipped + (self._plain.skipped if self._plain is not None else 0)

    def opened(self, partition: Partition) -> None:
        """Derive the channel rules in force, and what they need."""
        partition.keep_documents(self.inputs[0], _DOCUMENTS, self._routing.document_days)
        if self._plain is not None:
            self._packed[partition.number] = StockTable(partition)
            partition.keep_packed(PackedStock, write_stock)
            partition.write_by(StockRow, write_stock)
            for written in (Written, WrittenDocument):
                partition.keep_packed(written, attrgetter("value"))
        self._entries[partition.number] = pack(LEDGER_PACK, compiled=self._compiled)
        allocations = Allocations(partition, self._routing.allocations[partition.number])
        self._allocations[partition.number] = allocations
        days = self._routing.stock_days
        self._dormant[partition.number] = Dormant(partition, days, allocations.left)

    def closed(self, number: int) -> None:
        """Forget what was derived."""
        if self._plain is not None:
            self._plain.forget()
        self._allocations.pop(number, None)
        self._dormant.pop(number, None)
        self._entries.pop(number, None)
        self._packed.pop(number, None)

    def absorb_run(self, work: Work, records: Fetch, start: int) -> int:
        """Nothing is taken but record by record."""
        return 0

    def absorb(self, work: Work, record: Fetched) -> bool:
        """Apply a record's movements, less those whose origin is absorbed already.

        Before them, rows leave that have been empty for long.
        """
        partition = work.partition
        base = version(partition.position.generation, place(record.offset, 0))
        dormant = self._dormant[partition.number]
        if work.now >= dormant.due and self.inputs[0] not in partition.position.cursor:
            dormant.advance(work.now, base)
        plain = self._plain
        if plain is None:
            work.weigh(record.value or b"")
            numbered = enumerate(decode(record.value or b""))
            return all(self._apply(work, record, one, base, index) for index, one in numbered)
        allocations = self._allocations[partition.number]
        promise_moved = allocations.promise_moved if allocations.rules else None
        entries = self._entries[partition.number]
        packed = self._packed[partition.number]
        plain.begin(record.value or b"", packed, entries, base, work.now, promise_moved)
        while plain.advance():
            work.weigh(plain.element)
            if not self._apply(work, record, decode_one(plain.element), base, plain.index):
                return False
        return True

    def _apply(
        self, work: Work, record: Fetched, movement: AnyMovement, base: int, index: int
    ) -> bool:
        """Apply one movement, if it is new; False where only a part of it was done."""
        partition = work.partition
        position = partition.position
        new = position.absorb_origin(movement.topic, movement.partition, movement.ordinal)
        if not (new or self.inputs[0] in position.cursor) and self._trust_origins:
            self._skipped += 1
            return True
        if not movement.sku:
            # It concerns all, and stands alone in its record, so the cursor is its own.
            return self._sweep(work, movement, base)
        entries = self._entries[partition.number]
        allocations = self._allocations[partition.number]
        change = transition(partition, movement, base + index)
        entries.add(encode_entry(entry_of(change, movement, work.now)))
        if change.outcome is not APPLIED:
            self._answer(work, record, movement, change.outcome)
        for one in change.also:
            entries.add(encode_entry(entry_elsewhere(one, movement, work.now)))
        if allocations.rules:
            for one in (change, *change.also):
                allocations.moved(one, base + index)
        return True

    def _sweep(self, work: Work, movement: AnyMovement, base: int) -> bool:
        if type(movement) is ChannelRuleSet:
            return self._allocations[work.partition.number].rule_set(work, movement, base)
        if type(movement) is CountClosed:
            return self._close_count(work, movement, base)
        raise TypeError(f"no SKU: {type(movement).__name__}")

    def _close_count(self, work: Work, closed: CountClosed, base: int) -> bool:
        """The end of a count, for each SKU that it concerns, a part per step; False until done."""
        partition, number = work.partition, work.partition.number
        allocations, entries = self._allocations[number], self._entries[number]
        cursor = partition.position.cursor
        done = cursor.get(self.inputs[0], 0)
        if done == 0:
            end_count(partition, closed, base)
        skus = _concerned(partition, closed)
        for sku in skus[done : done + SWEEP]:
            change = close_count(partition, closed, sku, base)
            if change is None:
                continue
            entries.add(encode_entry(entry_elsewhere(change, closed, work.now)))
            if allocations.rules:
                allocations.moved(change, base)
        if done + SWEEP < len(skus):
            cursor[self.inputs[0]] = done + SWEEP
            return False
        cursor.pop(self.inputs[0], None)
        return True

    def finish(self, work: Work) -> None:
        """Send the step's ledger entries, and the last allocation of each channel and SKU."""
        destination = self._routing.ledger[work.partition.number]
        for record in self._entries[work.partition.number].taken():
            work.emit(destination, None, record)
        self._allocations[work.partition.number].send(work)

    def _answer(self, work: Work, record: Fetched, movement: AnyMovement, outcome: Outcome) -> None:
        if type(movement) is Hold:
            send_decision(work, self._routing, movement, outcome)
        elif outcome in _BURIED:
            code, reason = _BURIED[outcome]
            bury_movement(work, self._routing, record, movement, code, reason)


def _concerned(partition: Partition, closed: CountClosed) -> list[str]:
    """SKUs with a part in the count; where it is complete, all that the location has."""
    counted = count_key("", closed.location, closed.count)
    skus = {parts(name)[-1] for name in partition.names(counted)}
    if closed.complete:
        stock = map(parts, partition.names("stock|"))
        skus |= {sku for _, sku, location in stock if location == closed.location}
    return sorted(skus)
