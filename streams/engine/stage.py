"""What a stage is to the engine: inputs, a state topic, and how it takes one record."""

from typing import Final, Protocol

from models.instants import MILLISECOND, Instant
from runtime.batches import NO_HEADERS, Headers, Record
from runtime.records import Fetch, Fetched
from streams.engine.documents import Documents
from streams.engine.partition import Partition
from streams.engine.sender import Destination

Outputs = dict[Destination, list[Record]]


class Work:
    """One step's work on one partition: the record at hand, and what comes out of it.

    `now` is the record's time in microseconds, never before an earlier record's.
    `index` counts what the record caused, over the steps that its work was cut into.
    `documents` are those that records of the topic at hand may let go of, if it has any.
    """

    __slots__ = ("documents", "index", "now", "offset", "outputs", "partition", "topic")

    def __init__(self, partition: Partition, outputs: Outputs) -> None:
        self.partition = partition
        self.outputs = outputs
        self.topic = ""
        self.offset = -1
        self.now: Instant = 0
        self.index = 0
        self.documents: Documents | None = None

    def turn_to(self, topic: str) -> None:
        """Records of `topic` come next."""
        self.topic = topic
        self.now = self.partition.position.now.get(topic, 0)
        documents = self.partition.documents
        self.documents = documents if documents is not None and documents.topic == topic else None

    def begin(self, record: Fetched) -> None:
        """The next record, or the rest of one; `now` never goes back."""
        self.offset = record.offset
        self.index = 0
        instant = record.timestamp * MILLISECOND
        now = self.now = max(self.now, instant)
        documents = self.documents
        if documents is not None:
            documents.now = now
            if now >= documents.due and self.topic not in self.partition.position.cursor:
                documents.forget(self.partition)

    def weigh(self, value: bytes) -> None:
        """Rows may grow by all that `value` has, which is of the record at hand."""
        self.partition.weight += len(value)

    def end(self) -> None:
        """No more records of the topic in this step."""
        self.partition.position.now[self.topic] = self.now

    def emit(
        self,
        destination: Destination,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = NO_HEADERS,
    ) -> None:
        """Send a record with the step's outputs."""
        records = self.outputs.get(destination)
        if records is None:
            records = self.outputs[destination] = []
        records.append((key, value, headers))


class Stage(Protocol):
    """One stage of processing. Topics are named without the prefix.

    `state_may_wait`: nobody waits for its rows, only for its outputs.
    """

    name: str
    inputs: tuple[str, ...]
    state: str
    state_may_wait: bool

    def opened(self, partition: Partition) -> None:
        """The partition's rows are complete: build what is derived from them."""

    def closed(self, number: int) -> None:
        """The partition is no longer ours: forget what was derived."""

    def absorb_run(self, work: Work, records: Fetch, start: int) -> int:
        """Take what can be taken at once of `records`, from `start` on; how many that is.

        The partition's weight has their bytes then.
        """

    def absorb(self, work: Work, record: Fetched) -> bool:
        """Take one record into rows and outputs; False where only a part of it was done, or none.

        The position's cursor says how much that is, and the same record comes again, in another
        step, for the rest. The partition's weight has what rows may have grown by then.
        """

    def finish(self, work: Work) -> None:
        """The step ends for this partition: emit what was merged over its records."""


MAX_STEP_WEIGHT: Final = 16 * 1024 * 1024
"""Bytes of changed rows per partition at which a step is cut: well below a state batch.

What is kept of a single record may be as large: it waits for a step that has room for it.
"""


def absorb(stage: Stage, work: Work, records: Fetch) -> int:
    """Take records of the topic at hand; how many were taken whole before the step must be cut.

    Those that the position has absorbed are passed. What rows grow by comes in by records, so with
    what those weigh the weight bounds the batch. Raises what the stage raises, with the place.
    """
    partition, topic = work.partition, work.topic
    offsets = partition.position.offsets
    absorbed = offsets.get(topic, -1)
    place, number = 0, len(records)
    while place < number and records[place].offset <= absorbed:
        place += 1
    while place < number and partition.weight <= MAX_STEP_WEIGHT:
        where = "from"
        try:
            done = stage.absorb_run(work, records, place)
            if not done:
                where = "at"
                if not _has_room(partition, records[place]):
                    return place
                work.begin(records[place])
                if not stage.absorb(work, records[place]):
                    return place
                done = 1
        except Exception as error:
            error.add_note(f"{where} {topic}/{partition.number} offset {records[place].offset}")
            raise
        place += done
        offsets[topic] = records[place - 1].offset
    return place


def _has_room(partition: Partition, record: Fetched) -> bool:
    weight = partition.weight + len(record.value or b"")
    partition.is_full = partition.weight > 0 and weight > MAX_STEP_WEIGHT
    return not partition.is_full
