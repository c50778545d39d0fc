"""How a log is fetched, by how much of it comes."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher as fetching
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from runtime.fetching import (
    LONGEST_REST_SECONDS,
    REST_SECONDS,
    pace,
)
from runtime.records import AsParsed

END = 10
REST_PER_MEGABYTE = 0.5


class Assignment:
    """Partitions with the offset that is read next. The end of each is known, but for 9's."""

    active = True

    def __init__(self, positions):
        self._positions = dict(positions)
        self.paused = set()

    @property
    def tps(self):
        return [TopicPartition(*tp) for tp in self._positions]

    def state_value(self, tp):
        return SimpleNamespace(
            highwater=None if tp == ("in", 9) else END,
            position=self._positions[tp],
            has_valid_position=True,
            paused=tp in self.paused,
        )


def fetched(tp, size):
    """A batch of at least `size` bytes, as aiokafka keeps it until it is taken."""
    room = 2 * size + 1_000
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, room)
    builder.append(0, timestamp=0, key=None, value=b"x" * size, headers=[])
    records = AsParsed(tp, MemoryRecords(bytes(builder.build())), None, 0, None, None, False, 0)
    return fetching.FetchResult(tp, assignment=None, partition_records=records, backoff=0)


class Fetcher:
    """One that notes what it asks broker 3; records of some partitions wait to be taken."""

    _max_partition_fetch_bytes = 1
    _wait_consume_future = None

    def __init__(self, positions, records=()):
        self._records, self.asked = dict.fromkeys(records, "records"), []
        self.assignment = Assignment(positions)
        self.answers = []
        pace(self, REST_PER_MEGABYTE)

    def _select_read_replica(self, tp):
        return 3

    def _notify(self, future):
        assert future is None

    async def _proc_fetch_request(self, assignment, node, request):
        self.asked.append(
            sorted((topic, one[0]) for topic, asked in request.topics for one in asked)
        )
        if self.answers:
            tp = TopicPartition(*self.asked[-1][0])
            self._records[tp] = fetched(tp, self.answers.pop(0))
        return True

    def request(self):
        """As aiokafka makes it, of partitions of which no record waits."""
        return request_of(
            [
                (topic, [(number, offset, 1)])
                for (topic, number), offset in self.assignment._positions.items()
                if (topic, number) not in self._records
            ]
        )

    def ask(self, request=None, node=3):
        request = request or self.request()
        return asyncio.run(self._proc_fetch_request(self.assignment, node, request)), request


class Request(SimpleNamespace):
    """What is used of aiokafka's."""

    @property
    def topics(self):
        return self._topics


def request_of(topics):
    return Request(_topics=topics, _max_wait_ms=100)


@pytest.fixture
def slept(monkeypatch):
    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


@pytest.mark.parametrize(
    ("positions", "rests"),
    [
        ({("in", 0): END, ("in", 1): END}, True),
        ({("in", 0): END, ("other", 1): END - 1}, False),
        ({("in", 0): END, ("in", 9): END}, False),
    ],
)
def test_a_reader_rests_where_it_has_read_to_the_end(slept, positions, rests):
    fetcher = Fetcher(positions)
    answer, request = fetcher.ask()
    assert answer
    assert fetcher.asked == [sorted(positions)]
    assert slept == ([REST_SECONDS] if rests else [])
    assert request._max_wait_ms == 100


def test_the_more_an_answer_brought_the_longer_is_the_rest_after_it(slept):
    fetcher = Fetcher({("in", 0): END, ("in", 1): END})
    fetcher.answers = [10_000, 100, 1_000_000]
    for _ in range(4):
        fetcher.ask()
        fetcher._records.clear()
    fetcher.ask()
    more = REST_PER_MEGABYTE / 1_000_000
    assert slept == [
        REST_SECONDS,
        pytest.approx(REST_SECONDS + 10_000 * more, abs=200 * more),
        pytest.approx(REST_SECONDS + 100 * more, abs=200 * more),
        LONGEST_REST_SECONDS,
        REST_SECONDS,
    ]


def test_a_rest_goes_by_the_last_answer_of_the_broker_that_is_asked(slept):
    fetcher = Fetcher({("in", 0): END})
    fetcher._select_read_replica = lambda tp: fetcher.node
    for node, size in ((3, 1_000_000), (4, 0), (3, 0), (4, 0)):
        fetcher.node, fetcher.answers = node, [size] if size else []
        fetcher.ask(node=node)
        fetcher._records.clear()
    assert slept == [REST_SECONDS, REST_SECONDS, LONGEST_REST_SECONDS, REST_SECONDS]


def test_a_request_that_leaves_a_partition_out_is_answered_soon(slept):
    fetcher = Fetcher({("in", 0): END, ("in", 1): END}, records=[("in", 1)])
    _, request = fetcher.ask()
    assert fetcher.asked == [[("in", 0)]]
    assert request._max_wait_ms == REST_SECONDS * 1_000


def test_what_was_taken_during_the_rest_is_asked_for(slept):
    fetcher = Fetcher({("in", 0): END, ("in", 1): END}, records=[("in", 1)])
    request = fetcher.request()
    fetcher._records.clear()
    fetcher.ask(request)
    assert fetcher.asked == [[("in", 0), ("in", 1)]]
    assert request._max_wait_ms == 100


def test_nothing_is_asked_for_where_all_was_paused_during_the_rest(slept):
    fetcher = Fetcher({("in", 0): END})
    fetcher.assignment.paused.add(("in", 0))
    answer, _ = fetcher.ask()
    assert answer is False
    assert fetcher.asked == []


def test_a_rest_that_is_cancelled_asks_nothing_and_says_so():
    async def case():
        fetcher = Fetcher({("in", 0): END})
        asking = asyncio.create_task(
            fetcher._proc_fetch_request(fetcher.assignment, 3, fetcher.request())
        )
        await asyncio.sleep(0)
        asking.cancel()
        assert await asking is False
        assert fetcher.asked == []

    asyncio.run(case())


class Client:
    """What aiokafka's fetcher uses of its client: all is at broker 3, which answers when told."""

    _metadata_max_age_ms = 300_000

    def __init__(self):
        self._loop = asyncio.get_running_loop()
        self.cluster = SimpleNamespace(leader_for_partition=lambda tp: 3)
        self.sent = asyncio.Queue()

    async def send(self, node, request):
        answer = self._loop.create_future()
        self.sent.put_nowait(answer)
        return await answer


def test_a_request_that_ends_just_after_the_fetcher_was_woken_is_followed_by_the_next():
    async def case():
        subscriptions, client = SubscriptionState(), Client()
        tp = TopicPartition("in", 0)
        subscriptions.assign_from_user([tp])
        fetcher = fetching.Fetcher(client, subscriptions, fetcher_timeout=3_600)
        pace(fetcher, REST_PER_MEGABYTE)
        subscriptions.seek(tp, END)
        for _ in range(3):
            async with asyncio.timeout(5):
                answer = await client.sent.get()
            fetcher._notify(fetcher._wait_consume_future)
            answer.set_result(SimpleNamespace(API_VERSION=11, topics=[]))
        await fetcher.close()

    asyncio.run(case())
