"""Records as they are fetched."""

import sys
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final, Protocol

from aiokafka import TopicPartition
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from runtime import native


class Fetched(Protocol):
    """A record as the consumer hands it over; `timestamp` in milliseconds."""

    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes]]


Fetch = Sequence[Fetched]
"""Records of one partition, in order, of which a part is one too; a `native.Run` or a list."""


_CODECS: Final = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}


def _decompressed(codec: int, written: bytes) -> bytes | None:
    """What was compressed; None where it is for aiokafka to say what is wrong."""
    try:
        return bytes(_CODECS[codec](written))
    except Exception:  # noqa: BLE001 - each library has its own
        return None


def size_of(records: Fetch) -> int:
    """Bytes of values."""
    if native.Run is not None and type(records) is native.Run:
        return records.size_in_bytes
    return sum([len(record.value or b"") for record in records])


class AsParsed(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of a fetch as they were parsed: they have all that anybody needs.

    aiokafka copies each into a record of its own, one by one.
    """

    next_fetch_offset: int

    def __init__(self, *told: Any) -> None:
        super().__init__(*told)
        if self._isolation_level != fetcher.READ_COMMITTED:
            # It holds this, which holds what was fetched: only the collector, which looks seldom,
            # would let go of them.
            self._records_iterator = None
        self._batch: Any = None
        self._in_batch: Iterator[Fetched] = iter(())
        self._run: native.Run | None = None

    def find_at_once(self, fetched: bytes) -> None:
        """Find the records in what was fetched, whose checksums are right, if that is possible."""
        if native.run_of is not None and self._isolation_level != fetcher.READ_COMMITTED:
            self._run = native.run_of(fetched, self.next_fetch_offset, _decompressed)
        if self._run is not None:
            self._records = MemoryRecords(b"")

    def _consumer_record(self, tp: TopicPartition, record: Any) -> Any:
        return record

    def take(self, most: int) -> Fetch:
        """The next records, `most` of them at most. Raises CorruptRecordException."""
        return self._take_parsed(most) if self._run is None else self._take_found(self._run, most)

    def _take_found(self, run: "native.Run", most: int) -> Fetch:
        found, left = run[:most], run[most:]
        self._run = left or None
        self.next_fetch_offset = found[-1].offset + 1 if left else run.next_offset
        return found

    def _take_parsed(self, most: int) -> Fetch:
        taken: list[Fetched] = []
        while len(taken) < most and not self.is_exhausted():
            if self._batch is None:
                self._begin_batch()
            taken += self._of_batch(most - len(taken))
        return taken

    def is_exhausted(self) -> bool:
        """Whether nothing is left to take."""
        return self._run is None and self._batch is None and not self._records.has_next()

    def _begin_batch(self) -> None:
        batch = self._records.next_batch()
        if self._check_crcs and not batch.validate_crc():
            raise CorruptRecordException(f"Invalid CRC - {self._tp}")
        # A batch can be iterated once, and `islice` would begin each time.
        self._batch, self._in_batch = batch, chain(() if batch.is_control_batch else batch)

    def _of_batch(self, most: int) -> list[Fetched]:
        found = list(islice(self._in_batch, most))
        first = self.next_fetch_offset
        if len(found) < most:
            # Where compaction took its last records, the next batch is fetched all the same.
            self.next_fetch_offset, self._batch = self._batch.next_offset, None
        else:
            self.next_fetch_offset = max(first, found[-1].offset + 1)
        # A batch is sent whole, whatever of it was asked for.
        if found and found[0].offset < first:
            found = [record for record in found if record.offset >= first]
        return found


class TakenAtOnce(fetcher.FetchResult):  # type: ignore[misc]
    """What was fetched of a partition, until it is taken."""

    _partition_records: AsParsed | None

    def getone(self) -> Any:
        """As aiokafka's, but that it goes on where `getall` ended."""
        return next(iter(self.getall(1)), None)

    def getall(self, max_records: int | None = None) -> Fetch:
        """As aiokafka's, which takes records one by one.

        Raises CorruptRecordException, once: what is left is given up, and fetched again.
        """
        records = self._partition_records
        if records is None:
            return []
        if records._isolation_level == fetcher.READ_COMMITTED:
            found: list[Fetched] = super().getall(max_records)
            return found
        if not self.check_assignment(self._topic_partition):
            return []
        try:
            taken = records.take(sys.maxsize if max_records is None else max_records)
        except Exception:
            self._partition_records = None
            raise
        self._update_position()
        if records.is_exhausted():
            self._partition_records = None
        return taken
