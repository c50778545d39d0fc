"""What of a log's record the front looks at."""

from collections.abc import Sequence
from typing import Protocol


class Record(Protocol):
    """A record as the consumer hands it over; `timestamp` in milliseconds."""

    key: bytes | None
    value: bytes | None
    partition: int
    offset: int
    timestamp: int
    headers: Sequence[tuple[str, bytes]]
