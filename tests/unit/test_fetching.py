"""How a log is fetched, by how much of it comes: aiokafka's fetcher, before a client that tells."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher as aiokafkas
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import (
    CorruptRecordException,
    KafkaConnectionError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
)
from aiokafka.protocol.fetch import FetchResponse_v11
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from runtime.fetching import LONGEST_REST_SECONDS, REST_SECONDS, pace
from runtime.preparing import prepare

END = 10
REST_PER_MEGABYTE = 0.5
WAIT_MS = 500

sleep = asyncio.sleep


def batch(offset, size):
    """A record of `size` bytes as it stands in a log."""
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, -1, 2 * size + 1_000)
    builder.append(0, timestamp=0, key=None, value=b"x" * size, headers=[])
    return offset.to_bytes(8) + bytes(builder.build())[8:]


class Client:
    """What a fetcher uses of its client. Each request is answered as told, the last never."""

    _metadata_max_age_ms = 300_000

    def __init__(self, answers, leaders):
        self._loop = asyncio.get_running_loop()
        self._answers = list(answers)
        self._told = []
        self.cluster = SimpleNamespace(
            leader_for_partition=lambda tp: leaders.get(tp, 3), add_listener=self._told.append
        )
        self.asked, self.nodes, self.waits, self.updates = [], [], [], 0
        self.all_asked = asyncio.Event()

    async def send(self, node, request):
        asked = {(topic, one[0]): one[1] for topic, those in request.topics for one in those}
        self.asked.append(sorted(asked))
        self.nodes.append(node)
        self.waits.append(request._max_wait_ms)
        if not self._answers:
            self.all_asked.set()
            await asyncio.Event().wait()
        told = self._answers.pop(0)
        if isinstance(told, Exception):
            raise told
        return told(asked) if callable(told) else told

    def force_metadata_update(self):
        self.updates += 1
        return self._loop.create_future()

    def tell_new_metadata(self):
        for listener in self._told:
            listener(self.cluster)


def brings(*sizes, code=0):
    """An answer that brings a record of so many bytes of each partition, and no more is there."""

    def answer(asked):
        topics = []
        for place, ((topic, number), offset) in enumerate(sorted(asked.items())):
            size = sizes[place] if place < len(sizes) else 0
            value = batch(offset, size) if size else b""
            told = number, code, offset + bool(size), 0, 0, None, -1, value
            topics.append((topic, [told]))
        return FetchResponse_v11(0, 0, 0, topics)

    return answer


class Case:
    """A fetcher of partitions, whose ends are known but for 9's, and whoever takes from it."""

    def __init__(self, positions, answers, *, takes=True, leaders=None):
        prepare()
        self.subscriptions = SubscriptionState()
        self.client = Client(answers, leaders or {})
        tps = [TopicPartition(*tp) for tp in positions]
        self.subscriptions.assign_from_user(tps)
        self.assignment = self.subscriptions.subscription.assignment
        self.fetcher = aiokafkas.Fetcher(
            self.client, self.subscriptions, fetch_max_wait_ms=WAIT_MS, fetcher_timeout=3_600
        )
        pace(self.fetcher, REST_PER_MEGABYTE)
        for tp in tps:
            self.subscriptions.seek(tp, positions[tp])
            self.assignment.state_value(tp).highwater = None if tp == ("in", 9) else END
        self._takes = takes
        self.looks = 0
        self._look = self.fetcher._get_actions_per_node
        self.fetcher._get_actions_per_node = self._counted

    def _counted(self, assignment):
        self.looks += 1
        return self._look(assignment)

    async def take(self):
        while True:
            await self.fetcher.fetched_records((), timeout=3_600)

    async def until_all_is_asked(self):
        taking = asyncio.create_task(self.take() if self._takes else asyncio.Event().wait())
        async with asyncio.timeout(5):
            await self.client.all_asked.wait()
        taking.cancel()
        await self.fetcher.close()
        return self


@pytest.fixture
def slept(monkeypatch):
    """What was slept, in as many turns of the loop as whoever takes records needs."""
    slept = []

    async def soon(seconds):
        slept.append(seconds)
        for _ in range(5):
            await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", soon)
    return slept


def run(positions, answers=(), **options):
    async def case():
        return await Case(positions, answers, **options).until_all_is_asked()

    return asyncio.run(case())


