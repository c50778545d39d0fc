"""What a stage is to the engine: inputs, a state topic, and how it takes one record."""

from collections.abc import Sequence
from typing import Protocol

from models.instants import MILLISECOND, Instant
from streams.engine.documents import Documents
from streams.engine.partition import Partition
from streams.engine.sender import NO_HEADERS, Destination, Headers, Record

Outputs = dict[Destination, list[Record]]


class Raw(Protocol):
    """A record as the consumer hands it over; `timestamp` in milliseconds."""

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes]]


class Work:
    """One step's work on one partition: the record at hand, and what comes out of it.

    `now` is the record's time in microseconds, never before an earlier record's.
    `index` counts what the record caused, over the steps that its work was cut into.
    """

    __slots__ = ("_documents", "index", "now", "offset", "outputs", "partition", "topic")

    def __init__(self, partition: Partition, outputs: Outputs) -> None:
        self.partition = partition
        self.outputs = outputs
        self.topic = ""
        self.offset = -1
        self.now: Instant = 0
        self.index = 0
        self._documents: Documents | None = None

    def turn_to(self, topic: str) -> None:
        """Records of `topic` come next."""
        self.topic = topic
        self.now = self.partition.position.now.get(topic, 0)
        documents = self.partition.documents
        self._documents = documents if documents is not None and documents.topic == topic else None

    def begin(self, record: Raw) -> None:
        """The next record, or the rest of one; `now` never goes back."""
        self.offset = record.offset
        self.index = 0
        instant = record.timestamp * MILLISECOND
        now = self.now = max(self.now, instant)
        documents = self._documents
        if documents is not None:
            documents.now = now
            if now >= documents.due and self.topic not in self.partition.position.cursor:
                documents.forget(self.partition)

    def end(self) -> None:
        """No more records of the topic in this step."""
        self.partition.position.now[self.topic] = self.now

    def emit(
        self,
        destination: Destination,
        key: bytes | None,
        value: bytes,
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

    def absorb(self, work: Work, record: Raw) -> bool:
        """Take one record into rows and outputs; False where only a part of it was done.

        A part that is done is named by the position's cursor, and the same record comes
        again, in another step, for the rest.
        """

    def finish(self, work: Work) -> None:
        """The step ends for this partition: emit what was merged over its records."""
