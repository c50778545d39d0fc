"""Records as they are fetched."""

from collections.abc import Sequence
from typing import Any, Protocol

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher


class Fetched(Protocol):
    """A record as the consumer hands it over; `timestamp` in milliseconds."""

    key: bytes | None
    value: bytes | None
    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes]]


class AsParsed(fetcher.PartitionRecords):  # type: ignore[misc]
    """The records of a fetch as they were parsed: they have all that anybody needs.

    aiokafka copies each into a record of its own.
    """

    def size(self) -> int:
        """Bytes that were fetched."""
        size: int = self._records.size_in_bytes()
        return size

    def __iter__(self) -> Any:
        return self._records_iterator

    def _consumer_record(self, tp: TopicPartition, record: Any) -> Any:
        return record
