"""The position row: how far a state partition has absorbed its inputs.

It is the last record of every state batch, so it and the rows never disagree.
"""

from typing import Final, TypeVar

from msgspec import field

from models.instants import Instant
from models.rows import Row, key

PREFIX: Final = "position|"
UNFINISHED: Final = -1
"""The partition count in positions of a migration until all is moved."""

_STREAM_BITS: Final = 16

K = TypeVar("K", int, str)


class Position(Row, kw_only=True):
    """Offsets are those of the last record absorbed, per input topic (unprefixed names).

    `cursor` is how much of the record after that is done, where a record's work is cut.
    `origins` are the last ordinals absorbed per origin stream, `now` the latest record
    time in microseconds. `base` is the changelog offset where the position's own batch
    should start, `rows` how many records of that batch stand before it. `reference` are
    the next offsets of the reference topics in use, per input topic.
    """

    partition: int
    generation: int = 0
    offsets: dict[str, int] = field(default_factory=dict)
    cursor: dict[str, int] = field(default_factory=dict)
    origins: dict[int, int] = field(default_factory=dict)
    now: dict[str, Instant] = field(default_factory=dict)
    reference: dict[str, dict[str, int]] = field(default_factory=dict)
    base: int = 0
    rows: int = 0
    partitions: int = 0
    writer: str = ""

    @property
    def key(self) -> str:
        """The position's own row key."""
        return key("position", self.partition)

    def resume_at(self, topic: str) -> int | None:
        """The offset to read next, or None where nothing was ever absorbed."""
        absorbed = self.offsets.get(topic)
        if absorbed is not None:
            return absorbed + 1
        return None

    def absorb_origin(self, topic: int, partition: int, ordinal: int) -> bool:
        """Whether an emitted record is new; if so it counts as absorbed from now on."""
        stream = (topic << _STREAM_BITS) | partition
        if ordinal <= self.origins.get(stream, -1):
            return False
        self.origins[stream] = ordinal
        return True

    def merged(self, other: "Position") -> "Position":
        """The further of two positions, per input topic and origin stream."""
        newer = other if other.version >= self.version else self
        older = self if newer is other else other
        return Position(
            version=newer.version,
            partition=newer.partition,
            generation=max(self.generation, other.generation),
            offsets=_furthest(older.offsets, newer.offsets),
            cursor={
                topic: done
                for position in (older, newer)
                for topic, done in position.cursor.items()
                if position.offsets.get(topic, -1)
                >= max(older.offsets.get(topic, -1), newer.offsets.get(topic, -1))
            },
            origins=_furthest(older.origins, newer.origins),
            now=_furthest(older.now, newer.now),
            reference={
                topic: _furthest(older.reference.get(topic, {}), newer.reference.get(topic, {}))
                for topic in {**older.reference, **newer.reference}
            },
            base=newer.base,
            rows=newer.rows,
            partitions=newer.partitions,
            writer=newer.writer,
        )


def _furthest(one: dict[K, int], other: dict[K, int]) -> dict[K, int]:
    return {name: max(one.get(name, -1), other.get(name, -1)) for name in {**one, **other}}
