"""One simulated run: a load, a chaos, a calm, and what must hold in the end."""

import asyncio
import gc
import hashlib
import itertools
import json
import logging
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from api.allocation_feed import AllocationFeed
from models import arrival, movements, rows, stock, topics
from models.ledger import decode as decode_ledger
from models.stock import StockRow
from streams import allocations, dormant, intake, inventory, orders
from streams.engine import deletes, documents, snapshots
from streams.engine import partition as partitions
from streams.engine import stage as stages
from streams.engine import step as steps
from streams.engine.partition import Partition
from streams.engine.position import PREFIX, Position
from streams.engine.stage import Outputs, Stage, Work
from streams.intake import Intake
from streams.inventory import Inventory
from streams.orders import Orders
from streams.routing import Routing
from streams.settings import Settings
from tests import builders as b
from tests.load import Load
from tests.pipeline import key_of, topic_of
from tests.simulation.broker import COMPACTION_LAG, Broker, Faults, Group
from tests.simulation.node import Node
from tests.simulation.scheduler import Scheduler

PARTITIONS = 2
NODES = 2
EVENTS = 60
CHAOS = 60.0
"""Virtual seconds of load and faults."""

LAST = 8.0
"""Virtual seconds at the end of which requests freeze more often."""

FREEZING = 0.1
"""How often they do, each."""

DYING = 0.3
"""How often one that wakes dies before it can do anything more."""

LATE = 0.1
"""How often an event comes after others of its source, so that a gap opens and is filled."""

CALM = 120.0
"""Virtual seconds after them, within which all must be absorbed."""

STATES = (topics.INVENTORY_SOURCES, topics.ORDERS_STATE, topics.INVENTORY_STATE)


SMALL: dict[Any, dict[str, int]] = {
    allocations: {"SWEEP": 2},
    dormant: {"MAX_LEAVING": 2, "LOOKED_AT": 2},
    inventory: {"SWEEP": 2},
    orders: {"EXPIRIES": 1},
    arrival: {"CHUNK": 4, "MAX_CHUNKS": 2},
    stock: {"RECENT": 2, "MAX_CHUNKS": 4, "SUMMED_AT_ONCE": 2},
    snapshots: {"CHUNK": 5},
}
"""Limits so small that a short run goes past them: cursors, chunks, sums and deletes occur."""

NARROW: dict[Any, dict[str, int]] = {
    deletes: {"MAX_FORGOTTEN": 2},
    documents: {"MAX_FORGOTTEN": 1},
    intake: {"MAX_STEP_WEIGHT": 4_000},
    partitions: {"MAX_LIVE": 4},
    stages: {"MAX_STEP_WEIGHT": 4_000},
    steps: {
        "MAX_PENDING_BYTES": 1_500,
        "SLICE_BYTES": 400,
        "SAVE_WEIGHT": 3_000,
        "SAVE_ALL_WEIGHT": 6_000,
    },
}
"""The same of every second seed: inputs are not fetched for a while, backlogs have others wait,
steps are cut and saved for their weight, rows are decoded anew, the forgotten go one by one."""


@contextmanager
def small_limits(*, narrow: bool) -> Iterator[None]:
    """Have the service run with `SMALL`, also `NARROW`, and events numbered from 1."""
    with ExitStack() as stack:
        for module, limits in (*SMALL.items(), *(NARROW.items() if narrow else ())):
            stack.enter_context(patch.multiple(module, **limits))
        stack.enter_context(patch.object(b, "_ids", itertools.count(1)))
        yield


class Wrong(AssertionError):
    """Something does not hold; the message has the seed's story."""


