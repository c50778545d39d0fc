"""Batches of records as they stand on the wire, and their checksums.

aiokafka appends record by record, and counts a checksum at a tenth of the speed at which a
processor can: both together took it as long as a stage takes for a quarter of an event. The
layout is that of Kafka's message format 2, https://kafka.apache.org/documentation/#recordbatch.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import repeat
from struct import Struct
from typing import Final, Literal, overload

import google_crc32c
import lz4.frame
from aiokafka.record.util import calc_crc32c
from google_crc32c import extend, value

from runtime import native

Headers = list[tuple[str, bytes]]

Record = tuple[str | bytes | None, bytes | None, Headers]
"""Key, a string as its UTF-8, value, headers."""

NO_HEADERS: Final[Headers] = []

_HEAD: Final = Struct(">qiib")
"""Offset, length of what follows it, epoch of the leader, format."""

_SUM: Final = Struct(">I")

_SUMMED: Final = Struct(">hiqqqhii")
"""Attributes, last offset, first and last time, who appends: id, epoch, number; how many."""

_LENGTH: Final = Struct(">i")
_LENGTH_AT: Final = 8
_BEFORE: Final = _LENGTH_AT + _LENGTH.size
_FORMAT_AT: Final = _HEAD.size - 1
_SUMMED_AT: Final = _HEAD.size + _SUM.size
_FORMAT: Final = 2
_NOBODY: Final = -1

IS_FAST: Final = google_crc32c.implementation == "c"
"""Else its sums are made in Python, far slower than aiokafka makes them, which then does."""

Compression = Literal["none", "lz4"]

_PLAIN: Final = 0
_LZ4: Final = 3
"""What Kafka calls a codec."""

_LEAST: Final = 1_000
"""Bytes that are not worth it."""

_lz4: Final = partial(
    lz4.frame.compress,
    # The least level: what is sent is read soon, and most of it is words that come again.
    compression_level=0,
    block_size=lz4.frame.BLOCKSIZE_MAX256KB,
    # Kafka reads no blocks that need the ones before.
    block_linked=False,
    store_size=False,
)

_PIECE: Final = 64 * 1024
"""So much is copied at once to be summed: it stays in the processor's caches."""


class Values(Sequence[Record]):
    """Records of values by their keys, without headers, and of `rest` after them.

    They are as good as packed: none is made unless it is asked for.
    """

    def __init__(self, values: dict[str, bytes], rest: list[Record]) -> None:
        self.values = values
        self.rest = rest

    def __len__(self) -> int:
        return len(self.values) + len(self.rest)

    def __iter__(self) -> Iterator[Record]:
        yield from zip(self.values, self.values.values(), repeat(NO_HEADERS))
        yield from self.rest

    @overload
    def __getitem__(self, place: int) -> Record: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[Record]: ...

    def __getitem__(self, place: int | slice) -> Record | Sequence[Record]:
        return list(self)[place]


class Batch:
    """Records that are appended together, all or nothing: a closed builder in aiokafka's eyes.

    Of `records` as many as have room in `most` bytes, one at least; they have the time `now`, in
    milliseconds since 1970. Raises ValueError where there are none, TypeError where one is none.
    """

    def __init__(self, records: Sequence[Record], most: int, now: int) -> None:
        if not records:
            raise ValueError("a batch has one record at least")
        self._records, self._count = packed(records, most)
        self._codec = _PLAIN
        self._now = now
        self._writer = _NOBODY, _NOBODY, _NOBODY
        self._built = b""

    def compress(self) -> None:
        """Compress what it holds, where that is worth it; the interpreter is free meanwhile."""
        if self._codec == _PLAIN and len(self._records) >= _LEAST:
            self._records, self._codec = _lz4(self._records), _LZ4

    def record_count(self) -> int:
        """How many records it took."""
        return self._count

    def closed(self) -> bool:
        """It takes no more."""
        return True

    def close(self) -> None:
        """It is."""

    def size(self) -> int:
        """Bytes on the wire."""
        return _SUMMED_AT + _SUMMED.size + len(self._records)

    def _set_producer_state(self, identity: int, epoch: int, first: int) -> None:
        """Who appends it, and under which numbers, as aiokafka tells its builders."""
        self._writer = identity, epoch, first
        self._built = b""

    def _build(self) -> bytes:
        """Its bytes, as aiokafka asks its builders for them."""
        if not self._built:
            told = self._codec, self._count - 1, self._now, self._now, *self._writer, self._count
            summed = _SUMMED.pack(*told)
            head = _HEAD.pack(0, self.size() - _BEFORE, _NOBODY, _FORMAT)
            checksum = _SUM.pack(_checksum(summed, self._records))
            self._built = b"".join((head, checksum, summed, self._records))
        return self._built


def packed(records: Sequence[Record], most: int) -> tuple[bytes, int]:
    """What `packed_generally` gives."""
    if native.packed is None:
        return packed_generally(records, most)
    if isinstance(records, Values):
        return native.packed(records.values, records.rest, most, headers_of)
    return native.packed({}, records, most, headers_of)


def packed_generally(records: Sequence[Record], most: int) -> tuple[bytes, int]:
    """As many of `records` as have room in `most` bytes, one at least, and how many they are."""
    written: list[bytes] = []
    size = 0
    for place, (name, value_, headers) in enumerate(records):
        key = name.encode() if isinstance(name, str) else name
        body = b"".join((b"\0\0", _number(place), _bytes(key), _bytes(value_), headers_of(headers)))
        record = _number(len(body)) + body
        if written and size + len(record) > most:
            break
        size += len(record)
        written.append(record)
    return b"".join(written), len(written)


def headers_of(headers: Headers) -> bytes:
    """How many there are, and each."""
    told = [_number(len(headers))]
    for name, content in headers:
        told += [_bytes(name.encode()), _bytes(content)]
    return b"".join(told)


def is_sound(fetched: bytes) -> bool:
    """Whether all batches that were fetched whole have the checksums that they should have.

    False, too, where that is not to be known fast, or of batches in other formats.
    """
    return IS_FAST and all(_is_sound(fetched, start, end) for start, end in _batches(fetched))


def _batches(fetched: bytes) -> Iterator[tuple[int, int]]:
    """Where each begins and ends. The last may be cut off: it is fetched again."""
    start, size = 0, len(fetched)
    while start + _BEFORE <= size:
        (length,) = _LENGTH.unpack_from(fetched, start + _LENGTH_AT)
        end = start + _BEFORE + length
        if end <= start + _BEFORE or end > size:
            return
        yield start, end
        start = end


def _is_sound(fetched: bytes, start: int, end: int) -> bool:
    if end - start < _SUMMED_AT + _SUMMED.size or fetched[start + _FORMAT_AT] != _FORMAT:
        return False
    (checksum,) = _SUM.unpack_from(fetched, start + _HEAD.size)
    found = 0
    for at in range(start + _SUMMED_AT, end, _PIECE):
        found = extend(found, fetched[at : min(end, at + _PIECE)])
    return bool(found == checksum)


def _checksum(first: bytes, rest: bytes) -> int:
    return int(extend(value(first), rest) if IS_FAST else calc_crc32c(first + rest))


def _number(number: int) -> bytes:
    """As Kafka writes whole numbers, small ones shortly: zigzag, seven bits a byte."""
    left = 2 * number if number >= 0 else -2 * number - 1
    written = bytearray()
    while left >= 0x80:
        written.append(left & 0x7F | 0x80)
        left >>= 7
    written.append(left)
    return bytes(written)


def _bytes(content: bytes | None) -> bytes:
    return _number(_NOBODY) if content is None else _number(len(content)) + content
