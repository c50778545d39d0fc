"""The transition of the inventory stage: one movement at one SKU and location.

A pure function of rows and movement: no I/O, no clock, no randomness. Every line that
reaches a row leaves a ledger entry, also where it changed nothing.
"""

from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct

from models import counts, holds, returns
from models.instants import Instant
from models.ledger import LedgerEntry
from models.movements import (
    AnyMovement,
    Counted,
    Delta,
    Departure,
    Disposed,
    Fulfil,
    Hold,
    Movement,
    RecordedAdjustment,
    Release,
    SafetyStockSet,
)
from models.outcomes import APPLIED, Outcome
from models.rows import Rows, stock_key
from models.stock import StockRow, empty, shift, touched

Deltas = dict[str, int]


class Change(Struct, gc=False):
    """What a movement did: the row before and after, and the deltas of its buckets."""

    row: StockRow
    before: StockRow | None
    kind: str
    outcome: Outcome
    deltas: Deltas


def transition(store: Rows, movement: Movement, version: int) -> Change:
    """Apply one movement to the rows of one partition. `version` is the changed rows' new one."""
    key = stock_key(movement.sku, movement.location)
    before = store.get(key, StockRow)
    if before is None:
        row = empty(movement.sku, movement.location, version, movement.effective)
        row.book = 1
    else:
        row = touched(before, version, movement.effective)
    kind, handle = _WAYS[type(movement)]
    outcome, deltas = handle(store, row, movement)
    if kind == "delta":
        kind = movement.cause  # type: ignore[attr-defined]
    store.put(key, row)
    return Change(row, before, kind, outcome, deltas)


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
    )


def _delta(store: Rows, row: StockRow, movement: Delta) -> tuple[Outcome, Deltas]:
    quantity = movement.quantity
    outcome = shift(store, row, movement.bucket, quantity, movement)
    return outcome, {movement.bucket: quantity} if outcome is APPLIED else {}


def _recorded(store: Rows, row: StockRow, movement: RecordedAdjustment) -> tuple[Outcome, Deltas]:
    return Outcome.RECORDED, {}


def _safety_stock(store: Rows, row: StockRow, movement: SafetyStockSet) -> tuple[Outcome, Deltas]:
    stated = (movement.effective, movement.sequence)
    if row.safety_at is not None and stated < row.safety_at:
        return Outcome.SUPERSEDED, {}
    row.safety_at = stated
    difference = movement.quantity - row.safety_stock
    row.safety_stock = movement.quantity
    return Outcome.APPLIED, {"safety_stock": difference}


def _count(store: Rows, row: StockRow, movement: Counted) -> tuple[Outcome, Deltas]:
    outcome, correction = counts.rebase(store, row, movement)
    return outcome, {"on_hand": correction} if outcome is Outcome.REBASED else {}


def _disposition(store: Rows, row: StockRow, movement: Disposed) -> tuple[Outcome, Deltas]:
    outcome, on_hand, quality_control = returns.dispose(store, movement, row.version)
    row.quality_control += quality_control
    deltas = {"quality_control": quality_control} if quality_control else {}
    return outcome, _also_on_hand(store, row, movement, on_hand, deltas)


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
    if quantity and shift(store, row, "on_hand", quantity, movement) is APPLIED:
        deltas["on_hand"] = quantity
    return deltas


_Handler = Callable[[Rows, StockRow, Any], tuple[Outcome, Deltas]]
_WAYS: Final[dict[type[Movement], tuple[str, _Handler]]] = {
    Delta: ("delta", _delta),
    RecordedAdjustment: ("adjustment", _recorded),
    SafetyStockSet: ("safety_stock", _safety_stock),
    Counted: ("count", _count),
    Disposed: ("disposition", _disposition),
    Departure: ("sale", _departure),
    Hold: ("hold", _hold),
    Release: ("release", _release),
    Fulfil: ("fulfil", _fulfil),
}
