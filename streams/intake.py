"""Intake: decode, dedupe per source, order, normalize; movements keyed by SKU come out."""

from models import topics
from models.arrival import SourceRow, arrive, source_key, visit
from models.decoding import Decoder, sequence_of
from models.events import SourceEvent
from models.normalization import content_hash, normalize
from models.outcomes import Arrival, Code
from models.rows import version
from streams.dead_letters import bury, bury_if_too_large
from streams.engine.partition import Partition
from streams.engine.stage import Raw, Work
from streams.packing import Packing
from streams.routing import Routing

_CODE_OF_REFUSAL = {Arrival.CONFLICT: Code.CONFLICT, Arrival.GAP_LIMIT: Code.GAP_LIMIT}
_REASON_OF_REFUSAL = {
    Arrival.CONFLICT: "the sequence was seen with other content; the first stands",
    Arrival.GAP_LIMIT: "the source has more gaps or epochs than are kept",
}


class Intake:
    """The stage that turns what sources say into movements."""

    name = "intake"
    inputs: tuple[str, ...] = topics.SOURCE_TOPICS
    state = topics.INVENTORY_SOURCES

    def __init__(self, routing: Routing) -> None:
        self._routing = routing
        self._decoders = {topic: Decoder(topic) for topic in self.inputs}
        self._known: dict[tuple[str, str], tuple[bytes, str]] = {}
        self._packing = Packing(routing)

    def opened(self, partition: Partition) -> None:
        """Nothing is derived from the rows."""

    def closed(self, number: int) -> None:
        """Drop what the unfinished step would have sent."""
        self._packing.drop()

    def finish(self, work: Work) -> None:
        """Send the step's movements."""
        self._packing.flush(work)

    def absorb(self, work: Work, record: Raw) -> bool:
        """Take one record: an event, or an array of events of one source."""
        if bury_if_too_large(work, self._routing, record):
            return True
        decoder = self._decoders[work.topic]
        value = record.value
        event = decoder.single(value)
        if event is not None:
            self._accept(work, record, event, 0, value or b"")  # type: ignore[arg-type]
            return True
        for element in decoder.elements(value):
            taken = True
            if element.event is not None:
                taken = self._accept(
                    work,
                    record,
                    element.event,  # type: ignore[arg-type]
                    element.place,
                    element.original,
                    element.open_lines,
                )
            if taken:
                for code, reason, index, original in element.rejected:
                    bury(work, self._routing, record, code, reason, index, original)
        return True

    def _accept(
        self,
        work: Work,
        record: Raw,
        event: SourceEvent,
        index: int,
        original: bytes,
        open_lines: tuple[int, ...] = (),
    ) -> bool:
        """Dedupe and normalize one event; False where nothing of it was new."""
        source = event.source
        known = self._known.get((work.topic, source))
        if known is None:
            known = source.encode(), source_key(work.topic, source)
            self._known[work.topic, source] = known
        record_key, key = known
        if record.key != record_key:
            reason = "the record's key is not the event's source"
            bury(work, self._routing, record, Code.MISROUTED, reason, index, original)
            return False
        partition = work.partition
        row_version = version(partition.position.generation, record.offset)
        row = partition.get(key, SourceRow)
        if row is None:
            row = SourceRow(version=row_version, source=source, topic=work.topic)
        row.version = row_version
        row.now = work.now
        if key not in partition.changed:
            partition.put(key, row)
        arrived = arrive(
            partition, row, event.epoch, sequence_of(event), content_hash(event), open_lines
        )
        if not arrived.is_new:
            arrival = arrived.arrival
            if arrival in _CODE_OF_REFUSAL:
                reason = _REASON_OF_REFUSAL[arrival]
                code = _CODE_OF_REFUSAL[arrival]
                bury(work, self._routing, record, code, reason, index, original)
            return False
        if event.data.location not in row.locations:
            visit(row, event.data.location)
        made = normalize(
            event,
            arrived.text,
            arrived.lines,
            partition.number,
            record.offset,
            work.index,
            work.now,
        )
        work.index += len(made)
        self._packing.add_all(made)
        return True
