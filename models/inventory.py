"""The transition of the inventory stage: one movement at one SKU and location.

A pure function of rows and movement: no I/O, no clock, no randomness. Every line that
reaches a row leaves a ledger entry, also where it changed nothing.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from models import counts, documents, holds, returns
from models.counts import Rebased, new_row
from models.documents import Judged, Move
from models.instants import Instant
from models.ledger import LedgerEntry
from models.movements import (
    Advised,
    AdvisedReceipt,
    AnyMovement,
    Arrived,
    Booked,
    CountClosed,
    Counted,
    Delta,
    Departure,
    Fulfil,
    Hold,
    Movement,
    Pick,
    RecordedAdjustment,
    Release,
    ReturnStage,
    SafetyStockSet,
    Shipped,
    Undone,
)
from models.outcomes import APPLIED, Outcome
from models.rows import Rows, stock_key
from models.stock import StockRow, move, shift, touched

Deltas = dict[str, int]


class Change(Struct, gc=False):
    """What a movement did: the row before and after, and the deltas of its buckets.

    `also` are the changes of other rows, where a document moves goods between locations.
    """

    row: StockRow
    before: StockRow | None
    kind: str
    outcome: Outcome
    deltas: Deltas
    flags: tuple[str, ...] = ()
    also: "tuple[Change, ...]" = ()


def transition(store: Rows, movement: Movement, version: int) -> Change:
    """Apply one movement to the rows of one partition. `version` is the changed rows' new one."""
    way = _WAYS.get(type(movement))
    if way is None:
        return _absolute(store, movement, version)
    # The commonest way, hence `_own` written out.
    key = stock_key(movement.sku, movement.location)
    before = store.get(key, StockRow)
    if before is None:
        row = new_row(store, movement.sku, movement.location, version, movement.effective)
    else:
        row = touched(before, version, movement.effective)
    kind, handle = way
    outcome, deltas = handle(store, row, movement)
    if kind == "delta":
        kind = movement.cause  # type: ignore[attr-defined]
    store.put(key, row)
    return Change(row, before, kind, outcome, deltas)


def _own(
    store: Rows, sku: str, location: str, version: int, effective: Instant
) -> tuple[StockRow | None, StockRow]:
    """The row as it is, and a copy that may be changed."""
    before = store.get(stock_key(sku, location), StockRow)
    if before is None:
        return None, new_row(store, sku, location, version, effective)
    return before, touched(before, version, effective)


def _absolute(store: Rows, movement: Movement, version: int) -> Change:
    """Counts, books and documents: what they state, and with it what is to be moved."""
    kind, judge = _DOCUMENTS.get(type(movement), ("", None))
    if judge is not None:
        return _document(store, movement, version, kind, judge(store, movement, version))
    before, row = _own(store, movement.sku, movement.location, version, movement.effective)
    kind, state = _STATEMENTS[type(movement)]
    outcome, correction, flags = state(store, row, movement)
    store.put(stock_key(movement.sku, movement.location), row)
    return Change(row, before, kind, outcome, {"on_hand": correction} if correction else {}, flags)


def close_count(store: Rows, closed: CountClosed, sku: str, version: int) -> Change | None:
    """What the end of a count does to one SKU of its location; None where nothing."""
    before, row = _own(store, sku, closed.location, version, closed.effective)
    done = counts.close(store, row, closed)
    if done is None:
        return None
    store.put(stock_key(sku, closed.location), row)
    deltas = {"on_hand": done.correction} if done.correction else {}
    return Change(row, before, "count", done.outcome, deltas, done.flags)


def _document(store: Rows, movement: Movement, version: int, kind: str, judged: Judged) -> Change:
    """Move what a document's counters come to by now, in the rows of all its locations."""
    outcome, here = judged.outcome, movement.location
    by_location: dict[str, list[Move]] = {here: []}
    for made in judged.moves:
        by_location.setdefault(made[1], []).append(made)
    changes = []
    for location in sorted(by_location, key=lambda one: (one != here, one)):
        before, row = _own(store, movement.sku, location, version, movement.effective)
        deltas: Deltas = {}
        for at, bucket, units, reverses in _netted(by_location[location]):
            if bucket == "on_hand":
                done = shift(store, row, units, movement, at, reverses=reverses)
                changed = units if done is APPLIED else 0
            else:
                done, changed = move(row, bucket, units)
            deltas[bucket] = deltas.get(bucket, 0) + changed
            if done is Outcome.BUCKET_NEGATIVE or (done is not APPLIED and outcome is APPLIED):
                outcome = done
        store.put(stock_key(movement.sku, location), row)
        deltas = {bucket: units for bucket, units in deltas.items() if units}
        changes.append(Change(row, before, kind, outcome, deltas, judged.flags))
    store.put(judged.key, judged.row)
    first, *others = changes
    first.outcome, first.also = outcome, tuple(others)
    return first


def _netted(moves: list[Move]) -> list[tuple[Instant, str, int, bool]]:
    """Moves at one location; only on_hand has a history, so only there it matters when."""
    if len(moves) == 1:
        at, _, bucket, units, reverses = moves[0]
        return [(at, bucket, units, reverses)]
    timed = [
        (at, bucket, units, back) for at, _, bucket, units, back in moves if bucket == "on_hand"
    ]
    net: Deltas = {}
    for _, _, bucket, units, _ in moves:
        if bucket != "on_hand":
            net[bucket] = net.get(bucket, 0) + units
    return timed + [(0, bucket, units, False) for bucket, units in sorted(net.items()) if units]