@pytest.mark.parametrize(
    ("positions", "rests"),
    [
        ({("in", 0): END, ("in", 1): END}, True),
        ({("in", 0): END, ("other", 1): END - 1}, False),
        ({("in", 0): END, ("in", 9): END}, False),
    ],
)
def test_a_reader_rests_where_it_has_read_to_the_end(slept, positions, rests):
    case = run(positions)
    assert case.client.asked == [sorted(positions)]
    assert case.client.waits == [WAIT_MS]
    assert slept == ([REST_SECONDS] if rests else [])


def test_a_reader_rests_beside_what_is_paused_wherever_that_is(slept):
    async def case():
        case = Case({("in", 0): END, ("in", 1): END - 1}, [])
        case.assignment.state_value(("in", 1)).pause()
        return await case.until_all_is_asked()

    assert asyncio.run(case()).client.asked == [[("in", 0)]]
    assert slept == [REST_SECONDS]


def test_the_more_an_answer_brought_the_longer_is_the_rest_after_it(slept):
    sizes = [10_000, 100, 1_000_000, 0]
    run({("in", 0): END, ("in", 1): END}, [brings(size) for size in sizes])
    more = REST_PER_MEGABYTE / 1_000_000
    assert slept == [
        REST_SECONDS,
        pytest.approx(REST_SECONDS + 10_000 * more, abs=200 * more),
        pytest.approx(REST_SECONDS + 100 * more, abs=200 * more),
        LONGEST_REST_SECONDS,
        REST_SECONDS,
    ]


def test_a_rest_goes_by_the_last_answer_of_the_broker_that_is_asked(slept):
    leaders = {("in", 0): 3, ("in", 1): 4}

    def much_of_one(asked):
        return brings(1_000_000 if ("in", 0) in asked else 0)(asked)

    run({("in", 0): END, ("in", 1): END}, [much_of_one] * 2, leaders=leaders)
    assert sorted(slept[:4]) == [REST_SECONDS, REST_SECONDS, REST_SECONDS, LONGEST_REST_SECONDS]


def test_a_request_that_leaves_a_partition_out_is_answered_soon(slept):
    case = run({("in", 0): END, ("in", 1): END}, [brings(0, 100)], takes=False)
    assert case.client.asked == [[("in", 0), ("in", 1)], [("in", 0)]]
    assert case.client.waits == [WAIT_MS, REST_SECONDS * 1_000]


def test_what_was_taken_during_the_rest_is_asked_for(slept):
    case = run({("in", 0): END, ("in", 1): END}, [brings(0, 100)])
    assert case.client.asked == [[("in", 0), ("in", 1)]] * 2
    assert case.client.waits == [WAIT_MS, WAIT_MS]


def test_nothing_is_asked_for_where_all_was_paused_during_the_rest(monkeypatch):
    async def case():
        paused = asyncio.Event()
        case = Case({("in", 0): END}, [])

        async def pause(seconds):
            case.subscriptions.subscription.assignment.state_value(("in", 0)).pause()
            paused.set()

        monkeypatch.setattr(asyncio, "sleep", pause)
        await paused.wait()
        for _ in range(5):
            await sleep(0)
        assert case.client.asked == []
        looks = case.looks
        case.fetcher._notify(case.fetcher._wait_consume_future)
        for _ in range(5):
            await sleep(0)
        assert case.looks > looks
        await case.fetcher.close()

    asyncio.run(case())


def test_a_rest_that_is_cancelled_asks_nothing(monkeypatch):
    async def case():
        resting = asyncio.Event()
        case = Case({("in", 0): END}, [])

        async def rest(seconds):
            resting.set()
            await sleep(3_600)

        monkeypatch.setattr(asyncio, "sleep", rest)
        await resting.wait()
        await case.fetcher.close()
        assert case.client.asked == []

    asyncio.run(case())


def test_answers_that_bring_records_need_no_look_at_what_to_ask(slept):
    """Each costs as much as some events: that of the start, and that after a task's end."""
    assert run({("in", 0): END, ("in", 1): END}, [brings(100)] * 20).looks <= 2


def test_what_is_taken_is_what_was_brought_in_order(slept):
    async def case():
        case = Case({("in", 0): END}, [brings(size) for size in (5, 7, 9)])
        taken = []
        async with asyncio.timeout(5):
            while len(taken) < 3:
                for records in (await case.fetcher.fetched_records((), timeout=5)).values():
                    taken += records
        assert [(one.offset, len(one.value)) for one in taken] == [(10, 5), (11, 7), (12, 9)]
        await case.fetcher.close()

    asyncio.run(case())


