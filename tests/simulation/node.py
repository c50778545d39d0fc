"""One simulated process: the real engine, tables and stages; its clients are made up."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

from faust.types import TP

from models.reference import Catalog
from streams.decisions import TICK_KEY, tick
from streams.engine.engine import Engine
from streams.engine.pressure import Pressure
from streams.engine.snapshots import Snapshots
from streams.engine.stage import Stage
from streams.engine.step import Steps
from streams.engine.tables import RowStore
from streams.intake import Intake
from streams.inventory import Inventory
from streams.orders import Orders
from streams.routing import Routing
from streams.settings import Settings
from tests.simulation.broker import EPOCH_MS, Broker, Group, ProduceError, read_all
from tests.simulation.scheduler import Scheduler

HEARTBEAT = 1.0
GROWTH = 3_000
"""Bytes of a state log between two snapshots."""

TOMBSTONE_MS = 10_000
"""After a delete: far sooner than compaction is, so that runs as short as these have some."""

FETCH = 12
"""Records that a fetch returns at most, per partition."""

RECOVERED = 50
"""The same of a state log; where that ends, no batch needs to."""


class Appender:
    """Appends over the simulated network."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    async def send_outputs(self, outputs):
        sent = {target: records for target, records in outputs.items() if records}
        await asyncio.gather(*(self._broker.produce(*one) for one in sent.items()))

    async def send_state(self, states):
        batches = {
            target: [(key.encode(), value, headers) for key, value, headers in records]
            for target, records in states.items()
        }
        landed = await asyncio.gather(*(self._broker.produce(*one) for one in batches.items()))
        return dict(zip(batches, landed, strict=True))


class Ownership:
    """Asks the simulated broker and group."""

    def __init__(self, node: "Node") -> None:
        self._node = node

    async def ends(self, topic, partitions):
        await asyncio.sleep(self._node.broker.latency())
        return {number: self._node.broker.logs[topic, number].end for number in partitions}

    async def is_ours(self, topic, partition, offset):
        node = self._node
        await asyncio.sleep(node.broker.latency())
        return node.group.owns(node.process, node.generation, partition)

    async def read(self, topic, partition, start, end):
        await asyncio.sleep(self._node.broker.latency())
        async for record in read_all(self._node.broker.logs[topic, partition], start, end):
            yield [record]


class Consumer:
    """Fetches runs, and hands them on through a queue, as Faust's streams do."""

    def __init__(self, node: "Node", random: Random) -> None:
        self._node = node
        self._random = random
        self.positions: dict[TP, int] = {}
        self._queue: deque[tuple[str, dict[tuple[str, int], list[Any]]]] = deque()

    def go_to(self, tp: TP, offset: int) -> None:
        if tp in self.positions:
            self.positions[tp] = offset

    def end_of(self, tp: TP) -> int:
        return self._node.broker.logs[tp].end

    async def earliest_offsets(self, *partitions):
        await asyncio.sleep(self._node.broker.latency())
        return dict.fromkeys(partitions, 0)

    async def highwaters(self, *partitions):
        await asyncio.sleep(self._node.broker.latency())
        return {tp: self._node.broker.logs[tp].end for tp in partitions}

    async def committed(self, tp):
        return None

    async def fetch(self) -> None:
        broker, random = self._node.broker, self._random
        held_until = 0.0
        while True:
            found = self._fetched()
            # What was fetched may wait for long, and be stale by then.
            if random.random() < broker.faults.stale_run:
                held_until = self._node.time() + random.random() * 4
            while self._queue and self._node.time() >= held_until:
                topic, runs = self._queue.popleft()
                self._node.steps_of(topic).offer(runs)
            await asyncio.sleep(broker.latency() if found else random.random() / 2)

    def _fetched(self) -> bool:
        crowded = self._node.engine.crowded()
        runs: dict[str, dict[tuple[str, int], list[Any]]] = {}
        for tp, position in self.positions.items():
            if tp in crowded:
                continue
            run = self._node.broker.logs[tp].read(position, self._random.randint(1, FETCH))
            if run:
                runs.setdefault(tp.topic, {})[tp] = run
        for found in runs.values():
            for tp, run in found.items():
                self.positions[tp] = run[-1].offset + 1
        self._queue.extend(runs.items())
        return bool(runs)


