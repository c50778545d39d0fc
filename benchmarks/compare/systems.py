"""The systems that are compared: how each is started, watched, and read out."""

import json
import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Final

from aiokafka import ConsumerRecord

from benchmarks.compare.building import java_peer, quix_peer
from local.kafka import VERSION as KAFKA_VERSION
from local.processes import python

PARTITIONS: Final = 4
QUIX_VERSION: Final = "3.28.1"
Sums = dict[tuple[str, str], tuple[int, int]]
"""Units on hand and in quality control, by SKU and location."""

Row = tuple[str, tuple[int, int]]
"""`sku|location`, units on hand and in quality control."""


@dataclass(frozen=True)
class Peer:
    """One system in one form. `{name}` in topics stands for the run's consumer group.

    `share` of the full backlog is what it is given: all, unless it would take hours.
    `row` reads a record of its `changelog`; None where it keeps no state.
    """

    system: str
    form: str
    version: str
    command: Callable[[], Sequence[str]]
    settings: dict[str, str] = field(default_factory=dict)
    topics: tuple[str, ...] = ()
    inner: str = "{name}-movements"
    changelog: str = ""
    row: Callable[[ConsumerRecord], Row | None] | None = None
    share: float = 1.0

    @property
    def case(self) -> str:
        """System and form in one name."""
        return f"{self.system} {self.form}".strip()


def _module(name: str, *arguments: str) -> Callable[[], Sequence[str]]:
    return lambda: python(f"benchmarks.peers.{name}", *arguments)


def _faust_row(record: ConsumerRecord) -> Row | None:
    on_hand, quality_control = json.loads(record.value)
    return json.loads(record.key), (on_hand, quality_control)


def _least_row(record: ConsumerRecord) -> Row | None:
    if not record.key.startswith(b"stock|"):
        return None
    row = json.loads(record.value)
    return f"{row['sku']}|{row['location']}", (row["on_hand"], row["quality_control"])


_QUIX_KEY: Final = re.compile(rb'"?([^"|]+\|[^"|]+)"?\|"stock"$')


def _quix_row(record: ConsumerRecord) -> Row | None:
    found = _QUIX_KEY.search(record.key)
    if found is None:
        return None
    on_hand, quality_control = json.loads(record.value)
    return found[1].decode(), (on_hand, quality_control)


def _kafka_streams_row(record: ConsumerRecord) -> Row | None:
    on_hand, quality_control = struct.unpack(">ii", record.value)
    return record.key.decode(), (on_hand, quality_control)


def _kafka_streams(
    store: str, threads: int, *, caching: bool = True, exact: bool = False, compressed: bool = False
) -> Peer:
    form = [store, f"{threads} thread{'s'[: threads - 1]}"]
    form += [] if caching else ["no cache"]
    form += ["lz4"] if compressed else []
    form += ["exactly once"] if exact else []
    return Peer(
        "Kafka Streams",
        ", ".join(form),
        KAFKA_VERSION,
        java_peer,
        settings={
            "PEER_STORE": store,
            "PEER_THREADS": str(threads),
            "PEER_CACHING": "1" if caching else "0",
            "PEER_COMPRESSION": "lz4" if compressed else "none",
            "PEER_GUARANTEE": "exactly_once_v2" if exact else "at_least_once",
        },
        inner="{name}-movements-repartition",
        changelog="{name}-stock-changelog",
        row=_kafka_streams_row,
    )


CEILING: Final = Peer(
    "aiokafka", "ceiling", version("aiokafka"), _module("ceiling"), topics=("{name}-movements",)
)
LEAST: Final = Peer(
    "aiokafka",
    "least, without guarantees",
    version("aiokafka"),
    _module("least"),
    topics=(
        "{name}-movements",
        "{name}-sources-changelog",
        "{name}-stock-changelog",
        "{name}-ledger",
    ),
    changelog="{name}-stock-changelog",
    row=_least_row,
)
FAUST: Final = Peer(
    "Faust",
    "agents and tables",
    version("faust-streaming"),
    _module("faust_agents", "worker", "--loglevel", "warn"),
    topics=("{name}-movements", "{name}-sources-changelog", "{name}-stock-changelog"),
    changelog="{name}-stock-changelog",
    row=_faust_row,
    share=1 / 75,
)
QUIX: Final = Peer(
    "Quix Streams",
    "",
    QUIX_VERSION,
    quix_peer,
    changelog="changelog__{name}--{name}-movements--default",
    row=_quix_row,
    share=1 / 6,
)
KAFKA_STREAMS: Final = (
    _kafka_streams("memory", 1),
    _kafka_streams("memory", 2),
    _kafka_streams("memory", 2, caching=False),
    _kafka_streams("memory", 2, caching=False, compressed=True),
    _kafka_streams("rocksdb", 1),
    _kafka_streams("rocksdb", 2),
)
"""At least once."""

KAFKA_STREAMS_EXACT: Final = (
    _kafka_streams("memory", 2, exact=True),
    _kafka_streams("memory", 2, exact=True, caching=False),
    _kafka_streams("memory", 2, exact=True, caching=False, compressed=True),
    _kafka_streams("rocksdb", 2, exact=True),
)
"""Exactly once, by Kafka's transactions."""
