"""Filling the archive: from the logs, from their beginning, and with rows as they are told."""

import asyncio
import base64
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec import Struct

from api.archive.process import Row
from api.archive.store import Document, Letter, Writer
from api.views.base import kind_of
from api.views.gaps import gaps_of
from models import ledger, topics
from models.outcomes import REMEDIES, Code
from models.rows import head, parts
from models.rows import key as row_key
from runtime.preparing import prepare
from runtime.records import Fetched

_WAIT_MS: Final = 250
_ENOUGH_BYTES: Final = 4 * 1024 * 1024
"""Explanations may be a moment late; few large portions cost a half of many small ones."""

COMMIT_SECONDS: Final = 1.0
"""How soon readers see what was taken, unless one asks for it."""


class _Held(Struct):
    """How many events of a source wait for something."""

    held: int = 0


_decode_held = msgspec.json.Decoder(_Held).decode

_NAME_OF: Final[dict[str, Callable[[list[str]], str]]] = {
    "hold": lambda part: row_key("at", part[1], part[2]),
    "return": lambda part: part[1],
    "source": lambda part: part[2],
    "held": lambda part: part[2],
    "advice": lambda part: part[2],
    "transfer": lambda part: part[2],
}

SEARCHED: Final = frozenset(_NAME_OF)
"""The kinds of rows that are searched by name."""


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


class Filling:
    """What came by in the logs and what was told, on its way into the file."""

    def __init__(self, writer: Writer, now: Callable[[], float] = time.monotonic) -> None:
        """`now` is in seconds."""
        self._writer = writer
        self._now = now
        self._due = now() + COMMIT_SECONDS
        self._with_gaps: dict[str, tuple[int, dict[str, str]]] = {}
        """Of each source its version, and the keys and locations of its gaps."""

    def take_rows(self, rows: Iterable[Row]) -> None:
        """Rows of the kinds that are searched."""
        latest: dict[str, Document] = {}
        for name, value in rows:
            key = name.decode()
            kind = kind_of(key)
            version, gone = head(value)
            known = latest.get(key)
            if known is None or known.version < version:
                kept = None if gone else value
                latest[key] = Document(key, kind, _NAME_OF[kind](parts(key)), version, kept)
        for document in list(latest.values()):
            if document.kind == "source":
                latest.update((one.key, one) for one in self._gaps_of(document))
        self._writer.put(latest.values())

    def _gaps_of(self, source: Document) -> list[Document]:
        """A source with gaps or held events is also looked up by its locations."""
        known, gone = self._with_gaps.get(source.key, (-1, {}))
        if source.version <= known:
            return []
        places, gaps = gaps_of(source.value) if source.value is not None else ([], 0)
        missing = gaps or (source.value is not None and _decode_held(source.value).held)
        named = {row_key("gap", place, source.key): place for place in places} if missing else {}
        self._with_gaps[source.key] = source.version, named
        return [
            Document(key, "gap", place, source.version, source.value if key in named else None)
            for key, place in {**gone, **named}.items()
        ]

    def take_entries(self, records: Iterable[Fetched]) -> None:
        """Records of the ledger."""
        self._writer.add_entries(
            [one for record in records for one in ledger.heads(record.value or b"[]")]
        )

    def take_letters(self, records: Iterable[Any]) -> None:
        """Dead letters."""
        self._writer.add_letters([letter_of(record) for record in records])

    def commit_when_due(self) -> None:
        """Let readers see what was taken, a second after they saw something last."""
        if self._now() >= self._due:
            self.show()

    def show(self, number: int | None = None) -> None:
        """Let readers see all that was taken, and the number that one of them waits for."""
        self._writer.commit(number)
        self._due = self._now() + COMMIT_SECONDS


async def follow(filling: Filling, bootstrap: str, topic: Callable[[str], str]) -> None:
    """Follow the logs into the file until cancelled. Raises KafkaError if they can't be read."""
    prepare()
    takers: dict[str, Callable[[list[Any]], None]] = {
        topic(topics.INVENTORY_LEDGER): filling.take_entries,
        topic(topics.DEAD_LETTERS): filling.take_letters,
    }
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        fetch_max_wait_ms=_WAIT_MS,
        fetch_min_bytes=_ENOUGH_BYTES,
        max_partition_fetch_bytes=4 * 1024 * 1024,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        everywhere = []
        for name in takers:
            await consumer._client._wait_on_metadata(name)
            numbers = consumer.partitions_for_topic(name) or set()
            everywhere += [TopicPartition(name, number) for number in sorted(numbers)]
        consumer.assign(everywhere)
        await consumer.seek_to_beginning(*everywhere)
        while True:
            taken = await consumer.getmany(timeout_ms=_WAIT_MS, max_records=5_000)
            for tp, records in taken.items():
                takers[tp.topic](records)
                # aiokafka gives what it has at once: what the front tells is to have its turn.
                await asyncio.sleep(0)
            filling.commit_when_due()
    finally:
        await consumer.stop()