def test_what_is_damaged_is_refused_and_fetched_again(slept):
    async def case():
        def damaged(asked):
            answer = brings(5)(asked)
            partition = answer.topics[0][1][0]
            answer.topics[0][1][0] = (*partition[:-1], partition[-1].replace(b"xxx", b"xyx"))
            return answer

        case = Case({("in", 0): END}, [damaged, brings(5)])
        async with asyncio.timeout(5):
            with pytest.raises(CorruptRecordException):
                await case.fetcher.fetched_records((), timeout=5)
            (records,) = (await case.fetcher.fetched_records((), timeout=5)).values()
        assert [(one.offset, one.value) for one in records] == [(END, b"xxxxx")]
        await case.fetcher.close()

    asyncio.run(case())


def test_an_error_is_for_aiokafka_to_see_to(slept):
    code = NotLeaderForPartitionError.errno
    answers = [brings(code=code), brings(code=code), brings(100)]
    case = run({("in", 0): END}, answers)
    assert case.client.updates == 1
    assert case.client.asked == [[("in", 0)]] * 4


def test_a_broken_connection_is_for_aiokafka_to_see_to(slept):
    answers = [KafkaConnectionError(), KafkaConnectionError(), brings(100)]
    case = run({("in", 0): END}, answers)
    assert case.client.asked == [[("in", 0)]] * 4
    # Its pause before it asks again.
    assert 0.1 in slept


def test_a_partition_whose_position_is_lost_is_asked_for_when_it_is_found(monkeypatch):
    async def case():
        case = Case({("in", 0): END, ("in", 1): END}, [])
        found = []

        async def lose(seconds):
            if not found:
                case.assignment.state_value(("in", 1)).await_reset(-1)

        async def find(assignment, node, those):
            found.extend(those)
            for tp in those:
                assignment.state_value(tp).reset_to(END)

        monkeypatch.setattr(asyncio, "sleep", lose)
        case.fetcher._update_fetch_positions = find
        await case.until_all_is_asked()
        assert found == [("in", 1)]
        assert case.client.asked == [[("in", 0), ("in", 1)]]

    asyncio.run(case())


@pytest.mark.parametrize("size", [0, 5])
def test_a_partition_without_a_leader_holds_up_no_other(slept, size):
    async def case():
        leaders = {("in", 1): None}
        case = Case({("in", 0): END, ("in", 1): END}, [brings(size)] * 3, leaders=leaders)
        update = case.client.force_metadata_update

        def elect():
            if case.client.updates == 2:
                leaders["in", 1] = 3
                case.client.tell_new_metadata()
            return update()

        case.client.force_metadata_update = elect
        await case.until_all_is_asked()
        assert case.client.asked[:2] == [[("in", 0)]] * 2
        assert case.client.asked[-1] == [("in", 0), ("in", 1)]

    asyncio.run(case())


@pytest.mark.parametrize("lost", [False, True])
def test_a_partition_is_asked_of_the_broker_that_leads_it_now(slept, lost):
    """Whether or not its position was lost before, answers then need no look at what to ask."""

    async def case():
        leaders = {("in", 1): 4}

        def move():
            leaders["in", 1] = 3
            case.client.tell_new_metadata()

        def moves(asked):
            if lost:
                # As aiokafka does it: what waits to be taken is of before.
                case.fetcher._records.pop(("in", 1), None)
                case.assignment.state_value(("in", 1)).await_reset(-1)
            else:
                move()
            return brings(5)(asked)

        async def find(assignment, node, those):
            move()
            for tp in those:
                assignment.state_value(tp).reset_to(END)

        answers = [brings(5), moves, *[brings(5, 5)] * 30]
        case = Case({("in", 0): END, ("in", 1): END}, answers, leaders=leaders)
        case.fetcher._update_fetch_positions = find
        await case.until_all_is_asked()
        assert set(case.client.nodes[:2]) == {3, 4}
        assert case.client.asked[-10:] == [[("in", 0), ("in", 1)]] * 10
        assert set(case.client.nodes[-10:]) == {3}
        assert case.looks <= 10

    asyncio.run(case())


