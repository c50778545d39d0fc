"""One accepted event to movements, one per line."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import xxhash

from models import events, movements, topics
from models.decoding import sequence_of
from models.instants import from_datetime
from models.movements import Movement, ordinal

_BUCKET_OF_CONDITION: Final = {
    "sellable": "on_hand",
    "quality_control": "quality_control",
    "damaged": "damaged",
}
_encode = msgspec.json.Encoder().encode

_Common = tuple[Any, ...]
_Make = Callable[..., Movement]

_DELTA: Final[_Make] = movements.Delta
_RECORDED: Final[_Make] = movements.RecordedAdjustment
_DEPARTURE: Final[_Make] = movements.Departure
_SAFETY_STOCK: Final[_Make] = movements.SafetyStockSet
_COUNTED: Final[_Make] = movements.Counted
_DISPOSED: Final[_Make] = movements.Disposed


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
) -> list[Movement]:
    """The movements of `event`, or of its `lines` only; indexes go up from `first_index`.

    `partition` and `offset` are those of the record that holds the event. Raises
    ValueError where the record causes more than a million movements.
    """
    topic, build = _WAYS[type(event)]
    sequence = event.sequence
    if type(sequence) is not int:
        sequence = sequence_of(event)
    effective = from_datetime(event.time)
    source, epoch, data = event.source, event.epoch, event.data
    location = data.location
    place = ordinal(offset, first_index)
    ordinal(offset, first_index + len(data.lines))
    made: list[Movement] = []
    for line in data.lines:
        number = line.line
        if lines is not None and number not in lines:
            continue
        common = (
            line.sku,
            location,
            topic,
            partition,
            place,
            source,
            epoch,
            sequence,
            number,
            effective,
            arrival,
        )
        made.append(build(data, line, common))
        place += 1
    return made


def _sale(data: events.Sale, line: events.SaleLine, common: _Common) -> Movement:
    if line.reservation is None:
        return _DELTA(*common, "sale", "on_hand", -line.quantity)
    held = line.reservation
    return _DEPARTURE(*common, line.quantity, held.reservation, held.line)


def _till_return(data: events.TillReturn, line: events.TillReturnLine, common: _Common) -> Movement:
    bucket = _BUCKET_OF_CONDITION[line.condition]
    return _DELTA(*common, "till_return", bucket, line.quantity)


def _receipt(data: events.Receipt, line: events.ReceiptLine, common: _Common) -> Movement:
    bucket = _BUCKET_OF_CONDITION[line.condition]
    return _DELTA(*common, "receipt", bucket, line.quantity)


def _adjustment(data: events.Adjustment, line: events.AdjustmentLine, common: _Common) -> Movement:
    if data.count is not None:
        return _RECORDED(*common, data.count, line.quantity)
    return _DELTA(*common, "adjustment", line.bucket, line.quantity)


def _safety_stock(
    data: events.SafetyStock, line: events.SafetyStockLine, common: _Common
) -> Movement:
    return _SAFETY_STOCK(*common, line.quantity)


def _count(data: events.Count, line: events.CountLine, common: _Common) -> Movement:
    *identity, time, arrival = common
    counted = time if line.counted_at is None else from_datetime(line.counted_at)
    started = counted if data.started is None else min(counted, from_datetime(data.started))
    return _COUNTED(*identity, counted, arrival, data.count, line.quantity, started)


def _disposition(data: events.Disposed, line: events.DispositionLine, common: _Common) -> Movement:
    disposition = line.disposition or data.disposition or "quarantine"
    _, *rest = common
    sku = line.actual_sku or line.sku
    return _DISPOSED(sku, *rest, data.rma, line.line, disposition, line.quantity)


_WAYS: Final[dict[type, tuple[int, Callable[[Any, Any, _Common], Movement]]]] = {
    events.SaleCompleted: (topics.NUMBER[topics.POS_SALES], _sale),
    events.SaleReturned: (topics.NUMBER[topics.POS_SALES], _till_return),
    events.ReceiptReceived: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _receipt),
    events.StockAdjusted: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _adjustment),
    events.SafetyStockSet: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _safety_stock),
    events.StockCounted: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _count),
    events.ReturnDisposed: (topics.NUMBER[topics.RETURNS_DISPOSITIONS], _disposition),
}

_NUMBER: Final = {kind: number for number, kind in enumerate(_WAYS)}
