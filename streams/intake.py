"""Intake: decode, dedupe per source, order, normalize; movements keyed by SKU come out."""

from operator import attrgetter
from typing import Final

import msgspec
from msgspec import Struct

from models import announcements, movements, topics, voids
from models.arrival import (
    WHOLE,
    Arrived,
    Sale,
    Sold,
    SourceRow,
    arrive,
    change_sale,
    encode_sold,
    epoch_of,
    find_sale,
    id_hash,
    identify,
    leave_open,
    mended,
    repeated,
    source_key,
    visit,
    was_taken_before,
)
from models.decoding import Decoder
from models.events import Control, SourceEvent, pos, service, warehouse
from models.events.pos import SaleCompleted, SaleVoided
from models.instants import MILLISECOND, from_datetime
from models.movements import UNSEQUENCED, ordinal
from models.native import PackedSource, PlainEvents, Written, write_source
from models.normalization import Place, closing, content_hash, normalize, voided
from models.outcomes import Arrival, Code
from models.reading import Held, Reading, ReadLine, read
from models.reference import Catalog, Reference
from models.rows import version
from runtime.records import Fetch, Fetched
from streams.controls import REFERENCE_KEY, beat, move_reference, open_epoch
from streams.dead_letters import MAX_RECORD_BYTES, bury, bury_if_too_large
from streams.engine.partition import Partition
from streams.engine.stage import MAX_STEP_WEIGHT, Work
from streams.holding import HeldRow, Holding, epoch_want, held_key, sale_want
from streams.packing import Packing
from streams.routing import Routing

_REFUSALS: Final = {
    Arrival.CONFLICT: (
        Code.CONFLICT,
        "the sequence or id was seen with other content; the first stands",
    ),
    Arrival.GAP_LIMIT: (Code.GAP_LIMIT, "the source has more gaps or epochs than are kept"),
    Arrival.SUSPECTED_RESET: (
        Code.SUSPECTED_RESET,
        "the sequence was seen, but the event is newer than all its source has sent",
    ),
    Arrival.BEYOND_IDENTITY: (
        Code.BEYOND_IDENTITY,
        "without sequence and older than ids are remembered: it may be a repeat",
    ),
    Arrival.IDENTITY_LIMIT: (Code.IDENTITY_LIMIT, "more ids than are remembered"),
}


_CONTROLS: Final = frozenset({service.HeartbeatSent, service.EpochOpened, service.ReferenceMoved})
_FOLLOWED_UP: Final = frozenset(
    {warehouse.StockCounted, warehouse.ShipmentAdvised, warehouse.ReceiptReceived}
)


class Element(Struct, gc=False):
    """One event of a record, on its way through intake."""

    work: Work
    record: Fetched
    index: int
    original: bytes
    open_lines: tuple[int, ...] = ()

    def place(self) -> Place:
        """Where further movements of the record come from."""
        work = self.work
        return Place(work.partition.number, work.offset, work.index)