@pytest.mark.parametrize("lost", [False, True])
def test_what_was_asked_for_before_a_seek_is_not_taken(slept, lost):
    async def case():
        tp = TopicPartition("in", 0)

        def move(asked):
            if asked[tp] == END and lost:
                case.assignment.state_value(tp).await_reset(-1)
            elif asked[tp] == END:
                case.subscriptions.seek(tp, 3)
            return brings(5)(asked)

        async def find(assignment, node, those):
            await sleep(0)
            assignment.state_value(tp).reset_to(3)

        case = Case({tp: END}, [move, move])
        case.fetcher._update_fetch_positions = find
        async with asyncio.timeout(5):
            (records,) = (await case.fetcher.fetched_records((), timeout=5)).values()
        assert [one.offset for one in records] == [3]
        await case.fetcher.close()

    asyncio.run(case())


def test_a_request_that_ends_just_after_the_fetcher_was_woken_is_followed_by_the_next():
    async def case():
        sent = asyncio.Queue()
        case = Case({("in", 0): END}, [])

        async def send(node, request):
            answer = asyncio.get_running_loop().create_future()
            sent.put_nowait(answer)
            return await answer

        case.client.send = send
        for _ in range(6):
            async with asyncio.timeout(5):
                answer = await sent.get()
            case.fetcher._wait_consume_future.set_result(None)
            answer.set_result(SimpleNamespace(API_VERSION=11, topics=[]))
        await case.fetcher.close()

    asyncio.run(case())


async def taking(case, answer, *partitions):
    """Take records before the next answer, and have that one brought; what was taken."""
    asked, answered = asyncio.Event(), asyncio.get_running_loop().create_future()

    async def send(node, request):
        asked.set()
        return await answered if not answered.done() else await asyncio.Event().wait()

    case.client.send = send
    async with asyncio.timeout(5):
        taken = asyncio.create_task(case.fetcher.fetched_records(partitions, timeout=3_600))
        await asked.wait()
        await asyncio.sleep(0)
        assert not taken.done()
        answered.set_result(answer)
        return await taken


async def waiting(case):
    """Whoever takes records, and has none yet."""
    taken = asyncio.create_task(case.fetcher.fetched_records((), timeout=3_600))
    async with asyncio.timeout(5):
        await case.client.all_asked.wait()
    return taken


def answer_to(positions, *sizes):
    return brings(*sizes)(positions)


def test_who_takes_records_has_them_with_the_answer():
    async def case():
        positions = {("in", 0): END, ("in", 1): END}
        case = Case(positions, [])
        taken = await taking(case, answer_to(positions, 10, 10))
        assert {tp: [one.offset for one in run] for tp, run in taken.items()} == {
            TopicPartition("in", 0): [END],
            TopicPartition("in", 1): [END],
        }
        assert not case.fetcher._fetch_waiters
        await case.fetcher.close()

    asyncio.run(case())


def test_who_takes_records_of_some_partitions_leaves_the_others():
    async def case():
        positions = {("in", 0): END, ("in", 1): END}
        case = Case(positions, [])
        wanted = TopicPartition("in", 1)
        assert await taking(case, answer_to(positions, 10, 0), wanted) == {}
        assert await case.fetcher.fetched_records([wanted], timeout=0.01) == {}
        assert list(await case.fetcher.fetched_records((), timeout=0.01)) == [
            TopicPartition("in", 0)
        ]
        await case.fetcher.close()

    asyncio.run(case())


def test_who_takes_records_waits_no_longer_than_told():
    async def case():
        case = Case({("in", 0): END}, [])
        async with asyncio.timeout(5):
            assert await case.fetcher.fetched_records((), timeout=0.01) == {}
            assert await case.fetcher.fetched_records(()) == {}
        assert not case.fetcher._fetch_waiters
        await case.fetcher.close()

    asyncio.run(case())


def test_who_takes_records_hears_what_went_wrong_for_good():
    async def case():
        case = Case({("in", 0): END}, [])
        taken = await waiting(case)
        case.subscriptions.abort_waiters(TopicAuthorizationFailedError("in"))
        with pytest.raises(TopicAuthorizationFailedError):
            await taken
        await case.fetcher.close()

    asyncio.run(case())


def test_who_takes_records_is_let_go_of_at_the_end():
    async def case():
        case = Case({("in", 0): END}, [])
        taken = await waiting(case)
        await case.fetcher.close()
        async with asyncio.timeout(5):
            assert await taken == {}

    asyncio.run(case())
