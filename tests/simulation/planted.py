"""What a simulated service does otherwise: bugs that break one rule each, and short days."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch
from weakref import WeakSet

from models import arrival, topics
from models.instants import SECOND
from models.outcomes import Arrival
from models.rows import parts
from streams import dormant, intake, inventory
from streams.allocations import Allocations
from streams.engine import documents
from streams.engine.engine import Engine
from streams.engine.partition import Image, Partition
from streams.engine.position import Position
from streams.engine.step import Steps
from streams.errors import OwnershipLostError
from tests.simulation import world
from tests.simulation.node import Appender, Node

_arrive = arrival.arrive
_fatal = Engine.fatal
_send_state = Appender.send_state
_image = Partition.image
_recover = Node._recover
_tell_allocations = Allocations.send

AROUND = 2.0
"""Virtual seconds around the end of faults, when one that writes stock freezes for a bug's sake."""

PAUSING = 0.3
"""How often one pauses between asking where a log ends and reading it, for a bug's sake."""

_frozen_once: WeakSet[Any] = WeakSet()
"""Brokers of the worlds in which one did."""


async def _state_first(self: Steps, outputs: Any, batches: Any, generation: int) -> None:
    try:
        self._must_own(generation)
        jumped = self._acknowledge(batches, await self._send({}, batches))
        if jumped:
            await self._repair(jumped, generation)
        await self._send(outputs, [])
        self._tell_absorbed(partition for partition, _ in batches)
    except OwnershipLostError:
        pass
    except Exception as error:  # noqa: BLE001 - as the method that this stands for
        self._fatal(error)


async def _state_beside(self: Steps, outputs: Any, batches: Any, generation: int) -> None:
    try:
        self._must_own(generation)
        jumped = self._acknowledge(batches, await self._send(outputs, batches))
        if jumped:
            await self._repair(jumped, generation)
        self._tell_absorbed(partition for partition, _ in batches)
    except OwnershipLostError:
        pass
    except Exception as error:  # noqa: BLE001 - as the method that this stands for
        self._fatal(error)


def _absorb_origin(self: Position, topic: int, partition: int, ordinal: int) -> bool:
    return True


async def _partitions_recovered(self: Engine, steps: Steps, partitions: list[Partition]) -> None:
    for partition in partitions:
        partition.forget_position()
    await steps.own(partitions)


def _acknowledge_blindly(self: Steps, owed: Any, landed: Any) -> list[Partition]:
    for partition, batch in owed:
        partition.acknowledge(batch)
        partition.end = landed[self._topic, partition.number] + batch.size
    return []


async def _do_not_look(self: Steps, generation: int) -> None:
    pass


def _load_last(self: Partition, name: str, value: bytes, known: bytes, offset: int) -> None:
    self._again[name] = offset
    self.encoded[name] = value
    self.to_repair.discard(name)
    self.live.pop(name, None)


async def _keep_submitting(self: Steps, seconds: float) -> None:
    self._forget_pending()
    for partition in self.owned.values():
        self._forget_step(partition)
    self.owned = {}


def _own_all_the_same(self: Steps, generation: int) -> None:
    pass


def _repairs_nothing(self: Partition, writer: str, partitions: int, at: int = 0) -> None:
    self.to_repair.clear()


def _leave_late_batch(self: Partition, start: int, knew_all: bool) -> None:
    pass


def _remember_step(self: Steps, partition: Partition) -> None:
    self.stage.closed(partition.number)


def _image_with_a_row_less(self: Partition) -> Image | None:
    image = _image(self)
    if image is not None:
        image.rows.popitem()
    return image


def _take_any_run(self: Steps, runs: Any) -> None:
    for source, run in runs.items():
        if source in self._next and run:
            self._next[source] = run[-1].offset + 1
            self._enqueue(source, run)
    if self._count:
        self._wake.set()


async def _run_without_waiting(self: Steps) -> None:
    while True:
        if not (self._count or self._owed or self._unsaved):
            await self._idle()
        while self._has_room():
            self._absorb_slice(asyncio.get_running_loop().time())
        if self._step.works or self._owed or self._unsaved:
            self._flight = asyncio.create_task(self._submit(*self._cut()))
        await asyncio.sleep(0)


def _never_repeated(*arguments: Any) -> arrival.Arrived:
    arrived = _arrive(*arguments)
    return arrived if arrived.is_new else arrival.Arrived(Arrival.IN_ORDER)


def _late_is_repeated(*arguments: Any) -> arrival.Arrived:
    arrived = _arrive(*arguments)
    late = arrived.arrival is Arrival.GAP_FILLED
    return arrival.Arrived(Arrival.DUPLICATE) if late else arrived


async def _send_position_apart(self: Appender, states: Any) -> dict[Any, int]:
    rest = {to: records[:-1] for to, records in states.items() if len(records) > 1}
    landed = await _send_state(self, rest)
    for target, records in states.items():
        last = await _send_state(self, {target: records[-1:]})
        landed.setdefault(target, last[target])
    return landed