class Intake:
    """The stage that turns what sources say into movements."""

    name = "intake"
    inputs: tuple[str, ...] = topics.SOURCE_TOPICS
    state = topics.INVENTORY_SOURCES
    state_may_wait = True

    def __init__(
        self, routing: Routing, catalog: Catalog | None = None, *, compiled: bool = True
    ) -> None:
        self._routing = routing
        self.catalog = catalog or Catalog()
        self._decoders = {topic: Decoder(topic) for topic in self.inputs}
        self._known: dict[tuple[str, str], tuple[bytes, str]] = {}
        packing = self._packing = Packing(routing, compiled=compiled)
        self._plain: dict[str, PlainEvents] = {}
        if compiled and PlainEvents is not None:
            self._plain = {topic: PlainEvents(topic, packing.packs) for topic in self.inputs}
        self._holding: dict[int, Holding] = {}
        self._references: dict[tuple[int, str], Reference] = {}

    def opened(self, partition: Partition) -> None:
        """Derive what is held, and which reference data is in use."""
        kinds = {"announced": announcements.AnnouncedRow}
        days = self._routing.document_days
        partition.keep_documents(topics.WAREHOUSE_RECEIPTS, kinds, days)
        if self._plain:
            partition.keep_packed(PackedSource, write_source)
            partition.keep_packed(Written, attrgetter("value"))
        self._holding[partition.number] = Holding(partition, self._routing)
        for topic in self.inputs:
            offsets = partition.position.reference.get(topic, {})
            self._references[partition.number, topic] = Reference(self.catalog, offsets)

    def closed(self, number: int) -> None:
        """Forget what was derived, and what the unfinished step would have sent."""
        self._packing.drop()
        for plain in self._plain.values():
            plain.forget()
        self._holding.pop(number, None)
        for topic in self.inputs:
            self._references.pop((number, topic), None)

    def finish(self, work: Work) -> None:
        """Send the step's movements."""
        self._packing.flush(work)

    def behind_reference(self) -> list[tuple[str, int]]:
        """Input partitions that do not use the latest reference data yet."""
        latest = self.catalog.ends
        return sorted(
            (topic, number)
            for (number, topic), reference in self._references.items()
            if any(reference.offsets.get(name, 0) < end for name, end in latest.items())
        )

    def absorb_run(self, work: Work, records: Fetch, start: int) -> int:
        """Take plain events as far as they go."""
        plain = self._plain.get(work.topic)
        reference = self._references[work.partition.number, work.topic]
        if plain is None or not reference.is_read():
            return 0
        if work.topic in work.partition.position.cursor:
            return 0
        return plain.take_run(records, start, work, reference, MAX_RECORD_BYTES, MAX_STEP_WEIGHT)

    def absorb(self, work: Work, record: Fetched) -> bool:
        """Take one record: an event, or an array of events of one source.

        False where it waits for reference data that is still to be read.
        """
        if not self._references[work.partition.number, work.topic].is_read():
            return _wait(work)
        work.partition.position.cursor.pop(work.topic, None)
        if bury_if_too_large(work, self._routing, record):
            return True
        decoder = self._decoders[work.topic]
        value = record.value
        work.weigh(value or b"")
        event = decoder.single(value)
        if event is not None:
            element = Element(work, record, 0, value or b"")
            if type(event) is service.ReferenceMoved and record.key == REFERENCE_KEY:
                return self._move_reference(work, event)
            self._take(element, event)  # type: ignore[arg-type]
            return True
        for one in decoder.elements(value):
            taken = True
            if one.event is not None:
                element = Element(work, record, one.place, one.original, one.open_lines)
                taken = self._take(element, one.event)  # type: ignore[arg-type]
            if taken:
                for code, reason, index, original in one.rejected:
                    bury(work, self._routing, record, code, reason, index, original)
        return True

    def _take(self, element: Element, event: SourceEvent | Control) -> bool:
        """Take one event; False where nothing of it was new."""
        record, work = element.record, element.work
        source = event.source
        known = self._known.get((work.topic, source))
        if known is None:
            known = source.encode(), source_key(work.topic, source)
            self._known[work.topic, source] = known
        record_key, key = known
        if record.key != record_key:
            self._bury(element, Code.MISROUTED, "the record's key is not the event's source")
            return True
        partition = work.partition
        row_version = version(partition.position.generation, record.offset)
        row = partition.get(key, SourceRow)
        if row is None:
            row = SourceRow(version=row_version, source=source, topic=work.topic)
        row.version = row_version
        row.now = work.now
        if key not in partition.changed:
            partition.put(key, row)
        if type(event) in _CONTROLS:
            self._control(element, row, event)  # type: ignore[arg-type]
            return True
        return self._accept(element, row, event)  # type: ignore[arg-type]

    def _control(self, element: Element, row: SourceRow, event: Control) -> None:
        if isinstance(event, service.HeartbeatSent):
            for reason in beat(row, event):
                self._bury(element, Code.CONTROL_TOTALS, reason)
        elif isinstance(event, service.EpochOpened):
            holding = self._holding[element.work.partition.number]
            open_epoch(element.work, holding, row, event)
        else:
            self._bury(element, Code.RESERVED_TYPE, "only the service moves to reference data")

    def _accept(self, element: Element, row: SourceRow, event: SourceEvent) -> bool:
        """Dedupe, read and normalize one event; False where nothing of it was new."""
        work = element.work
        epoch, sequence, is_latest = _identity(row, event)
        received = element.record.timestamp * MILLISECOND
        reading = read(
            event,
            row,
            self._references[work.partition.number, work.topic],
            received,
            is_latest=is_latest,
        )
        held = reading.held
        sale: Sale | None = None
        if type(event) is SaleVoided and not held:
            sale = find_sale(work.partition, row, epoch, event.data.transaction)
            if sale is None:
                held = [_waits_for_sale(event)]
        open_lines = _open_lines(element, held) if held else element.open_lines
        arrived = _arrive(work, row, event, epoch, sequence, reading, open_lines)
        if not arrived.is_new:
            self._refuse(element, row, arrived, epoch, sequence, reading)
            repeats = held and row.held and arrived.arrival is Arrival.DUPLICATE
            if repeats and self._is_held(work, _held_key_of(row, event, epoch, sequence)):
                # It still waits, but perhaps for something else by now.
                self._wait(element, row, event, epoch, sequence, reading, held)
            return False
        if is_latest:
            row.skew = reading.skew
        if held or row.held:
            self._hold(element, row, event, epoch, sequence, reading, held)
        if sale is not None:
            self._void(element, row, event, sale, arrived, epoch, sequence, reading)
        elif 0 not in open_lines:
            self._normalize(element, row, event, arrived, epoch, sequence, reading)
        return True

    def _refuse(
        self,
        element: Element,
        row: SourceRow,
        arrived: Arrived,
        epoch: int,
        sequence: int,
        reading: Reading,
    ) -> None:
        """Nothing of an event is new: a repeat, or a dead letter."""
        if arrived.arrival not in _REFUSALS:
            return
        code, reason = _REFUSALS[arrived.arrival]
        if arrived.arrival is Arrival.SUSPECTED_RESET:
            holding = self._holding[element.work.partition.number]
            key = held_key(row.topic, row.source, epoch, sequence)
            want = epoch_want(row.topic, row.source)
            if any(key == known for known, _ in holding.waiting(want)):
                return
            held = _held_row(element, row, sequence, reading, [want])
            holding.hold(row, key, held)
        self._bury(element, code, reason)

    def _hold(
        self,
        element: Element,
        row: SourceRow,
        event: SourceEvent,
        epoch: int,
        sequence: int,
        reading: Reading,
        held: list[Held],
    ) -> None:
        """Keep the event while some of its lines wait, and let go of what no longer does."""
        holding = self._holding[element.work.partition.number]
        if held:
            self._wait(element, row, event, epoch, sequence, reading, held)
        else:
            holding.let_go(row, _held_key_of(row, event, epoch, sequence))
        if type(event) is pos.SaleCompleted:
            holding.append_again(element.work, sale_want(row.source, event.data.transaction))

    def _is_held(self, work: Work, key: str) -> bool:
        return self._holding[work.partition.number].wants(key) is not None

    def _wait(
        self,
        element: Element,
        row: SourceRow,
        event: SourceEvent,
        epoch: int,
        sequence: int,
        reading: Reading,
        held: list[Held],
    ) -> None:
        """Keep an event for what it waits for now, and say so, unless that is known already."""
        holding = self._holding[element.work.partition.number]
        key = _held_key_of(row, event, epoch, sequence)
        wants = sorted({one.want for one in held})
        if holding.wants(key) != wants:
            holding.hold(row, key, _held_row(element, row, sequence, reading, wants))
            self._bury(element, held[0].code, "; ".join(one.reason for one in held))

    def _void(
        self,
        element: Element,
        row: SourceRow,
        event: SourceEvent,
        sale: Sale,
        arrived: Arrived,
        epoch: int,
        sequence: int,
        reading: Reading,
    ) -> None:
        if type(event) is not pos.SaleVoided:
            raise TypeError(f"no void: {type(event).__name__}")
        back, exceeding, sold = voids.take(sale.sold, event, reading.effective, arrived.lines)
        if exceeding:
            if sequence != UNSEQUENCED:
                leave_open(row, epoch, sequence, tuple(exceeding))
            self._bury(element, Code.VOID_EXCEEDS_SALE, "more is taken back than was sold")
        change_sale(element.work.partition, row, sale, sold)
        if event.data.location not in row.locations:
            visit(row, event.data.location)
        place = element.place()
        self._packing.add_all(voided(event, reading, back, arrived.text, epoch, sequence, place))
        element.work.index = place.index

    def _normalize(
        self,
        element: Element,
        row: SourceRow,
        event: SourceEvent,
        arrived: Arrived,
        epoch: int,
        sequence: int,
        reading: Reading,
    ) -> None:
        work = element.work
        lines = reading.lines
        if arrived.lines is not None:
            lines = [one for one in lines if one[0] in arrived.lines]
        if arrived.arrival is Arrival.RESUBMITTED and sequence != UNSEQUENCED:
            self._resubmitted(element, row, event, epoch, lines)
        if type(event) is warehouse.ShipmentAdvised:
            lines = self._announce(element, row, event, lines, reading, sequence)
        first = ordinal(work.offset, work.index)
        work.index += len(lines)
        number = work.partition.number
        made = normalize(event, reading, lines, arrived.text, epoch, sequence, number, first)
        if made and made[0].location not in row.locations:
            visit(row, made[0].location)
        self._packing.add_all(made)
        if type(event) in _FOLLOWED_UP:
            self._follow_up(element, row, event, made, reading, epoch, sequence)

    def _follow_up(
        self,
        element: Element,
        row: SourceRow,
        event: SourceEvent,
        made: list[movements.Movement],
        reading: Reading,
        epoch: int,
        sequence: int,
    ) -> None:
        """What an event ends, beyond its own lines."""
        if type(event) is warehouse.StockCounted:
            self._close_count(element, event, reading, epoch, sequence)
        elif type(event) is warehouse.ShipmentAdvised:
            self._close_announced(element, row, event, made)
        elif type(event) is warehouse.ReceiptReceived and event.data.final and event.data.advice:
            self._close_advice(element, row, event, made, reading)

    def _resubmitted(
        self,
        element: Element,
        row: SourceRow,
        event: SourceEvent,
        epoch: int,
        lines: list[ReadLine],
    ) -> None:
        mended(row, epoch, sum(one[2] for one in lines))
        if type(event) is pos.SaleCompleted:
            sale = find_sale(element.work.partition, row, epoch, event.data.transaction)
            if sale is not None:
                new = [(one[0], one[1], one[2], 0) for one in lines]
                known = {one[0] for one in new}
                kept = [one for one in sale.sold.lines if one[0] not in known]
                sold = Sold(sale.sold.transaction, [*kept, *new], sale.sold.rests)
                change_sale(element.work.partition, row, sale, sold)

    def _announce(
        self,
        element: Element,
        row: SourceRow,
        event: warehouse.ShipmentAdvised,
        lines: list[ReadLine],
        reading: Reading,
        sequence: int,
    ) -> list[ReadLine]:
        key = announcements.announced_key(row.topic, row.source, event.data.advice)
        stated = (reading.effective, sequence)
        partition = element.work.partition
        return announcements.announce(partition, key, event, lines, stated, row.version)

    def _close_announced(
        self,
        element: Element,
        row: SourceRow,
        event: warehouse.ShipmentAdvised,
        made: list[movements.Movement],
    ) -> None:
        """What is announced after the final receipt will not come."""
        key = announcements.announced_key(row.topic, row.source, event.data.advice)
        if announcements.is_final(element.work.partition, key):
            place = element.place()
            for one in made:
                closing = _nothing_more(one, one.sku, event.data.advice, place.take(1))
                self._packing.add(closing)
            element.work.index = place.index

    def _close_advice(
        self,
        element: Element,
        row: SourceRow,
        event: warehouse.ReceiptReceived,
        made: list[movements.Movement],
        reading: Reading,
    ) -> None:
        """A final receipt also ends what its advice announced of other SKUs."""
        place, partition = element.place(), element.work.partition
        advice = event.data.advice or ""
        key = announcements.announced_key(row.topic, row.source, advice)
        for sku in announcements.end(partition, key, reading.lines, row.version):
            self._packing.add(_nothing_more(made[0], sku, advice, place.take(1)))
        element.work.index = place.index

    def _close_count(
        self,
        element: Element,
        event: warehouse.StockCounted,
        reading: Reading,
        epoch: int,
        sequence: int,
    ) -> None:
        """The end of a count that has areas, or is complete, concerns every partition."""
        count = event.data
        if not count.final or (count.area is None and not count.complete):
            return
        place = element.place()
        for number in range(self._routing.partitions):
            movement = closing(event, reading, epoch, sequence, place)
            self._packing.send_alone(element.work, number, movement)
        element.work.index = place.index

    def _move_reference(self, work: Work, event: service.ReferenceMoved) -> bool:
        number = work.partition.number
        reference = self._references[number, work.topic]
        moved = move_reference(self.catalog, reference, event)
        if moved is None:
            return _wait(work)
        if moved is not reference:
            self._references[number, work.topic] = moved
            work.partition.position.reference[work.topic] = moved.offsets
            self._holding[number].reference_moved(work, moved)
        return True

    def _bury(self, element: Element, code: Code, reason: str) -> None:
        work, record = element.work, element.record
        bury(work, self._routing, record, code, reason, element.index, element.original)


