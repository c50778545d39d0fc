"""The composition root of the HTTP front."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
from fastapi import FastAPI

from api import (
    availability,
    channels,
    events,
    exceptions,
    explain,
    health,
    metrics,
    problems,
    reference,
    reservations,
    returns,
    schemas,
    sources,
)
from api.allocation_feed import AllocationFeed
from api.archive.following import SEARCHED
from api.archive.process import filled
from api.archive.store import Archive, create
from api.bodies import LimitedBodies
from api.paths import RawPaths
from api.producing import Producing
from api.settings import Settings
from api.state import State
from api.views.base import View
from api.views.following import Following, Taker
from api.views.memory import MemoryView
from api.views.redis import RedisView
from api.watching import Watching
from models import topics
from models.reference import Catalog
from runtime.priority import ANSWERS, come_first
from runtime.records import Fetch

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> FastAPI:
    """Everything wired; nothing is connected before the app starts."""
    app = FastAPI(
        title="Onhand",
        summary="How many units of every SKU, at every location, can be promised.",
        version="0.1.0",
        lifespan=_lifespan,
    )
    app.state.settings = settings
    app.state.has_failed = False
    for part in (
        availability,
        explain,
        sources,
        events,
        reservations,
        channels,
        returns,
        exceptions,
        reference,
        schemas,
        health,
        metrics,
    ):
        app.include_router(part.router)
    problems.install(app)
    app.add_middleware(metrics.Measured)
    app.add_middleware(RawPaths)
    app.add_middleware(LimitedBodies, limit=settings.max_body_bytes)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    view = _view(settings)
    watching, feed, producing = Watching(), AllocationFeed(), Producing(settings)
    catalog = Catalog()
    use: dict[int, dict[str, dict[str, int]]] = {}
    async with AsyncExitStack() as stack:
        parent = settings.archive_folder or None
        folder = stack.enter_context(TemporaryDirectory(prefix="onhand-archive-", dir=parent))
        path = Path(folder) / "archive.sqlite"
        create(path)
        filler = await stack.enter_async_context(filled(path))
        archive = Archive(path, filler.show)
        following = Following(
            view,
            settings.kafka,
            settings.topic,
            on_row=watching.changed,
            on_position=lambda value: _note_use(use, value),
            searched=SEARCHED,
            on_searched=filler.take,
            on_allocations=feed.take,
            others={name: _taker(catalog, name, watching) for name in topics.REFERENCE_TOPICS},
        )
        app.state.onhand = State(
            settings,
            view,
            following,
            watching,
            feed,
            producing,
            archive,
            lambda: filler.waiting,
            catalog,
            use,
            asyncio.Lock(),
        )
        await producing.start()
        await archive.start()
        tasks = [asyncio.create_task(following.run()), filler.ended]
        end_process = partial(_end_process, app)
        for task in tasks:
            task.add_done_callback(end_process)
        first = asyncio.create_task(_come_first(settings, following))
        try:
            yield
        finally:
            first.cancel()
            for task in tasks:
                task.remove_done_callback(end_process)
                task.cancel()
            await asyncio.gather(first, *tasks, return_exceptions=True)
            await producing.stop()
            await archive.stop()
            await view.close()


async def _come_first(settings: Settings, following: Following) -> None:
    """Filling the view is long work that nobody's answer waits for yet."""
    if settings.realtime:
        await following.ready.wait()
        await come_first(ANSWERS)


def _taker(catalog: Catalog, topic: str, watching: Watching) -> Taker:
    def take(partition: int, records: Fetch) -> None:
        for record in records:
            key = (record.key or b"").decode("utf-8", "replace")
            catalog.take(topic, key, record.offset, record.value or b"")
        watching.changed(reference.REFERENCE)

    return take


class _Position(msgspec.Struct):
    """What the front reads of intake's positions."""

    partition: int
    reference: dict[str, dict[str, int]] = {}


_position = msgspec.json.Decoder(_Position).decode


def _note_use(use: dict[int, dict[str, dict[str, int]]], value: bytes) -> None:
    position = _position(value)
    use[position.partition] = position.reference


def _view(settings: Settings) -> View:
    if settings.view == "memory":
        return MemoryView()
    return RedisView(settings.view, settings.prefix)


def _end_process(app: FastAPI, task: "asyncio.Task[None]") -> None:
    """A view that no longer follows must not answer: end, and let an orchestrator restart."""
    log.critical("following the logs ended", exc_info=task.exception())
    app.state.has_failed = True
    os.kill(os.getpid(), signal.SIGTERM)
