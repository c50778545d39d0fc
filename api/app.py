"""The composition root of the HTTP front."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from api import availability, channels, events, health, metrics, problems, reservations, sources
from api.allocation_feed import AllocationFeed
from api.paths import RawPaths
from api.producing import Producing
from api.settings import Settings
from api.state import State
from api.views.base import View
from api.views.following import Following
from api.views.memory import MemoryView
from api.views.redis import RedisView
from api.watching import Watching

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
    for part in (availability, sources, events, reservations, channels, health, metrics):
        app.include_router(part.router)
    problems.install(app)
    app.add_middleware(metrics.Measured)
    app.add_middleware(RawPaths)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    settings: Settings = app.state.settings
    view = _view(settings)
    watching, feed, producing = Watching(), AllocationFeed(), Producing(settings)
    following = Following(
        view,
        settings.kafka,
        settings.topic,
        on_order=watching.changed,
        on_allocations=feed.take,
    )
    app.state.onhand = State(settings, view, following, watching, feed, producing)
    await producing.start()
    task = asyncio.create_task(following.run())
    task.add_done_callback(_end_process)
    try:
        yield
    finally:
        task.remove_done_callback(_end_process)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await producing.stop()
        await view.close()


def _view(settings: Settings) -> View:
    if settings.view == "memory":
        return MemoryView()
    return RedisView(settings.view, settings.prefix)


def _end_process(task: "asyncio.Task[None]") -> None:
    """A view that no longer follows must not answer: end, and let an orchestrator restart."""
    log.critical("following the logs ended", exc_info=task.exception())
    os.kill(os.getpid(), signal.SIGTERM)
