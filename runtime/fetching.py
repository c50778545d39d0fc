"""How a log is fetched: at once where little comes, a few milliseconds later where much does.

A request costs broker and reader far more than a record. A reader that asks again after
every record takes a processor at a thousand records a second; one that rests for a few
milliseconds takes a fraction, and is later by less than that. To rest is cheaper than to have
the broker collect, which looks at a request that waits with everything that is appended; and
what comes after the rest is answered at once.
"""

import asyncio
from collections import defaultdict
from typing import Any, Final

from aiokafka.consumer.fetcher import FetchResult

PREFETCH_SECONDS: Final = 0.005
"""How soon a broker is asked again while some of what it sent is not taken.

By aiokafka's tenth of a second all other partitions are late beside one that has a backlog.
"""

REST_SECONDS: Final = 0.002
LONGEST_REST_SECONDS: Final = 0.010

WORKER_REST: Final = 0.5
"""Seconds of rest for each megabyte that the last answer brought, besides REST_SECONDS.

The more comes, the more waits after a rest, and the fewer requests there are: they are most of
what processors do, and whoever else is served is the later for them.
"""

FRONT_REST: Final = 0.15
"""The same for a front: an event is some 300 bytes to a worker, and its rows a thousand here."""


def pace(fetcher: Any, rest: float) -> None:
    """Have an aiokafka fetcher rest before it asks a broker again, unless it is behind.

    `rest` is in seconds for each megabyte, as WORKER_REST. It is behind where it has not read to
    the end of what it asks for. What it asks for is known after the rest: records that waited to be
    taken before may be taken by then. Partitions of which they still wait are left out, and would
    be until the answer is there: that is to be soon. The process must be prepared.
    """
    ask = fetcher._proc_fetch_request
    brought: dict[int, int] = {}

    async def ask_at_a_pace(assignment: Any, node: int, request: Any) -> Any:
        _look_again_afterwards(fetcher)
        seconds = min(REST_SECONDS + rest * brought.get(node, 0) / 1_000_000, LONGEST_REST_SECONDS)
        if not _is_behind(assignment, request):
            try:
                await asyncio.sleep(seconds)
            except asyncio.CancelledError:
                # As aiokafka's own: who closes a fetcher cancels this and awaits what it returns.
                return False
            request._topics = _open_to(fetcher, assignment, node)
        if fetcher._records:
            request._max_wait_ms = min(request._max_wait_ms, round(seconds * 1_000))
        if not request.topics:
            return False
        answered = await ask(assignment, node, request)
        brought[node] = _brought(fetcher, request)
        return answered

    fetcher._proc_fetch_request = ask_at_a_pace
    fetcher._prefetch_backoff = PREFETCH_SECONDS


def _brought(fetcher: Any, request: Any) -> int:
    """Bytes of the records that the answer to this request has just brought."""
    asked = [(topic, number) for topic, asked in request.topics for number, *_ in asked]
    found = [fetcher._records.get(tp) for tp in asked]
    return sum([one._partition_records.size() for one in found if isinstance(one, FetchResult)])


def _look_again_afterwards(fetcher: Any) -> None:
    """Have aiokafka look at what to ask for once more when this request's task has ended.

    It takes a request for one on its way until a callback of the task says otherwise. Where
    something else has woken it just before that callback, it finds nothing to ask, and nothing
    to wait for but a timeout of a fifth of a second.
    """
    task = asyncio.current_task()
    if task is not None:
        task.add_done_callback(lambda _: fetcher._notify(fetcher._wait_consume_future))


def _is_behind(assignment: Any, request: Any) -> bool:
    for topic, partitions in request.topics:
        for number, offset, *_ in partitions:
            end = assignment.state_value((topic, number)).highwater
            if end is None or offset < end:
                return True
    return False


def _open_to(fetcher: Any, assignment: Any, node: int) -> list[tuple[str, list[Any]]]:
    """What can be asked of a broker now: partitions with their offsets, by topic."""
    by_topic: defaultdict[str, list[Any]] = defaultdict(list)
    for tp in assignment.tps if assignment.active else ():
        state = assignment.state_value(tp)
        if tp in fetcher._records or state.paused or not state.has_valid_position:
            continue
        if fetcher._select_read_replica(tp) == node:
            asked = tp.partition, state.position, fetcher._max_partition_fetch_bytes
            by_topic[tp.topic].append(asked)
    return list(by_topic.items())
