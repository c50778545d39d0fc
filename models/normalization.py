"""One accepted event to movements, one per line."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import xxhash

from models import events, movements, topics
from models.decoding import sequence_of
from models.instants import HOUR, Instant, from_datetime
from models.movements import MAX_INDEX, Delta, Movement, ordinal

_BUCKET_OF_CONDITION: Final = {
    "sellable": "on_hand",
    "quality_control": "quality_control",
    "damaged": "damaged",
}
FUTURE: Final[Instant] = 24 * HOUR
"""How far ahead of its record an event may lie: else one wrong clock ends a row's history."""

_encode = msgspec.json.Encoder().encode


def content_hash(event: events.SourceEvent) -> int:
    """64 bits over what an event says: its type, its time as sent, its known data.

    A resend has a new id and `sentat`, other key order or unknown fields, and is equal.
    """
    said = (_NUMBER[type(event)], event.time, event.data)
    return xxhash.xxh3_64_intdigest(_encode(said)) >> 1


def normalize(
    event: events.SourceEvent,
    arrival: str,
    lines: frozenset[int] | None,
    partition: int,
    offset: int,
    first_index: int,
    now: Instant,
) -> list[Movement]:
    """The movements of `event`, or of its `lines` only; indexes go up from `first_index`.

    `partition`, `offset` and `now` are those of the record that holds the event; what
    claims to be from further ahead than `FUTURE` counts as from then. Raises ValueError
    where the record causes more than a million movements.
    """
    topic, build = _WAYS[type(event)]
    data = event.data
    wanted: list[Any] = list(data.lines)
    if lines is not None:
        wanted = [line for line in wanted if line.line in lines]
    place = ordinal(offset, first_index)
    if first_index + len(wanted) > MAX_INDEX:
        raise ValueError(f"offset {offset} causes more than {MAX_INDEX} movements")
    sequence = event.sequence
    if type(sequence) is not int:
        sequence = sequence_of(event)
    effective = from_datetime(event.time)
    effective = min(effective, now + FUTURE)
    source, epoch, location = event.source, event.epoch, data.location
    made: list[Movement] = []
    for line in wanted:
        make, sku, when, rest = build(data, line, effective)
        made.append(
            make(
                sku,
                location,
                topic,
                partition,
                place,
                source,
                epoch,
                sequence,
                line.line,
                when,
                arrival,
                *rest,
            )
        )
        place += 1
    return made


_Make = Callable[..., Movement]
_Made = tuple[_Make, str, Instant, tuple[Any, ...]]
"""What a line becomes: the movement's kind, its SKU, when it counts, the kind's own fields."""

_DELTA: Final[_Make] = Delta
_RECORDED: Final[_Make] = movements.RecordedAdjustment
_DEPARTURE: Final[_Make] = movements.Departure
_SAFETY_STOCK: Final[_Make] = movements.SafetyStockSet
_COUNTED: Final[_Make] = movements.Counted
_DISPOSED: Final[_Make] = movements.Disposed


def _sale(data: events.Sale, line: events.SaleLine, at: Instant) -> _Made:
    held = line.reservation
    if held is None:
        return _DELTA, line.sku, at, ("sale", "on_hand", -line.quantity)
    return _DEPARTURE, line.sku, at, (line.quantity, held.reservation, held.line)


def _till_return(data: events.TillReturn, line: events.TillReturnLine, at: Instant) -> _Made:
    bucket = _BUCKET_OF_CONDITION[line.condition]
    return _DELTA, line.sku, at, ("till_return", bucket, line.quantity)


def _receipt(data: events.Receipt, line: events.ReceiptLine, at: Instant) -> _Made:
    bucket = _BUCKET_OF_CONDITION[line.condition]
    return _DELTA, line.sku, at, ("receipt", bucket, line.quantity)


def _adjustment(data: events.Adjustment, line: events.AdjustmentLine, at: Instant) -> _Made:
    if data.count is not None:
        return _RECORDED, line.sku, at, (data.count, line.quantity)
    return _DELTA, line.sku, at, ("adjustment", line.bucket, line.quantity)


def _safety_stock(data: events.SafetyStock, line: events.SafetyStockLine, at: Instant) -> _Made:
    return _SAFETY_STOCK, line.sku, at, (line.quantity,)


def _count(data: events.Count, line: events.CountLine, at: Instant) -> _Made:
    counted = at if line.counted_at is None else min(at, from_datetime(line.counted_at))
    started = counted if data.started is None else min(counted, from_datetime(data.started))
    return _COUNTED, line.sku, counted, (data.count, line.quantity, started)


def _disposition(data: events.Disposed, line: events.DispositionLine, at: Instant) -> _Made:
    disposition = line.disposition or data.disposition
    sku = line.actual_sku or line.sku
    return _DISPOSED, sku, at, (data.rma, line.line, disposition, line.quantity)


_WAYS: Final[dict[type, tuple[int, Callable[[Any, Any, Instant], _Made]]]] = {
    events.SaleCompleted: (topics.NUMBER[topics.POS_SALES], _sale),
    events.SaleReturned: (topics.NUMBER[topics.POS_SALES], _till_return),
    events.ReceiptReceived: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _receipt),
    events.StockAdjusted: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _adjustment),
    events.SafetyStockSet: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _safety_stock),
    events.StockCounted: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _count),
    events.ReturnDisposed: (topics.NUMBER[topics.RETURNS_DISPOSITIONS], _disposition),
}

_NUMBER: Final = {kind: number for number, kind in enumerate(_WAYS)}
