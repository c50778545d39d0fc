"""Snapshots: a state partition's rows in a file, so that recovery reads only what came after.

A snapshot is what the partition's changelog comes to up to an offset, no more and no less than
memory that was kept. It is used only where the log still has, just before that offset, the very
record that the snapshot ends with. Where it is missing, torn, or of another log, the whole log
is read, as without one.
"""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
import xxhash
from aiokafka.errors import KafkaError

from streams.engine.ownership import Ownership
from streams.engine.partition import Image, Partition

log = logging.getLogger(__name__)

_FORMAT: Final = 1
CHUNK: Final = 2_000
"""Rows that are encoded or decoded at once: others have their turn between two such parts."""

_NUMBER: Final = 8
"""Bytes of a frame's length, and of its checksum."""

_encode = msgspec.msgpack.Encoder().encode
_decode_rows = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


class _Head(msgspec.Struct, array_like=True):
    """What a file begins with: the image but for its rows, and how many those are."""

    format: int
    topic: str
    image: Image
    rows: int


_decode_head = msgspec.msgpack.Decoder(_Head).decode


class UnusableError(Exception):
    """A file is not a snapshot of the log at hand."""


InThread = Callable[[Callable[[], int]], Awaitable[int]]


class Snapshots:
    """The snapshots of one folder. Processes may share it: whatever is there is checked.

    A partition is kept again once its log has grown by `growth` bytes, and by as many as the
    last file has: a recovery reads no more of a log than that, and files are not written more
    than logs are.
    """

    def __init__(
        self,
        folder: Path,
        growth: int,
        ownership: Ownership,
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        self._folder = folder
        self._growth = growth
        self._ownership = ownership
        self._in_thread = in_thread
        self._due: dict[tuple[str, int], Partition] = {}
        self._writing: asyncio.Task[None] | None = None

    def offer(self, topic: str, partition: Partition) -> None:
        """Keep the partition soon, if its log has grown enough; one after the other."""
        if partition.grown <= max(self._growth, partition.kept):
            return
        self._due[topic, partition.number] = partition
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        while self._due:
            (topic, number), partition = next(iter(self._due.items()))
            del self._due[topic, number]
            image = partition.image()
            if image is not None:
                partition.grown = 0
                await self._write(topic, image, partition)

    async def _write(self, topic: str, image: Image, partition: Partition) -> None:
        try:
            partition.kept = await self._in_thread(lambda: self._write_file(topic, image))
        except OSError as error:
            log.warning("%s/%s: no snapshot: %s", topic, image.number, error)

    def _write_file(self, topic: str, image: Image) -> int:
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._path(topic, image.number)
        for left in self._folder.glob(f"{path.name}.*"):
            left.unlink(missing_ok=True)
        unfinished = path.with_name(f"{path.name}.{os.getpid()}")
        with unfinished.open("wb") as file:
            for payload in _payloads(topic, image):
                _write_frame(file, payload)
            size = file.tell()
        unfinished.replace(path)
        return size

    async def restore(self, topic: str, number: int) -> Partition | None:
        """The partition as it was kept; None where the log must be read from its beginning."""
        path = self._path(topic, number)
        if not path.exists():
            return None
        try:
            with path.open("rb") as file:
                head = _read_head(file, topic, number)
                await self._must_be_of(topic, head)
                rows: dict[str, bytes] = {}
                while len(rows) < head.rows:
                    rows.update(_decode_rows(_read_frame(file)))
                    await asyncio.sleep(0)
                size = file.tell()
        except (OSError, KafkaError, msgspec.MsgspecError, UnusableError) as error:
            log.warning("%s/%s: the snapshot is not used: %s", topic, number, error)
            return None
        partition = Partition.of_image(head.image._replace(rows=rows))
        partition.kept = size
        log.info("%s/%s: %s rows from a snapshot", topic, number, len(rows))
        return partition

    async def _must_be_of(self, topic: str, head: _Head) -> None:
        """Raise UnusableError where the log does not have the record that the file ends with."""
        number, end = head.image.number, head.image.end
        if (await self._ownership.ends(topic, [number]))[number] >= end:
            async for run in self._ownership.read(topic, number, end - 1, end):
                if any(one.offset == end - 1 and one.value == head.image.last for one in run):
                    return
        raise UnusableError(f"the log has something else before offset {end}")

    def _path(self, topic: str, number: int) -> Path:
        return self._folder / f"{topic}-{number}.snapshot"


def _payloads(topic: str, image: Image) -> Iterator[bytes]:
    yield _encode(_Head(_FORMAT, topic, image._replace(rows={}), len(image.rows)))
    left = iter(image.rows.items())
    while part := list(islice(left, CHUNK)):
        yield _encode(part)


def _write_frame(file: BinaryIO, payload: bytes) -> None:
    file.write(len(payload).to_bytes(_NUMBER))
    file.write(xxhash.xxh3_64_digest(payload))
    file.write(payload)


def _read_frame(file: BinaryIO) -> bytes:
    length, checksum = int.from_bytes(file.read(_NUMBER)), file.read(_NUMBER)
    payload = file.read(length) if length <= os.fstat(file.fileno()).st_size else b""
    if not payload or xxhash.xxh3_64_digest(payload) != checksum:
        raise UnusableError("it is torn")
    return payload


def _read_head(file: BinaryIO, topic: str, number: int) -> _Head:
    head = _decode_head(_read_frame(file))
    if (head.format, head.topic, head.image.number) != (_FORMAT, topic, number):
        raise UnusableError("it is of another partition or another release")
    return head