def _wait(work: Work) -> bool:
    """The record comes again; what was forgotten before it stays as it is."""
    work.partition.position.cursor[work.topic] = 0
    return False


def _nothing_more(
    cause: movements.Movement, sku: str, advice: str, ordinal: int
) -> movements.AdvisedReceipt:
    """What ends an advice for one SKU."""
    return movements.AdvisedReceipt(
        sku,
        cause.location,
        cause.topic,
        cause.partition,
        ordinal,
        cause.source,
        cause.epoch,
        cause.sequence,
        0,
        cause.effective,
        cause.arrival,
        cause.note,
        advice,
        "on_hand",
        0,
        True,
    )


def _open_lines(element: Element, held: list[Held]) -> tuple[int, ...]:
    lines = (*element.open_lines, *(one.line for one in held))
    return WHOLE if 0 in lines else lines


def _arrive(
    work: Work,
    row: SourceRow,
    event: SourceEvent,
    epoch: int,
    sequence: int,
    reading: Reading,
    open_lines: tuple[int, ...],
) -> Arrived:
    content = content_hash(event)
    if sequence == UNSEQUENCED:
        return identify(work.partition, row, event.id, content, reading.at, open_lines)
    was_mapped = epoch != event.epoch
    if was_mapped and was_taken_before(work.partition, row, epoch, sequence, content):
        return repeated(row)
    return arrive(
        work.partition,
        row,
        epoch,
        sequence,
        content,
        reading.at,
        open_lines,
        reading.units,
        _sold(event, reading) if type(event) is SaleCompleted else None,
    )


