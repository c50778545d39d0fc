"""An event loop with virtual time, that runs several processes in an order a seed decides.

Each simulated process is a context; what it schedules stays in its own queue, in its
own order, as in a loop of its own. Which process goes next is random. A process that is
paused keeps its queue; one that is dead loses it.
"""

import asyncio
import contextlib
import heapq
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any

WORLD = 0
"""The process of broker and group, which never pauses or dies."""

_process: ContextVar[int] = ContextVar("process", default=WORLD)


class Stuck(Exception):
    """Nothing is left to do, and something is waited for."""


class Scheduler(asyncio.BaseEventLoop):
    """Run it as any loop; `time()` is virtual and moves when nothing is ready."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self._random = random
        self._now = 0.0
        self._queues: dict[int, deque[asyncio.Handle]] = {WORLD: deque()}
        self._paused: set[int] = set()
        self._dead: set[int] = set()
        self._clock_resolution = 1e-9
        # Tasks of the dead stay, so that none is collected, and unwinds, in the middle of a run.
        self._tasks: list[tuple[asyncio.Task[Any], Coroutine[Any, Any, Any]]] = []
        self.set_task_factory(self._keep)

    def _keep(
        self, loop: asyncio.AbstractEventLoop, coro: Any, **options: Any
    ) -> asyncio.Task[Any]:
        task = asyncio.Task(coro, loop=loop, **options)
        self._tasks.append((task, coro))
        return task

    def time(self) -> float:
        return self._now

    # -- processes

    def spawn(self, process: int, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a process with its first task."""
        self._queues[process] = deque()
        context = copy_context()
        context.run(_process.set, process)
        context.run(lambda: self.call_soon(lambda: self.create_task(work())))

    def process(self) -> int:
        """The process that is running."""
        return _process.get()

    def pause(self, process: int) -> None:
        """Nothing of the process runs until it is resumed."""
        self._paused.add(process)

    def resume(self, process: int) -> None:
        """Let a paused process go on."""
        self._paused.discard(process)

    def kill(self, process: int) -> None:
        """Nothing of the process ever runs again."""
        self._dead.add(process)
        self._queues.pop(process, None)

    def in_world(self, delay: float, callback: Callable[[], None]) -> None:
        """Call back after `delay` virtual seconds, whatever becomes of the caller."""
        context = copy_context()
        context.run(_process.set, WORLD)
        self.call_later(delay, callback, context=context)

    def abandon(self) -> None:
        """Unwind all that is left undone, and close."""
        for task, coro in self._tasks:
            if not task.done():
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                # Some await in a `finally`, which a coroutine that is closed may not.
                with contextlib.suppress(RuntimeError):
                    coro.close()
        self._tasks.clear()
        self._queues.clear()
        self._scheduled.clear()
        self.close()

    # -- what asyncio calls

    def _run_once(self) -> None:
        self._take_due()
        ready = [
            process
            for process, queue in self._queues.items()
            if queue and process not in self._paused
        ]
        if not ready:
            if not self._scheduled:
                raise Stuck
            self._now = max(self._now, self._scheduled[0]._when)
            return
        queue = self._queues[self._random.choice(ready)]
        # A few at a time: processes interleave at any point, but need not at each.
        for _ in range(self._random.randint(1, 4)):
            if not queue:
                break
            handle = queue.popleft()
            if not handle._cancelled:
                handle._run()
            if self._stopping:
                break

    def _take_due(self) -> None:
        while self._scheduled and self._scheduled[0]._when <= self._now:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False
            self._enqueue(timer)

    def _enqueue(self, handle: asyncio.Handle) -> None:
        process = handle._context.get(_process, WORLD)
        if process not in self._dead:
            self._queues.setdefault(process, deque()).append(handle)

    def _call_soon(self, callback: Any, args: Any, context: Context | None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._enqueue(handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        pass

    def _write_to_self(self) -> None:
        pass
