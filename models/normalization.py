"""One accepted event to movements, one per line."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec
import xxhash

from models import events, movements, topics
from models.decoding import sequence_of
from models.instants import Instant, from_datetime
from models.movements import Delta, Movement, ordinal

_BUCKET_OF_CONDITION: Final = {
    "sellable": "on_hand",
    "quality_control": "quality_control",
    "damaged": "damaged",
}
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
) -> list[Movement]:
    """The movements of `event`, or of its `lines` only; indexes go up from `first_index`.

    `partition` and `offset` are those of the record that holds the event. Raises
    ValueError where the record causes more than a million movements.
    """
    topic, build = _WAYS[type(event)]
    data = event.data
    wanted: list[Any] = list(data.lines)
    if lines is not None:
        wanted = [line for line in wanted if line.line in lines]
    ordinal(offset, first_index + len(wanted))
    sequence = event.sequence
    if type(sequence) is not int:
        sequence = sequence_of(event)
    head = Head(
        data.location,
        topic,
        partition,
        ordinal(offset, first_index),
        event.source,
        event.epoch,
        sequence,
        from_datetime(event.time),
        arrival,
    )
    return build(data, wanted, head)


class Head(NamedTuple):
    """What the movements of one event have in common; `place` is the first one's ordinal."""

    location: str
    topic: int
    partition: int
    place: int
    source: str
    epoch: int
    sequence: int
    effective: Instant
    arrival: str


def _sales(data: events.Sale, lines: list[events.SaleLine], head: Head) -> list[Movement]:
    location, topic, partition, place, source, epoch, sequence, effective, arrival = head
    # The common case, written out: nine of ten movements are plain sale lines.
    return [
        Delta(
            line.sku,
            location,
            topic,
            partition,
            place + index,
            source,
            epoch,
            sequence,
            line.line,
            effective,
            arrival,
            "sale",
            "on_hand",
            -line.quantity,
        )
        if line.reservation is None
        else _departure(line, line.reservation, head, index)
        for index, line in enumerate(lines)
    ]


def _common(sku: str, number: int, head: Head, index: int) -> tuple[Any, ...]:
    location, topic, partition, place, *rest, effective, arrival = head
    return (sku, location, topic, partition, place + index, *rest, number, effective, arrival)


def _departure(
    line: events.SaleLine, held: events.ReservationLine, head: Head, index: int
) -> Movement:
    common = _common(line.sku, line.line, head, index)
    return _DEPARTURE(*common, line.quantity, held.reservation, held.line)


def _till_returns(
    data: events.TillReturn, lines: list[events.TillReturnLine], head: Head
) -> list[Movement]:
    return [
        _DELTA(
            *_common(line.sku, line.line, head, index),
            "till_return",
            _BUCKET_OF_CONDITION[line.condition],
            line.quantity,
        )
        for index, line in enumerate(lines)
    ]


def _receipts(data: events.Receipt, lines: list[events.ReceiptLine], head: Head) -> list[Movement]:
    return [
        _DELTA(
            *_common(line.sku, line.line, head, index),
            "receipt",
            _BUCKET_OF_CONDITION[line.condition],
            line.quantity,
        )
        for index, line in enumerate(lines)
    ]


def _adjustments(
    data: events.Adjustment, lines: list[events.AdjustmentLine], head: Head
) -> list[Movement]:
    if data.count is not None:
        return [
            _RECORDED(*_common(line.sku, line.line, head, index), data.count, line.quantity)
            for index, line in enumerate(lines)
        ]
    return [
        _DELTA(*_common(line.sku, line.line, head, index), "adjustment", line.bucket, line.quantity)
        for index, line in enumerate(lines)
    ]


def _safety_stocks(
    data: events.SafetyStock, lines: list[events.SafetyStockLine], head: Head
) -> list[Movement]:
    return [
        _SAFETY_STOCK(*_common(line.sku, line.line, head, index), line.quantity)
        for index, line in enumerate(lines)
    ]


def _counts(data: events.Count, lines: list[events.CountLine], head: Head) -> list[Movement]:
    made = []
    for index, line in enumerate(lines):
        at = head.effective if line.counted_at is None else from_datetime(line.counted_at)
        started = at if data.started is None else min(at, from_datetime(data.started))
        common = _common(line.sku, line.line, head._replace(effective=at), index)
        made.append(_COUNTED(*common, data.count, line.quantity, started))
    return made


def _dispositions(
    data: events.Disposed, lines: list[events.DispositionLine], head: Head
) -> list[Movement]:
    return [
        _DISPOSED(
            *_common(line.actual_sku or line.sku, line.line, head, index),
            data.rma,
            line.line,
            line.disposition or data.disposition,
            line.quantity,
        )
        for index, line in enumerate(lines)
    ]


_Make = Callable[..., Movement]
_DELTA: Final[_Make] = Delta
_RECORDED: Final[_Make] = movements.RecordedAdjustment
_DEPARTURE: Final[_Make] = movements.Departure
_SAFETY_STOCK: Final[_Make] = movements.SafetyStockSet
_COUNTED: Final[_Make] = movements.Counted
_DISPOSED: Final[_Make] = movements.Disposed

_WAYS: Final[dict[type, tuple[int, Callable[[Any, Any, Head], list[Movement]]]]] = {
    events.SaleCompleted: (topics.NUMBER[topics.POS_SALES], _sales),
    events.SaleReturned: (topics.NUMBER[topics.POS_SALES], _till_returns),
    events.ReceiptReceived: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _receipts),
    events.StockAdjusted: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _adjustments),
    events.SafetyStockSet: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _safety_stocks),
    events.StockCounted: (topics.NUMBER[topics.WAREHOUSE_RECEIPTS], _counts),
    events.ReturnDisposed: (topics.NUMBER[topics.RETURNS_DISPOSITIONS], _dispositions),
}

_NUMBER: Final = {kind: number for number, kind in enumerate(_WAYS)}