def entry_of(change: Change, movement: AnyMovement, received: Instant) -> LedgerEntry:
    """The ledger entry of a change; `received` is when the movement's record stood in the log."""
    row, before = change.row, change.before
    return LedgerEntry(
        row.version,
        before.version if before is not None else -1,
        change.kind,
        change.outcome,
        received,
        change.deltas,
        row.on_hand,
        row.reserved,
        row.quality_control,
        row.damaged,
        row.in_transit,
        row.incoming,
        row.safety_stock,
        row.variance,
        movement,
        change.flags,
    )


def entry_elsewhere(change: Change, movement: AnyMovement, received: Instant) -> LedgerEntry:
    """The entry of a row that is not the movement's own."""
    row = change.row
    there = replace(movement, sku=row.sku, location=row.location)
    return entry_of(change, there, received)


def _delta(store: Rows, row: StockRow, movement: Delta) -> tuple[Outcome, Deltas]:
    quantity, bucket = movement.quantity, movement.bucket
    if bucket == "on_hand":
        outcome = shift(store, row, quantity, movement, movement.effective)
        return outcome, {bucket: quantity} if outcome is APPLIED else {}
    outcome, moved = move(row, bucket, quantity)
    return outcome, {bucket: moved} if moved else {}


def _undone(store: Rows, row: StockRow, movement: Undone) -> tuple[Outcome, Deltas]:
    quantity = movement.quantity
    outcome = shift(store, row, quantity, movement, movement.effective, reverses=True)
    return outcome, {"on_hand": quantity} if outcome is APPLIED else {}


def _recorded(store: Rows, row: StockRow, movement: RecordedAdjustment) -> tuple[Outcome, Deltas]:
    return Outcome.RECORDED, {}


def _safety_stock(store: Rows, row: StockRow, movement: SafetyStockSet) -> tuple[Outcome, Deltas]:
    stated = (movement.effective, movement.sequence)
    if row.safety_at is not None and (*stated, movement.quantity) < (
        *row.safety_at,
        row.safety_stock,
    ):
        return Outcome.SUPERSEDED, {}
    row.safety_at = stated
    difference = movement.quantity - row.safety_stock
    row.safety_stock = movement.quantity
    return Outcome.APPLIED, {"safety_stock": difference}


def _departure(store: Rows, row: StockRow, movement: Departure) -> tuple[Outcome, Deltas]:
    reserved = row.reserved
    outcome, left = holds.sell(
        store, row, movement.reservation, movement.reservation_line, movement.quantity
    )
    return outcome, _left(store, row, movement, left, reserved)


def _hold(store: Rows, row: StockRow, movement: Hold) -> tuple[Outcome, Deltas]:
    reserved = row.reserved
    outcome = holds.hold(store, row, movement.source, movement.line, movement.quantity)
    return outcome, _reserved(row, reserved)


def _pick(store: Rows, row: StockRow, movement: Pick) -> tuple[Outcome, Deltas]:
    return holds.pick(store, row, movement.source, movement.line, movement.quantity), {}


def _release(store: Rows, row: StockRow, movement: Release) -> tuple[Outcome, Deltas]:
    reserved = row.reserved
    outcome = holds.release(store, row, movement.source, movement.line)
    return outcome, _reserved(row, reserved)


def _fulfil(store: Rows, row: StockRow, movement: Fulfil) -> tuple[Outcome, Deltas]:
    reserved = row.reserved
    outcome, left = holds.fulfil(store, row, movement.source, movement.line, movement.quantity)
    return outcome, _left(store, row, movement, left, reserved)


def _reserved(row: StockRow, before: int) -> Deltas:
    return {"reserved": row.reserved - before} if row.reserved != before else {}


def _left(store: Rows, row: StockRow, movement: Movement, left: int, reserved: int) -> Deltas:
    return _also_on_hand(store, row, movement, -left, _reserved(row, reserved))


def _also_on_hand(
    store: Rows, row: StockRow, movement: Movement, quantity: int, deltas: Deltas
) -> Deltas:
    at = movement.effective
    if quantity and shift(store, row, quantity, movement, at) is APPLIED:
        deltas["on_hand"] = quantity
    return deltas


_WAYS: Final[dict[type, tuple[str, Callable[[Rows, StockRow, Any], tuple[Outcome, Deltas]]]]] = {
    Delta: ("delta", _delta),
    Undone: ("void", _undone),
    RecordedAdjustment: ("adjustment", _recorded),
    SafetyStockSet: ("safety_stock", _safety_stock),
    Departure: ("sale", _departure),
    Hold: ("hold", _hold),
    Release: ("release", _release),
    Pick: ("pick", _pick),
    Fulfil: ("fulfil", _fulfil),
}
_STATEMENTS: Final[dict[type, tuple[str, Callable[[Rows, StockRow, Any], Rebased]]]] = {
    Counted: ("count", counts.count),
    Booked: ("book", counts.book),
}
_DOCUMENTS: Final[dict[type, tuple[str, Callable[[Rows, Any, int], Judged] | None]]] = {
    Advised: ("advice", documents.advise),
    AdvisedReceipt: ("receipt", documents.receive),
    Shipped: ("transfer", documents.ship),
    Arrived: ("transfer", documents.arrive),
    ReturnStage: ("return", returns.take),
}
