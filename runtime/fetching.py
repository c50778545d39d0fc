"""How a log is fetched: at once where little comes, a few milliseconds later where much does.

A request costs broker and reader far more than a record. A reader that asks again after
every record takes a processor at a thousand records a second; one that rests for a few
milliseconds takes a fraction, and is later by less than that. To rest is cheaper than to have
the broker collect, which looks at a request that waits with everything that is appended; and
what comes after the rest is answered at once.
"""

import asyncio
from typing import Any, Final

PREFETCH_SECONDS: Final = 0.005
"""How soon a broker is asked again while some of what it sent is not taken.

By aiokafka's tenth of a second all other partitions are late beside one that has a backlog.
"""

COLLECTED_BYTES: Final = 64 * 1024
REST_SECONDS: Final = 0.004
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

    It is behind where it has not read to the end of what it asks for. Partitions of which
    records wait to be taken are not asked for, and would not be until the answer is there:
    beside such it asks at once, and the broker collects for as long as a rest.
    """
    ask = fetcher._proc_fetch_request
    own = Pace()

    async def ask_at_a_pace(assignment: Any, node: int, request: Any) -> Any:
        if fetcher._records:
            request._min_bytes = COLLECTED_BYTES
            request._max_wait_ms = min(request._max_wait_ms, round(own.rest() * 1_000))
        elif not _is_behind(assignment, request):
            time = asyncio.get_running_loop().time
            begun, asked = time(), own.rest()
            try:
                await asyncio.sleep(asked)
            except asyncio.CancelledError:
                # As aiokafka's own: who closes a fetcher cancels this and awaits what it returns.
                return False
            own.rested(asked, time() - begun)
        return await ask(assignment, node, request)

    fetcher._proc_fetch_request = ask_at_a_pace
    fetcher._prefetch_backoff = PREFETCH_SECONDS


def _is_behind(assignment: Any, request: Any) -> bool:
    for topic, partitions in request.topics:
        for number, offset, *_ in partitions:
            end = assignment.state_value((topic, number)).highwater
            if end is None or offset < end:
                return True
    return False