@dataclass
class World:
    """A run of one seed."""

    seed: int
    story: list[str] = field(default_factory=list)

    def run(self) -> "World":
        """Run it. Raises Wrong.

        No garbage is collected meanwhile: what a collector unwinds, it unwinds anywhere.
        """
        gc.disable()
        self.random = Random(self.seed)
        loop = self.loop = Scheduler(self.random)
        logging.disable(logging.CRITICAL)
        asyncio.set_event_loop(loop)
        try:
            with small_limits(narrow=self.seed % 2 == 1), tempfile.TemporaryDirectory() as disks:
                self.disks = Path(disks)
                loop.run_until_complete(self._run())
        finally:
            asyncio.set_event_loop(None)
            loop.abandon()
            gc.enable()
            gc.collect()
            logging.disable(logging.NOTSET)
        return self

    def digest(self) -> str:
        """Over everything that stands at the broker."""
        whole = hashlib.sha256()
        for target, log in sorted(self.broker.logs.items()):
            for one in log.records:
                whole.update(repr((target, one.offset, one.timestamp, one.key, one.value)).encode())
        return whole.hexdigest()

    def tell(self, what: str) -> None:
        self.story.append(f"{self.loop.time():8.3f} {what}")

    def check(self, holds: bool, what: str) -> None:
        if not holds:
            raise Wrong("\n  ".join([f"seed {self.seed}: {what}", *self.story]))

    async def _run(self) -> None:
        self.settings = Settings(
            partitions=PARTITIONS, step_records=6, document_days=1, stock_days=1
        )
        self.routing = Routing(self.settings)
        self.broker = Broker(self.loop, self.random, Faults())
        self.broker.freeze = self._freeze
        self.group = Group(self.loop, self.random, PARTITIONS)
        self.nodes: list[Node] = []
        self._asleep: set[int] = set()
        self._counts = 0
        for _ in range(NODES):
            self._start()
        load = asyncio.create_task(self._load())
        chaos = asyncio.create_task(self._chaos())
        await load
        await chaos
        await self._settle()
        self._verify()
        await asyncio.sleep(COMPACTION_LAG + 5)
        for topic in STATES:
            self.broker.compact(topic)
        self._verify()

    # -- what happens

    def _start(self) -> None:
        number = len(self.nodes) + 1
        # A new process finds what another one has kept, now or long ago.
        disk = self.disks / str(self.random.randrange(NODES))
        node = Node(number, self.loop, self.random, self.broker, self.group, self.settings, disk)
        self.nodes.append(node)
        self.tell(f"node {number} starts")
        self.loop.spawn(number, node.run)

    async def _load(self) -> None:
        random = self.random
        self.load = Load(self.seed, sources=6, skus=9)
        self._requested = 0
        self._days: dict[str, str] = {}
        late: list[dict[str, Any]] = []
        for _ in range(EVENTS):
            await asyncio.sleep(random.random() * 2 * CHAOS / EVENTS)
            for _ in range(random.choice((1, 1, 1, 6))):
                event = self.load.event()
                # A week goes by, so that history is let go of.
                day = self._days.setdefault(event["id"], self._day())
                event["time"] = day + event["time"][10:]
                if random.random() < LATE:
                    late.append(event)
                    continue
                self._append(event)
                if random.random() < 0.2:
                    self._append(self._other())
            if late and random.random() < 0.5:
                self._append(late.pop(random.randrange(len(late))))
        for event in late:
            self._append(event)

    def _day(self) -> str:
        return f"2026-11-{2 + int(7 * self.loop.time() / CHAOS) % 20:02}"

    def _other(self) -> dict[str, Any]:
        """A reservation, what becomes of one, a channel's rule, or a count elsewhere."""
        random = self.random
        name = f"r{random.randint(1, self._requested + 1)}"
        what = random.choice(("request", "request", "confirmed", "released", "rule", "count"))
        if what == "request":
            self._requested += 1
            (sku, location), _ = random.choice(sorted(self.load.sums.items()))
            return b.requested(name, "09:00", (sku, 1), location=location, ttl_seconds=10)
        if what == "rule":
            rule: dict[str, Any] = {"share": random.choice((30, 50)), "rank": 1, "buffer": 1}
            rule["locations"] = None
            rule["channel"] = random.choice("ab")
            return b.event("onhand.channel.v1", "onhand", None, "09:00", rule)
        if what == "count":
            self._counts += 1
            lines = [{"line": n, "sku": f"sku-{n}", "quantity": n} for n in range(1, 6)]
            said = {"lines": lines[: random.randint(1, 5)], "complete": random.random() < 0.5}
            return b.count("counter", self._counts, "09:00", 0, location="L9", **said)
        return b.order(what, name, "09:00")

    def _append(self, event: dict[str, Any]) -> None:
        key, number = self.routing.of(key_of(event))
        self.broker.append((topic_of(event), number), [(key, json.dumps(event).encode(), [])])

    async def _chaos(self) -> None:
        random = self.random
        until = self.loop.time() + CHAOS
        while self.loop.time() < until:
            if until - self.loop.time() < LAST:
                self.broker.faults.frozen = FREEZING
            await asyncio.sleep(random.random() * 3)
            self.group.expire()
            running = [node for node in self.nodes if node.alive]
            what = random.choice(("kill", "pause", "nap", "compact", "start", "nothing", "nothing"))
            if what == "start" and len(running) <= NODES:
                self._start()
            elif what == "compact":
                topic = random.choice(STATES)
                if self._is_repaired_in_time(topic):
                    self.broker.compact(topic)
            elif what in ("kill", "pause", "nap") and running:
                node = random.choice(running)
                self.tell(f"{what} node {node.process}")
                if what == "kill":
                    node.die()
                    self.loop.in_world(random.random() * 4, self._start)
                else:
                    self._pause(node.process, 25.0 if what == "pause" else 3.0)

    def _node(self, process: int) -> Node:
        return next(node for node in self.nodes if node.process == process)

    def _freeze(self, process: int) -> None:
        self.tell(f"node {process} freezes in the middle of a request")
        self._pause(process, 25.0)

    def _pause(self, process: int, longest: float) -> None:
        self.loop.pause(process)
        self._asleep.add(process)
        self.loop.in_world(self.random.random() * longest, lambda: self._wake(process))

    def _wake(self, process: int) -> None:
        if process not in self._asleep:
            return
        self._asleep.discard(process)
        self.tell(f"node {process} wakes")
        self.loop.resume(process)
        if self.random.random() < DYING:
            # It had time to send what it had in hand, and none to join again.
            self.loop.in_world(self.random.random() / 5, self._node(process).die)

    async def _settle(self) -> None:
        self.broker.faults.calm()
        # Who is frozen now wakes when others have taken over, and nothing else happens.
        for _ in range(20):
            await asyncio.sleep(0.5)
            self.group.expire()
        for node in self.nodes:
            if node.alive:
                self._wake(node.process)
        until = self.loop.time() + CALM
        calm = 0
        while calm < 8:
            await asyncio.sleep(0.5)
            self.group.expire()
            if not any(node.alive for node in self.nodes):
                self._start()
            calm = calm + 1 if self._is_absorbed() and self._is_repaired() else 0
            self.check(self.loop.time() < until, "not all is absorbed and repaired")
        self.tell("settled")

    def _is_absorbed(self) -> bool:
        for stage in self._stages():
            for number in range(PARTITIONS):
                offsets = self._last_position(stage.state, number)
                for name in stage.inputs:
                    log = self.broker.logs[name, number]
                    last = log.records[-1].offset if log.records else -1
                    if offsets.get(name, -1) < last:
                        return False
        return True

    def _is_repaired(self) -> bool:
        return not any(
            self._recovered(topic, number).to_repair
            for topic in STATES
            for number in range(PARTITIONS)
        )

    def _is_repaired_in_time(self, topic: str) -> bool:
        """Whether no late write is as old as the lag: where one is, an owner refuses to go on."""
        lates = [self._recovered(topic, number).late_at for number in range(PARTITIONS)]
        return all(late is None or late > self.broker.horizon for late in lates)

    def _last_position(self, topic: str, number: int) -> dict[str, int]:
        for record in reversed(self.broker.logs[topic, number].records):
            if record.key.startswith(PREFIX.encode()):
                return rows.decode(record.value, Position).offsets
        return {}

    # -- what must hold

    def _stages(self) -> tuple[Stage, ...]:
        routing = self.routing
        return Intake(routing), Orders(routing, self.settings), Inventory(routing)

    def _recovered(self, topic: str, number: int) -> Partition:
        partition = Partition(number)
        partition.load(self.broker.logs[topic, number].records)
        partition.recovered()
        return partition

    def _verify(self) -> None:
        """State is what a replay of the inputs comes to; so are outputs, each once."""
        emitted: dict[str, dict[Any, Any]] = defaultdict(dict)
        for stage in self._stages():
            for number in range(PARTITIONS):
                state = self._recovered(stage.state, number)
                self.check(not state.to_repair, f"{stage.name}/{number} is not repaired")
                replayed = self._replay(stage, number, emitted)
                self._same_rows(f"{stage.name}/{number}", state, replayed)
        self._same_outputs(emitted)
        self._same_allocations()
        self._same_sums()

    def _replay(self, stage: Stage, number: int, emitted: dict[str, dict[Any, Any]]) -> Partition:
        partition = Partition(number)
        stage.opened(partition)
        outputs: Outputs = {}
        work = Work(partition, outputs)
        for name in stage.inputs:
            work.turn_to(name)
            for record in self.broker.logs[name, number].records:
                work.begin(record)
                while not stage.absorb(work, record):
                    pass
            work.end()
        stage.finish(work)
        partition.acknowledge(partition.cut("replay", 0))
        for (topic, place), records in outputs.items():
            for identity, what in _identified(topic, place, records):
                emitted[topic][identity] = what
        return partition

    def _same_rows(self, where: str, state: Partition, replayed: Partition) -> None:
        for key in sorted({**state.encoded, **replayed.encoded}):
            have, want = state.encoded.get(key), replayed.encoded.get(key)
            if not key.startswith(PREFIX) and have != want:
                self.check(False, f"{where} {key}:\n  is        {have!r}\n  should be {want!r}")

    def _same_outputs(self, emitted: dict[str, dict[Any, Any]]) -> None:
        for topic in (topics.INVENTORY_MOVEMENTS, topics.INVENTORY_LEDGER):
            found = {}
            for number in range(PARTITIONS):
                records = [
                    (one.key, one.value, one.headers)
                    for one in self.broker.logs[topic, number].records
                ]
                for identity, what in _identified(topic, number, records):
                    known = found.setdefault(identity, what)
                    self.check(known == what, f"{topic} {identity}: {known} and {what}")
            self.check(found == emitted[topic], f"{topic} is not what a replay emits")

    def _same_allocations(self) -> None:
        """What channels are told comes, by version, to the state's allocations."""
        told: dict[str, tuple[int, bytes | None]] = {}
        for number in range(PARTITIONS):
            for one in self.broker.logs[topics.CHANNEL_ALLOCATIONS, number].records:
                key, version = one.key.decode(), _version(one)
                known = told.get(key, (-1, None))
                if known[0] == version:
                    self.check(known[1] == one.value, f"allocation {key} has two of {version}")
                told[key] = max(known, (version, one.value), key=lambda row: row[0])
        state = [self._recovered(topics.INVENTORY_STATE, number) for number in range(PARTITIONS)]
        held = {
            key.removeprefix("allocation|"): value
            for partition in state
            for key, value in partition.encoded.items()
            if key.startswith("allocation|") and not rows.head(value)[1]
        }
        found = {key: value for key, (_, value) in told.items() if value is not None}
        self.check(found == held, f"channels are told {found}, the state has {held}")
        feed = AllocationFeed()
        for number in range(PARTITIONS):
            log = self.broker.logs[topics.INVENTORY_STATE, number].records
            feed.take(number, [one for one in log if one.key.startswith(b"allocation|")])
        shown = {
            f"{row.channel}|{row.sku}": row.quantity
            for channel in feed._latest
            for row in feed.page(channel, "", len(held))
        }
        want = {key: json.loads(value)["quantity"] for key, value in held.items()}
        self.check(shown == want, f"fronts show {shown}, the state has {want}")

    def _same_sums(self) -> None:
        state = [self._recovered(topics.INVENTORY_STATE, number) for number in range(PARTITIONS)]
        for (sku, location), want in self.load.sums.items():
            value = state[self.routing.of(sku)[1]].encoded.get(rows.stock_key(sku, location))
            self.check(value is not None, f"{sku} at {location} is missing")
            row = rows.decode(value, StockRow)
            have = {bucket: getattr(row, bucket) for bucket in want}
            self.check(have == want, f"{sku} at {location}: {have}, should be {want}")


def _version(record: Any) -> int:
    if record.value is None:
        return rows.tombstone_version(record.headers)
    return rows.head(record.value)[0]


def _identified(topic: str, number: int, records: Any) -> Any:
    """Movements by origin and SKU, ledger entries by row and version."""
    for _, value, _ in records:
        if topic == topics.INVENTORY_MOVEMENTS:
            for one in movements.decode(value):
                yield (number, one.topic, one.partition, one.ordinal), one
        elif topic == topics.INVENTORY_LEDGER:
            for entry in decode_ledger(value):
                moved = entry.movement
                yield (moved.sku, moved.location, entry.version), entry


def run(seed: int) -> World:
    """Run one seed. Raises Wrong."""
    return World(seed).run()


def wrong_seeds(seeds: range) -> list[tuple[int, str]]:
    """The seeds of which something does not hold, and what."""
    found = []
    for seed in seeds:
        try:
            run(seed)
        except Exception as error:  # noqa: BLE001 - a seed that breaks the simulation is wrong too
            found.append((seed, f"{type(error).__name__}: {error}"))
    return found
