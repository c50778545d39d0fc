"""One accepted event to movements, one per line."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import xxhash

from models import events, movements, topics
from models.events import pos, returns, warehouse
from models.instants import Instant
from models.movements import MAX_INDEX, Delta, Movement, Note, ordinal
from models.reading import Reading, ReadLine, location_of
from models.voids import Back

_BUCKET_OF_CONDITION: Final = {
    "sellable": "on_hand",
    "quality_control": "quality_control",
    "damaged": "damaged",
}

_encode = msgspec.json.Encoder().encode


class Place:
    """Where movements come from: the record at hand, and how many it has caused so far."""

    __slots__ = ("index", "offset", "partition")

    def __init__(self, partition: int, offset: int, index: int) -> None:
        self.partition = partition
        self.offset = offset
        self.index = index

    def take(self, number: int) -> int:
        """The ordinal of the first of `number` more. Raises ValueError past a million."""
        first = ordinal(self.offset, self.index)
        self.index += number
        if self.index > MAX_INDEX:
            raise ValueError(f"offset {self.offset} causes more than {MAX_INDEX} movements")
        return first


def content_hash(event: events.SourceEvent) -> int:
    """63 bits over what an event says: its type, its time as sent, its known data.

    A resend has a new id and `sentat`, other key order or unknown fields, and is equal.
    """
    said = (_NUMBER[type(event)], event.time, event.data)
    return xxhash.xxh3_64_intdigest(_encode(said)) >> 1


def number_of(kind: type[events.SourceEvent]) -> int:
    """What stands for a type of event in its content."""
    return _NUMBER[kind]


def normalize(
    event: events.SourceEvent,
    reading: Reading,
    lines: list[ReadLine],
    arrival: str,
    epoch: int,
    sequence: int,
    partition: int,
    first: int,
) -> list[Movement]:
    """The movements of `lines` of an event, as they were read; ordinals go up from `first`."""
    kind = type(event)
    topic, build = _WAYS[kind]
    data = event.data
    location = data.location if kind in _LOCATED else location_of(event)  # type: ignore[union-attr]
    note = None
    if (
        reading.why
        or event.correlationid
        or event.causationid
        or event.traceparent
        or sequence < 0
        or (kind in _DATED and data.business_day)  # type: ignore[union-attr]
    ):
        note = note_of(event, reading, sequence)
    source, effective = event.source, reading.effective
    at = first
    made: list[Movement] = []
    for line in lines:
        if kind is pos.SaleCompleted and line[3].reservation is None and line[4] is None:
            # By far the commonest, hence written out.
            made.append(
                Delta(
                    line[1],
                    location,
                    topic,
                    partition,
                    at,
                    source,
                    epoch,
                    sequence,
                    line[0],
                    effective,
                    arrival,
                    note,
                    "sale",
                    "on_hand",
                    -line[2],
                )
            )
            at += 1
            continue
        make, when, rest = build(data, line, effective, reading)
        code = line[4]
        made.append(
            make(
                line[1],
                location,
                topic,
                partition,
                at,
                source,
                epoch,
                sequence,
                line[0],
                when,
                arrival,
                note if code is None else _with_code(note, event, code),
                *rest,
            )
        )
        at += 1
    return made


def voided(
    event: pos.SaleVoided,
    reading: Reading,
    back: list[Back],
    arrival: str,
    epoch: int,
    sequence: int,
    place: Place,
) -> list[Movement]:
    """The movements of a void, of what it takes back."""
    first = place.take(len(back))
    note = note_of(event, reading, sequence)
    topic = topics.NUMBER[topics.POS_SALES]
    return [
        (Delta if quantity > 0 else movements.Undone)(
            sku,
            event.data.location,
            topic,
            place.partition,
            first + number,
            event.source,
            epoch,
            sequence,
            line,
            at,
            arrival,
            note,
            "void",
            "on_hand",
            quantity,
        )
        for number, (line, sku, quantity, at) in enumerate(back)
    ]


def closing(
    event: warehouse.StockCounted, reading: Reading, epoch: int, sequence: int, place: Place
) -> movements.CountClosed:
    """The movement that ends a count, of which each partition is sent one."""
    count = event.data
    started = reading.effective if count.started is None else reading.instant(count.started)
    return movements.CountClosed(
        "",
        count.location,
        topics.NUMBER[topics.WAREHOUSE_RECEIPTS],
        place.partition,
        place.take(1),
        event.source,
        epoch,
        sequence,
        0,
        reading.effective,
        "in_order",
        note_of(event, reading, sequence),
        count.count,
        min(started, reading.effective),
        count.complete,
        count.scope == "shelf",
    )


def note_of(event: events.SourceEvent, reading: Reading, sequence: int) -> Note | None:
    """What is worth telling of the event; None where it is what its movement says."""
    day = event.data.business_day if type(event) in _DATED else None  # type: ignore[union-attr]
    traced = event.correlationid or event.causationid or event.traceparent
    if not (reading.why or traced or day or sequence == movements.UNSEQUENCED):
        return None
    return Note(
        event.id,
        event.time.isoformat() if reading.why else None,
        reading.why,
        None,
        day,
        event.correlationid,
        event.causationid,
        event.traceparent,
    )


def _with_code(note: Note | None, event: events.SourceEvent, code: str) -> Note:
    return msgspec.structs.replace(note or Note(event.id), code=code)


_Make = Callable[..., Movement]
_Made = tuple[_Make, Instant, tuple[Any, ...]]
"""What a line becomes: the movement's kind, when it counts, the kind's own fields."""

_DELTA: Final[_Make] = Delta
_RECORDED: Final[_Make] = movements.RecordedAdjustment
_DEPARTURE: Final[_Make] = movements.Departure
_SAFETY_STOCK: Final[_Make] = movements.SafetyStockSet
_COUNTED: Final[_Make] = movements.Counted
_BOOKED: Final[_Make] = movements.Booked
_ADVISED: Final[_Make] = movements.Advised
_ADVISED_RECEIPT: Final[_Make] = movements.AdvisedReceipt
_SHIPPED: Final[_Make] = movements.Shipped
_ARRIVED: Final[_Make] = movements.Arrived
_RETURN: Final[_Make] = movements.ReturnStage


def _sale(data: pos.Sale, line: ReadLine, at: Instant, reading: Reading) -> _Made:
    held = line[3].reservation
    if held is None:
        return _DELTA, at, ("sale", "on_hand", -line[2])
    return _DEPARTURE, at, (line[2], held.reservation, held.line)


def _till_return(data: pos.TillReturn, line: ReadLine, at: Instant, reading: Reading) -> _Made:
    return _DELTA, at, ("till_return", _BUCKET_OF_CONDITION[line[3].condition], line[2])


def _receipt(data: warehouse.Receipt, line: ReadLine, at: Instant, reading: Reading) -> _Made:
    bucket = _BUCKET_OF_CONDITION[line[3].condition]
    if data.advice is None:
        return _DELTA, at, ("receipt", bucket, line[2])
    return _ADVISED_RECEIPT, at, (data.advice, bucket, line[2], data.final)


def _advised(data: warehouse.Advice, line: ReadLine, at: Instant, reading: Reading) -> _Made:
    expected = None if data.expected is None else reading.instant(data.expected)
    return _ADVISED, at, (data.advice, line[2], expected, data.cancelled)


def _shipped(data: warehouse.Shipped, line: ReadLine, at: Instant, reading: Reading) -> _Made:
    expected = None if data.expected is None else reading.instant(data.expected)
    own = (data.transfer, line[0], data.destination, line[3].bucket, line[2], expected)
    return _SHIPPED, at, own


def _arrived(data: warehouse.Arrived, line: ReadLine, at: Instant, reading: Reading) -> _Made:
    bucket = _BUCKET_OF_CONDITION[line[3].condition]
    return _ARRIVED, at, (data.transfer, line[0], data.origin, bucket, line[2], data.final)


def _adjustment(data: warehouse.Adjustment, line: ReadLine, at: Instant, reading: Reading) -> _Made:
    if data.count is not None:
        return _RECORDED, at, (data.count, line[2])
    return _DELTA, at, ("adjustment", line[3].bucket, line[2])


def _safety(data: warehouse.SafetyStock, line: ReadLine, at: Instant, reading: Reading) -> _Made:
    return _SAFETY_STOCK, at, (line[2],)


def _count(data: warehouse.Count, line: ReadLine, at: Instant, reading: Reading) -> _Made:
    told = line[3].counted_at
    counted = at if told is None else min(at, reading.instant(told))
    started = counted if data.started is None else min(counted, reading.instant(data.started))
    own = (data.count, line[2], started, data.area, data.final, data.scope == "shelf")
    return _COUNTED, counted, own


def _book(data: warehouse.Book, line: ReadLine, at: Instant, reading: Reading) -> _Made:
    return _BOOKED, at, (line[2], data.through, data.mode == "adopt")


def _stage(name: str) -> Callable[[Any, ReadLine, Instant, Reading], _Made]:
    def build(data: Any, line: ReadLine, at: Instant, reading: Reading) -> _Made:
        sent = line[3]
        disposition = None
        if name == "disposed":
            disposition = sent.disposition or data.disposition
        sold_as = sent.sku if sent.actual_sku is not None else None
        return _RETURN, at, (data.rma, line[0], name, line[2], disposition, sold_as, sent.reason)

    return build


_Build = Callable[[Any, ReadLine, Instant, Reading], _Made]
_BUILDS: Final[dict[str, dict[type, _Build]]] = {
    topics.POS_SALES: {pos.SaleCompleted: _sale, pos.SaleReturned: _till_return},
    topics.WAREHOUSE_RECEIPTS: {
        warehouse.ReceiptReceived: _receipt,
        warehouse.ShipmentAdvised: _advised,
        warehouse.TransferShipped: _shipped,
        warehouse.TransferReceived: _arrived,
        warehouse.StockAdjusted: _adjustment,
        warehouse.SafetyStockSet: _safety,
        warehouse.StockCounted: _count,
        warehouse.SnapshotTaken: _book,
    },
    topics.RETURNS_DISPOSITIONS: {
        returns.ReturnAuthorized: _stage("authorized"),
        returns.ReturnShipped: _stage("shipped"),
        returns.ReturnReceived: _stage("received"),
        returns.ReturnInspected: _stage("inspected"),
        returns.ReturnDisposed: _stage("disposed"),
        returns.ReturnRefunded: _stage("refunded"),
        returns.ReturnCredited: _stage("credited"),
    },
}
_WAYS: Final[dict[type, tuple[int, _Build]]] = {
    kind: (topics.NUMBER[topic], build)
    for topic, builds in _BUILDS.items()
    for kind, build in builds.items()
}

_DATED: Final = frozenset({pos.SaleCompleted, pos.SaleReturned})
_LOCATED: Final = frozenset(_WAYS) - {warehouse.TransferShipped, warehouse.TransferReceived}
_NUMBER: Final = {kind: number for number, kind in enumerate([*_WAYS, pos.SaleVoided])}
