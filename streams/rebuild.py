"""Making state anew from the logs, where what stands in it can't be trusted any more."""

from typing import Any

import typer

from models.reference import Catalog
from models.rows import Deleted, encode, head
from streams.at_rest import append, batches, must_be_idle
from streams.engine.failpoints import Failpoints
from streams.engine.partition import Partition
from streams.engine.position import PREFIX
from streams.engine.replaying import replay_run
from streams.engine.sender import Sender
from streams.engine.stage import Stage
from streams.errors import RebuildError
from streams.intake import Intake
from streams.inventory import Inventory
from streams.logs import whole
from streams.orders import Orders
from streams.references import References
from streams.routing import Routing
from streams.settings import Settings


async def rebuild(settings: Settings) -> dict[str, Any]:
    """Replay what every stage absorbed, and append what its state should be.

    Returns rows, and how many of them were mended, by stage.

    Raises NotAtRestError where a worker runs, RebuildError where an input's log no longer
    begins at its beginning.
    """
    await must_be_idle(settings)
    references = References(settings)
    await references.start()
    try:
        return {
            stage.name: await _rebuild(settings, stage)
            for stage in _stages(settings, references.catalog)
        }
    finally:
        await references.stop()


def _stages(settings: Settings, catalog: Catalog) -> tuple[Stage, ...]:
    routing = Routing(settings)
    return Intake(routing, catalog), Orders(routing, settings), Inventory(routing)


async def _rebuild(settings: Settings, stage: Stage) -> dict[str, int]:
    known = await _known(settings, stage.state)
    replayed = {number: Partition(number) for number in known}
    for number, partition in replayed.items():
        generation = known[number].position.generation
        if generation:
            raise RebuildError(f"{stage.state} was migrated: the logs begin in the middle")
        stage.opened(partition)
    for name in stage.inputs:
        await _replay(settings, stage, name, known, replayed)
    return await _write(settings, stage, known, replayed)


async def _known(settings: Settings, state: str) -> dict[int, Partition]:
    known = {number: Partition(number) for number in range(settings.partitions)}
    async for number, run in whole(settings, state):
        known[number].load(run)
    return known


async def _replay(
    settings: Settings,
    stage: Stage,
    name: str,
    known: dict[int, Partition],
    replayed: dict[int, Partition],
) -> None:
    """Up to what was absorbed and no further: a worker takes the rest, and sends its outputs."""
    absorbed = {number: one.position.offsets.get(name, -1) for number, one in known.items()}
    begun: set[int] = set()
    async for number, run in whole(settings, name):
        done = [record for record in run if record.offset <= absorbed[number]]
        if number not in begun and run[0].offset > 0:
            raise RebuildError(f"{name}/{number} begins at offset {run[0].offset}, not at 0")
        begun.add(number)
        if done:
            replay_run(stage, replayed[number], name, done)
    for number, offset in absorbed.items():
        if replayed[number].position.offsets.get(name, -1) != offset:
            raise RebuildError(f"{name}/{number} no longer holds all up to offset {offset}")


async def _write(
    settings: Settings, stage: Stage, known: dict[int, Partition], replayed: dict[int, Partition]
) -> dict[str, int]:
    sender = Sender(settings.kafka, "onhand-rebuild", Failpoints(""), settings.compression)
    await sender.start()
    rows = mended = 0
    try:
        with typer.progressbar(replayed.items(), label=stage.state) as bar:
            for number, partition in bar:
                there = {
                    key: value
                    for key, value in partition.encoded.items()
                    if not key.startswith(PREFIX)
                }
                rows += len(there)
                had = known[number]
                for key, value in had.encoded.items():
                    version, gone = head(value)
                    if key not in there and not gone:
                        there[key] = encode(Deleted(version=version + 1))
                mended += sum(had.encoded.get(key) != value for key, value in there.items())
                position = partition.position
                position.version = max(position.version, had.position.version)
                position.base, position.partitions = had.end, settings.partitions
                position.writer = "rebuild"
                for batch in batches([(key.encode(), value) for key, value in there.items()]):
                    await append(sender, settings, stage.state, position, batch)
        return {"rows": rows, "mended": mended}
    finally:
        await sender.stop()
