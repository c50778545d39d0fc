"""Filling the archive: the ledger and the dead letters from their beginning, rows by the way."""

import asyncio
import base64
import logging
import time
from collections.abc import Callable
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from api.archive.store import Archive, Document, Entry, Letter
from api.views.base import Update
from api.views.gaps import gaps_of
from models import topics
from models.outcomes import REMEDIES, Code
from models.rows import key as row_key
from models.rows import parts, stock_key

log = logging.getLogger(__name__)

SETS: Final = frozenset({"rebased", "adopted"})
KINDS: Final = frozenset({"hold", "return", "source", "advice", "transfer", "held"})
"""Rows that are searched by name."""

_WAIT_MS: Final = 100


class _Moved(Struct, array_like=True):
    """The beginning of a movement."""

    kind: str
    sku: str
    location: str
    topic: int
    partition: int
    ordinal: int
    source: str
    epoch: int
    sequence: int
    line: int
    effective: int


class _Head(Struct, array_like=True):
    """The beginning of a ledger entry, and its movement's."""

    version: int
    previous: int
    kind: str
    outcome: str
    received: int
    deltas: msgspec.Raw
    on_hand: int
    reserved: int
    quality_control: int
    damaged: int
    in_transit: int
    incoming: int
    safety_stock: int
    variance: int
    movement: _Moved


class _Started(Struct, array_like=True):
    """A count's own fields that say when it began, after those that every movement has."""

    started: int


_split = msgspec.json.Decoder(list[msgspec.Raw]).decode
_head = msgspec.json.Decoder(_Head).decode
_name_of: Final[dict[str, Callable[[list[str]], str]]] = {
    "hold": lambda part: row_key("at", part[1], part[2]),
    "return": lambda part: part[1],
    "source": lambda part: part[2],
    "held": lambda part: part[2],
    "advice": lambda part: part[2],
    "transfer": lambda part: part[2],
}


def document_of(update: Update) -> Document | None:
    """A row as the archive keeps it; None where it is not searched."""
    kind = update.key.partition("|")[0]
    if kind not in KINDS:
        return None
    name = _name_of[kind](parts(update.key))
    return Document(update.key, kind, name, update.version, update.value)


def entries_of(value: bytes) -> list[Entry]:
    """The entries of a ledger record."""
    found = []
    for raw in _split(value):
        head = _head(raw)
        moved = head.movement
        # What a count had to add again may lie in its interval: a day is ample for one.
        reach = moved.effective - 86_400_000_000 if head.outcome in SETS else 0
        stock = stock_key(moved.sku, moved.location)
        found.append(Entry(stock, head.version, head.received, moved.effective, reach, bytes(raw)))
    return found


def letter_of(record: Any) -> Letter:
    """A dead letter's record as the archive keeps it."""
    told = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    code = told.get("onhand-code", "")
    original = record.value or b""
    source, location, identity = _who(original, (record.key or b"").decode("utf-8", "replace"))
    place = [told.get(f"onhand-{part}", "") for part in ("topic", "partition", "offset", "index")]
    known = code in Code.__members__.values()
    remedy = REMEDIES[Code(code)] if known else None
    letter = {
        "code": code,
        "reason": told.get("onhand-reason", ""),
        "source": source,
        "location": location,
        "identity": identity,
        "correlationid": told.get("onhand-correlationid"),
        "causationid": told.get("onhand-causationid"),
        "traceparent": told.get("onhand-traceparent"),
        "topic": place[0],
        "partition": int(place[1] or 0),
        "offset": int(place[2] or 0),
        "index": int(place[3] or 0),
        "key": (record.key or b"").decode("utf-8", "replace"),
        "owner": remedy.owner if remedy else "person",
        "action": remedy.action if remedy else "",
        "retry_when": remedy.retry_when if remedy else "",
        "is_original": "onhand-sku" not in told,
        "original": base64.b64encode(original).decode(),
    }
    return Letter(
        "-".join([*place, code]),
        code,
        source,
        location,
        str(letter["owner"]),
        record.timestamp * 1000,
        msgspec.json.encode(letter),
    )