def _sold(event: pos.SaleCompleted, reading: Reading) -> msgspec.Raw:
    """What may be voided of a sale, as it is kept."""
    lines = [(one[0], one[1], one[2], 0) for one in reading.lines]
    return msgspec.Raw(encode_sold((event.data.transaction, lines)))


def _identity(row: SourceRow, event: SourceEvent) -> tuple[int, int, bool]:
    """Epoch and sequence of an event, and whether it follows all that its source has sent."""
    sequence = event.sequence
    if sequence is None:
        return 0, UNSEQUENCED, True
    if type(sequence) is not int:
        sequence = int(sequence)
    epoch = event.epoch
    if row.opened and not epoch and event.time.tzinfo is not None:
        epoch = epoch_of(row, from_datetime(event.time))
    if not row.epochs:
        return epoch, sequence, True
    latest = row.epochs[-1]
    newer = epoch > latest.epoch or (epoch == latest.epoch and sequence > latest.last)
    return epoch, sequence, newer


def _waits_for_sale(event: pos.SaleVoided) -> Held:
    reason = f"the sale {event.data.transaction} has not arrived, or is no longer remembered"
    return Held(0, Code.HELD_FOR_SALE, reason, sale_want(event.source, event.data.transaction))


def _held_key_of(row: SourceRow, event: SourceEvent, epoch: int, sequence: int) -> str:
    number = id_hash(event.id) if sequence == UNSEQUENCED else sequence
    return held_key(row.topic, row.source, epoch, number)


def _held_row(
    element: Element, row: SourceRow, number: int, reading: Reading, wants: list[str]
) -> HeldRow:
    return HeldRow(
        version=row.version,
        topic=row.topic,
        source=row.source,
        sequence=number,
        at=reading.at,
        wants=wants,
        original=element.original,
    )
