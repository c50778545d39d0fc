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

PREFETCH_SECONDS: Final = 0.005
"""How soon a broker is asked again while some of what it sent is not taken.

By aiokafka's tenth of a second all other partitions are late beside one that has a backlog.
"""

REST_SECONDS: Final = 0.002
LONGEST_REST_SECONDS: Final = 0.015

_LATE_TIMES: Final = 2
_OF_THE_LAST: Final = 1 / 8


class Pace:
    """How long a reader rests before it asks again, in seconds.

    Where processors are short, its rests end late. It then rests for longer, up to a bound:
    fewer requests are what relieves them most.
    """

    def __init__(self) -> None:
        self._late = 0.0

    def rest(self) -> float:
        """How long to rest now."""
        return min(REST_SECONDS + _LATE_TIMES * self._late, LONGEST_REST_SECONDS)

    def rested(self, asked: float, took: float) -> None:
        """A rest of `asked` seconds took as long as that."""
        self._late += (max(0.0, took - asked) - self._late) * _OF_THE_LAST


def pace(fetcher: Any) -> None:
    """Have an aiokafka fetcher rest before it asks a broker again, unless it is behind.

    It is behind where it has not read to the end of what it asks for. What it asks for is known
    after the rest: records that waited to be taken before may be taken by then. Partitions of
    which they still wait are left out, and would be until the answer is there: that is to be soon.
    """
    ask = fetcher._proc_fetch_request
    own = Pace()

    async def ask_at_a_pace(assignment: Any, node: int, request: Any) -> Any:
        _look_again_afterwards(fetcher)
        time = asyncio.get_running_loop().time
        if not _is_behind(assignment, request):
            begun, asked = time(), own.rest()
            try:
                await asyncio.sleep(asked)
            except asyncio.CancelledError:
                # As aiokafka's own: who closes a fetcher cancels this and awaits what it returns.
                return False
            own.rested(asked, time() - begun)
            request._topics = _open_to(fetcher, assignment, node)
        if fetcher._records:
            request._max_wait_ms = min(request._max_wait_ms, round(own.rest() * 1_000))
        if not request.topics:
            return False
        return await ask(assignment, node, request)

    fetcher._proc_fetch_request = ask_at_a_pace
    fetcher._prefetch_backoff = PREFETCH_SECONDS


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
