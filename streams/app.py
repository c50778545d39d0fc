"""The composition root of a worker's process: a Faust app, an agent and a table per stage."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Collection, Iterable
from functools import partial
from typing import Any

import faust
from faust.stores import STORES

from models.instants import Instant
from runtime.batches import NO_HEADERS
from runtime.priority import ROWS, come_first
from streams.controls import REFERENCE_KEY, reference_moved
from streams.decisions import TICK_KEY, tick
from streams.engine import transport
from streams.engine.engine import REVOKE_SECONDS, Engine
from streams.engine.failpoints import Failpoints
from streams.engine.partition import Partition
from streams.engine.pressure import Pressure
from streams.engine.sender import Sender
from streams.engine.stage import Stage
from streams.engine.step import MAX_PENDING_BYTES, Steps
from streams.engine.tables import RawSchema
from streams.intake import Intake
from streams.inventory import Inventory
from streams.orders import Orders
from streams.references import References
from streams.routing import Routing
from streams.settings import Settings

TICK_SECONDS = 1.0
HEARTBEAT_SECONDS = 0.3


class App(faust.App):  # type: ignore[misc]
    """Faust's app, with the engine started before it and stopped before it."""

    flow: Engine
    ticks: Sender
    references: References
    shutdown_seconds: float
    realtime: bool

    def _create_directories(self) -> None:
        """None: rows are kept in memory, and where a worker is started may be read-only."""

    def on_init_dependencies(self) -> Iterable[Any]:
        found: Iterable[Any] = super().on_init_dependencies()
        # It counts at every message, and nobody reads what.
        self.sensors.remove(self.monitor)
        return found

    async def on_start(self) -> None:
        await self.references.start()
        await self.flow.start()
        await self.ticks.start()
        if self.realtime:
            self._first = asyncio.create_task(come_first(ROWS))
        await super().on_start()

    async def stop(self) -> None:
        if not self.should_stop:
            force = threading.Timer(self.shutdown_seconds, os._exit, (0,))
            force.daemon = True
            force.start()
            await self.flow.stop()
            await self.references.stop()
            await super().stop()
            # Its timer has ended by now.
            await self.ticks.stop()
            # Nothing is left to do; Faust's worker would take two more seconds over it.
            logging.shutdown()
            os._exit(1 if self.crashed else 0)


def create_app(settings: Settings, stages: Collection[str], pressure: Pressure) -> App:
    """The named stages, wired; nothing is connected before the app starts.

    `pressure` is that of intake on the inventory, which may be in another process.
    """
    transport.register()
    STORES.aliases["rows"] = "streams.engine.tables:RowStore"
    app = App(
        settings.topic("-".join(("onhand", *stages))),
        broker=[f"onhand://{server}" for server in settings.kafka.split(",")],
        store="memory://",
        TableManager="streams.engine.tables:Tables",
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=0,
        web_enabled=False,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
        stream_buffer_maxsize=16,
        broker_max_poll_records=settings.step_records,
        consumer_max_fetch_size=MAX_PENDING_BYTES,
        consumer_group_instance_id=settings.instance or None,
        broker_session_timeout=settings.session_timeout_seconds,
        # By a heartbeat a worker learns that another one has come or gone.
        broker_heartbeat_interval=min(HEARTBEAT_SECONDS, settings.session_timeout_seconds / 6),
        # A frozen process holds a rebalance up for as long; letting go takes at most half of it.
        broker_rebalance_timeout=2 * REVOKE_SECONDS,
        producer_linger=0.0,
        broker_commit_interval=settings.commit_ms / 1000,
        worker_redirect_stdouts=False,
    )
    engine = app.flow = Engine(settings, lambda: app.consumer)
    app.ticks = Sender(settings.kafka, "onhand-ticks", Failpoints(), settings.compression)
    app.shutdown_seconds = settings.shutdown_seconds
    app.realtime = settings.realtime
    trust_origins = settings.unsafe_without != "origins"
    routing = Routing(settings)
    app.references = References(settings)
    intake = Intake(routing, app.references.catalog)
    orders = Orders(routing, settings, trust_origins=trust_origins)
    inventory = Inventory(routing, trust_origins=trust_origins)
    for stage in (intake, orders, inventory):
        if stage.name in stages:
            minds = pressure if stage is intake else None
            tells = pressure if stage is inventory else None
            _agent(app, settings, stage, engine.add(stage, minds=minds, tells=tells))

    @app.on_partitions_revoked.connect  # type: ignore[untyped-decorator]
    async def on_revoked(app: App, revoked: Any, **options: Any) -> None:
        await engine.partitions_revoked()

    @app.timer(TICK_SECONDS)  # type: ignore[untyped-decorator]
    async def let_time_pass() -> None:
        await _tick(app, orders, routing)
        await _move_reference(app, intake, routing)

    return app


def _agent(app: App, settings: Settings, stage: Stage, steps: Steps) -> None:
    """One agent: its topics' runs go to the stage's steps; its table is the stage's rows."""
    raw: dict[str, Any] = {
        "schema": RawSchema(key_type=bytes, value_type=bytes),
        "partitions": settings.partitions,
    }
    table = app.Table(
        stage.name,
        partitions=settings.partitions,
        store="rows://local",
        key_type=bytes,
        value_type=bytes,
        changelog_topic=app.topic(settings.topic(stage.state), compacting=True, **raw),
        # With 1, Faust would go on reading its own changelog after recovery.
        recovery_buffer_size=64,
    )

    async def recovered(partitions: list[Partition]) -> None:
        await app.flow.partitions_recovered(steps, partitions)

    table.data.restore = partial(app.flow.restore, steps)
    table.data.on_recovered = recovered
    table.data.on_error = app.flow.fatal

    async def absorb(stream: Any) -> None:
        async for event in stream.noack().events():
            runs = event.message.value.items()
            steps.offer(
                {
                    (topic.removeprefix(settings.prefix), number): run
                    for (topic, number), run in runs
                }
            )

    inputs = app.topic(*(settings.topic(name) for name in stage.inputs), **raw)
    app.agent(inputs, name=stage.name)(absorb)


async def _tick(app: App, orders: Orders, routing: Routing) -> None:
    """Append a record to each partition where a deadline is due, so that time moves there."""
    now: Instant = time.time_ns() // 1_000
    due = orders.partitions_due(now)
    if due:
        record = (TICK_KEY, tick(now), NO_HEADERS)
        await app.ticks.send_outputs({routing.reservations[number]: [record] for number in due})


async def _move_reference(app: App, intake: Intake, routing: Routing) -> None:
    """Append a record to each input partition that does not use the latest reference data yet."""
    behind = intake.behind_reference()
    if behind:
        value = reference_moved(intake.catalog, time.time_ns() // 1_000)
        record = (REFERENCE_KEY, value, NO_HEADERS)
        await app.ticks.send_outputs(
            {routing.inputs[topic][number]: [record] for topic, number in behind}
        )