class Node:
    """A process: give its `run` to the scheduler."""

    def __init__(
        self,
        process: int,
        loop: Scheduler,
        random: Random,
        broker: Broker,
        group: Group,
        settings: Settings,
        disk: Path,
    ) -> None:
        self.process = process
        self.broker = broker
        self.group = group
        self.generation = -1
        self.alive = True
        self._loop = loop
        self._rebalance = asyncio.Event()
        self._random = random
        self._assigned: frozenset[int] = frozenset()
        self._settings = settings
        self._consumer = Consumer(self, random)
        self.engine = Engine(
            self._settings,
            lambda: self._consumer,
            appender=lambda name: Appender(broker),
            ownership=Ownership(self),
            snapshots=Snapshots(disk, GROWTH, Ownership(self), self._in_thread),
            end=self.die,
            now=lambda: EPOCH_MS / 1000 + loop.time(),
            writer=f"node-{process}",
        )
        routing = Routing(self._settings)
        self._orders = Orders(routing, self._settings)
        self._reservations = routing.reservations
        stages = (Intake(routing, Catalog()), self._orders, Inventory(routing))
        pressure = Pressure()
        intake, orders, inventory = stages
        self._tables = [
            self._table(intake, minds=pressure),
            self._table(orders),
            self._table(inventory, tells=pressure),
        ]

    def _table(self, stage: Stage, **pressure: Pressure) -> tuple[Steps, RowStore]:
        """The real store, behind a table that knows no more than its changelog's name."""
        steps = self.engine.add(stage, **pressure)
        steps._lag_ms = TOMBSTONE_MS
        store = RowStore.__new__(RowStore)
        store.partitions = {}
        store.on_error = self.engine.fatal
        store.restore = partial(self.engine.restore, steps)
        changelog = SimpleNamespace(get_topic_name=lambda: stage.state)
        store.table = SimpleNamespace(changelog_topic=changelog)
        return steps, store

    async def _in_thread(self, work: Callable[[], int]) -> int:
        await asyncio.sleep(self.broker.latency())
        return work()

    def die(self, code: int = -9) -> None:
        """End here and now."""
        self.alive = False
        self._loop.kill(self.process)

    def time(self) -> float:
        return self._loop.time()

    def steps_of(self, topic: str) -> Steps:
        return next(steps for steps, _ in self._tables if topic in steps.stage.inputs)

    def rebalance(self) -> None:
        """The coordinator, or a refused heartbeat, says that there is a new generation."""
        self._rebalance.set()

    async def run(self) -> None:
        """The process's first task: what escapes it ends the process."""
        try:
            await self._run()
        except Exception as error:  # noqa: BLE001 - whatever it is
            self.engine.fatal(error)

    async def _run(self) -> None:
        await self.engine.start()
        self.group.join(self.process, self.rebalance)
        others = [self._consumer.fetch(), self._heartbeats(), self._ticks()]
        self._tasks = [asyncio.create_task(one) for one in others]
        while True:
            await self._rebalance.wait()
            self._rebalance.clear()
            await self._change_hands()

    async def _heartbeats(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT)
            await asyncio.sleep(self.broker.latency())
            if not self.group.heartbeat(self.process):
                self.group.rejoin(self.process, self.rebalance)

    async def _ticks(self) -> None:
        while True:
            await asyncio.sleep(1)
            now = (EPOCH_MS + round(self._loop.time() * 1000)) * 1000
            for number in self._orders.partitions_due(now):
                with contextlib.suppress(ProduceError):
                    await self.broker.produce(
                        self._reservations[number], [(TICK_KEY, tick(now), [])]
                    )

    async def _change_hands(self) -> None:
        """Let go of what we own, join, and take what we are given."""
        await self.engine.partitions_revoked()
        self._consumer.positions.clear()
        generation = self.group.generation
        self.group.joined(self.process, generation)
        while True:
            await asyncio.sleep(0.05)
            if self._rebalance.is_set():
                return
            numbers = self.group.assignment(self.process, generation)
            if numbers is not None:
                break
        self.generation = generation
        await self._take(numbers)

    async def _take(self, numbers: frozenset[int]) -> None:
        """Recover the state of the partitions, and read on where it ends."""
        gone, new = self._assigned - numbers, numbers - self._assigned
        self._assigned = numbers
        for _, store in self._tables:
            topic = store.table.changelog_topic.get_topic_name()
            await store.on_rebalance(
                {TP(topic, one) for one in numbers},
                {TP(topic, one) for one in gone},
                {TP(topic, one) for one in new},
            )
        # As Faust does: where the logs end is asked first, and then they are read.
        ends = {
            (place, number): self.broker.logs[steps.stage.state, number].end
            for place, (steps, _) in enumerate(self._tables)
            for number in numbers
        }
        for (place, number), end in ends.items():
            steps, store = self._tables[place]
            if not await self._recover(store, TP(steps.stage.state, number), end):
                return
        for steps, store in self._tables:
            topic = store.table.changelog_topic.get_topic_name()
            store.on_recovered = lambda found, steps=steps: self.engine.partitions_recovered(
                steps, found
            )
            await store.on_recovery_completed({TP(topic, one) for one in numbers}, set())
            if self._rebalance.is_set():
                return
        inputs = {
            TP(name, number)
            for steps, _ in self._tables
            for name in steps.stage.inputs
            for number in numbers
        }
        points = await self.engine.resume(self._consumer, inputs)
        if not self._rebalance.is_set():
            self._consumer.positions = dict(sorted(points.items()))

    async def _recover(self, store: RowStore, tp: TP, end: int) -> bool:
        log = self.broker.logs[tp]
        persisted = store.persisted_offset(tp)
        at = 0 if persisted is None else persisted + 1
        while at < end:
            await asyncio.sleep(self.broker.latency())
            if self._rebalance.is_set():
                return False
            run = log.read(at, self._random.randint(1, RECOVERED))
            if not run:
                break
            message = SimpleNamespace(partition=tp.partition, value=run)
            store.apply_changelog_batch([SimpleNamespace(message=message)], None, None)
            at = run[-1].offset + 1
        return True