def _who(original: bytes, key: str) -> tuple[str, str, dict[str, Any] | None]:
    """Source, location and identity of an event, as far as its bytes tell."""
    try:
        event = msgspec.json.decode(original)
        data = event["data"]
    except (msgspec.MsgspecError, UnicodeDecodeError, TypeError, KeyError, RecursionError):
        return key, "", None
    source = event.get("source")
    location = data.get("location") if isinstance(data, dict) else None
    sequence = event.get("sequence")
    identity = {"epoch": event.get("epoch", 0), "sequence": sequence, "id": event.get("id")}
    return (
        source if isinstance(source, str) else key,
        location if isinstance(location, str) else "",
        identity,
    )


class ArchiveFollowing:
    """Follows the logs that only the archive needs; `ready` once it has what stood there."""

    def __init__(self, archive: Archive, bootstrap: str, topic: Callable[[str], str]) -> None:
        self.ready = asyncio.Event()
        self._archive = archive
        self._bootstrap = bootstrap
        self._ledger = topic(topics.INVENTORY_LEDGER)
        self._letters = topic(topics.DEAD_LETTERS)
        self._waiting: dict[str, Document] = {}
        self._with_gaps: dict[str, dict[str, str]] = {}
        self._came = asyncio.Event()

    def offer(self, update: Update) -> None:
        """A row came by in a state topic: keep it if it is searched."""
        document = document_of(update)
        if document is None:
            return
        self._waiting[update.key] = document
        if document.kind == "source":
            self._offer_gaps(update)
        self._came.set()

    def _offer_gaps(self, update: Update) -> None:
        """A source with gaps is also looked up by each location that it reports on."""
        places, gaps = gaps_of(update.value) if update.value is not None else ([], 0)
        named = {row_key("gap", place, update.key): place for place in places} if gaps else {}
        gone = self._with_gaps.pop(update.key, {})
        for key, place in {**gone, **named}.items():
            value = update.value if key in named else None
            self._waiting[key] = Document(key, "gap", place, update.version, value)
        if named:
            self._with_gaps[update.key] = named

    async def put_rows(self) -> None:
        """Put what was offered, until cancelled."""
        while True:
            await self._came.wait()
            self._came.clear()
            waiting, self._waiting = self._waiting, {}
            await self._archive.put(list(waiting.values()))

    async def settle(self) -> None:
        """Put what was offered so far."""
        waiting, self._waiting = self._waiting, {}
        await self._archive.put(list(waiting.values()))

    async def run(self) -> None:
        """Follow until cancelled. Raises KafkaError where the logs can't be read."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._bootstrap,
            fetch_max_wait_ms=_WAIT_MS,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            auto_offset_reset="earliest",
        )
        await consumer.start()
        try:
            await self._follow(consumer)
        finally:
            await consumer.stop()

    async def _follow(self, consumer: AIOKafkaConsumer) -> None:
        everywhere = []
        for topic in (self._ledger, self._letters):
            await consumer._client._wait_on_metadata(topic)
            numbers = consumer.partitions_for_topic(topic) or set()
            everywhere += [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(everywhere)
        await consumer.seek_to_beginning(*everywhere)
        ends = await consumer.end_offsets(everywhere)
        begun = time.monotonic()
        while True:
            for tp, records in (await consumer.getmany(timeout_ms=_WAIT_MS)).items():
                if tp.topic == self._letters:
                    await self._archive.add_letters([letter_of(record) for record in records])
                    continue
                entries = [entry for record in records for entry in entries_of(record.value)]
                await self._archive.add_entries(entries)
            if not self.ready.is_set():
                positions = {tp: await consumer.position(tp) for tp in ends}
                if all(positions[tp] >= end for tp, end in ends.items()):
                    log.info("the archive is ready after %.1f s", time.monotonic() - begun)
                    self.ready.set()