async def _freeze_at_a_state(self: Appender, states: Any) -> dict[Any, int]:
    broker, now = self._broker, self._broker._loop.time()
    of_stock = any(topic == topics.INVENTORY_STATE for topic, _ in states)
    if of_stock and abs(now - world.CHAOS) < AROUND and broker not in _frozen_once:
        _frozen_once.add(broker)
        # Until all is calm, when others have taken over.
        seen = broker.freeze.__self__
        seen.tell("one freezes at a state of stock")
        seen.loop.pause(broker._loop.process())
        seen._asleep.add(broker._loop.process())
    return await _send_state(self, states)


async def _pause_before_reading(self: Node, store: Any, tp: Any, end: int) -> bool:
    if tp.topic == topics.INVENTORY_STATE and self._random.random() < PAUSING:
        self.broker.freeze(self.process)
        await asyncio.sleep(0)
    return await _recover(self, store, tp, end)


def _tell_one_less(self: Allocations, work: Any) -> None:
    if len(self._changed) > 1:
        self._changed.popitem()
    _tell_allocations(self, work)


Patches = list[tuple[Any, str, Any]]

PLANTED: dict[str, Patches] = {
    "state before outputs": [(Steps, "_submit", _state_first)],
    "a step's state goes with its own outputs": [(Steps, "_submit", _state_beside)],
    "origins are not looked at": [(Position, "absorb_origin", _absorb_origin)],
    "positions are not looked at": [(Engine, "partitions_recovered", _partitions_recovered)],
    "acks are not looked at": [
        (Steps, "_acknowledge", _acknowledge_blindly),
        (Steps, "_look", _do_not_look),
    ],
    "the last record wins": [(Partition, "_load_known", _load_last)],
    "a revoked step goes on": [
        (Steps, "revoke", _keep_submitting),
        (Steps, "_must_own", _own_all_the_same),
    ],
    "recovery repairs nothing": [(Partition, "repairs", _repairs_nothing)],
    "late batches are left as they are": [(Partition, "_write_again", _leave_late_batch)],
    "idle logs are not looked at": [(Steps, "_look", _do_not_look)],
    "an unfinished step is remembered": [(Steps, "_forget_step", _remember_step)],
    "steps overlap": [(Steps, "run", _run_without_waiting)],
    "the position is a batch of its own": [(Appender, "send_state", _send_position_apart)],
    "a batch that was read in part is taken": [(Partition, "is_whole", True)],
    "a snapshot is not whole": [(Partition, "image", _image_with_a_row_less)],
    "a source's repeat counts again": [(intake, "arrive", _never_repeated)],
    "what fills a gap is taken for a repeat": [(intake, "arrive", _late_is_repeated)],
    "channels are not told of each change": [(Allocations, "send", _tell_one_less)],
    "any run is taken": [(Steps, "offer", _take_any_run)],
}

NEEDED: dict[str, Patches] = {
    # What is compiled reads origins and looks at sequences itself.
    "origins are not looked at": [(inventory, "PlainDeltas", None)],
    "a source's repeat counts again": [(intake, "PlainEvents", None)],
    "what fills a gap is taken for a repeat": [(intake, "PlainEvents", None)],
    # It shows only where others append meanwhile.
    "a batch that was read in part is taken": [(Node, "_recover", _pause_before_reading)],
    # It shows only where one process freezes at its last state, others go on, and it does
    # not come back: that would have its partitions read anew.
    "idle logs are not looked at": [
        (world, "FREEZING", 0.0),
        (world, "DYING", 1.0),
        (Appender, "send_state", _freeze_at_a_state),
    ],
}
"""What must be so for a bug to show, and is none."""


@contextmanager
def needed(name: str) -> Iterator[None]:
    """What the bug of that name needs, without it."""
    with ExitStack() as stack:
        for one in NEEDED.get(name, []):
            stack.enter_context(patch.object(*one))
        yield


@contextmanager
def planted(name: str) -> Iterator[list[BaseException]]:
    """The service with one bug. Yields mistakes in the bug itself, that would be found for it."""
    mistakes: list[BaseException] = []

    def fatal(self: Engine, error: BaseException) -> None:
        if isinstance(error, AttributeError | NameError | TypeError):
            mistakes.append(error)
        _fatal(self, error)

    with needed(name), ExitStack() as stack:
        for one in [*PLANTED[name], (Engine, "fatal", fatal)]:
            stack.enter_context(patch.object(*one))
        yield mistakes


@contextmanager
def forgetting(seconds: int) -> Iterator[Counter[str]]:
    """Days of so many seconds, so that rows leave; yields how many did, by kind.

    What is said of a document after that counts anew, so sums are not the load's any more.
    """
    forgotten: Counter[str] = Counter()
    delete = Partition.delete

    def count(self: Partition, key: str, version: int) -> None:
        forgotten[parts(key)[0]] += 1
        delete(self, key, version)

    with (
        patch.object(documents, "DAY", seconds * SECOND),
        patch.object(dormant, "DAY", seconds * SECOND),
        patch.object(Partition, "delete", count),
        patch.object(world.World, "_same_sums", lambda self: None),
    ):
        yield forgotten
