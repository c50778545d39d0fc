"""The order of a step, who may submit, and what ends the process."""

import asyncio
from types import SimpleNamespace

import pytest

from models.rows import Row, decode, encode
from streams.engine import stage, step
from streams.engine.failpoints import Failpoints
from streams.engine.partition import Partition
from streams.engine.position import Position
from streams.engine.pressure import LONGEST_REST_SECONDS, Pressure
from streams.engine.step import Steps
from streams.errors import LostLogError
from tests.pipeline import Record


class Seen(Row, kw_only=True):
    values: list[int] = []


class Echo:
    """A stage that remembers what it saw and emits it."""

    name, inputs, state, state_may_wait = "echo", ("in",), "state", False

    def opened(self, partition):
        pass

    def closed(self, number):
        pass

    def finish(self, work):
        pass

    def absorb_run(self, work, records, start):
        return 0

    def absorb(self, work, record):
        row = work.partition.get("row", Seen) or Seen(version=0)
        work.partition.put(
            "row", Seen(version=record.offset, values=[*row.values, int(record.value)])
        )
        work.emit(("out", 0), None, record.value)
        return True


class FakeSender:
    """Notes what is sent, in order; `gate` holds the outputs' ack back, for `seconds` at least."""

    def __init__(self):
        self.sent = []
        self.seconds = 0
        self.ends = {}
        self.gate = asyncio.Event()
        self.gate.set()

    async def send_outputs(self, outputs):
        if outputs:
            self.sent.append(
                ("outputs", {to: [value for _, value, _ in out] for to, out in outputs.items()})
            )
            if self.seconds:
                await asyncio.sleep(self.seconds)
            await self.gate.wait()

    async def send_state(self, states):
        if states:
            self.sent.append(
                ("state", {to: [key.encode() for key, _, _ in rows] for to, rows in states.items()})
            )
        landed = {}
        for to, rows in states.items():
            landed[to] = self.ends.get(to, 0)
            self.ends[to] = landed[to] + len(rows)
        return landed


class FakeOwnership:
    """The group's answers in turn, and what stands in the log behind what we know."""

    def __init__(self, sender):
        self.sender = sender
        self.answers, self.asked, self.foreign = [True], 0, []

    async def ends(self, topic, partitions):
        return {number: self.sender.ends.get((topic, number), 0) for number in partitions}

    async def is_ours(self, topic, partition, offset):
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def read(self, topic, partition, start, end):
        for record in self.foreign:
            yield [record]


class Bench:
    """Steps of one partition over a fake sender."""

    def __init__(self):
        self.sender = FakeSender()
        self.ownership = FakeOwnership(self.sender)
        self.seeks, self.absorbed, self.fatal = [], {}, []
        self.steps = Steps(
            Echo(),
            self.sender,
            self.ownership,
            Failpoints(),
            prefix="",
            writer="test",
            partitions=1,
            step_records=100,
            save_seconds=1.0,
            seek=lambda *place: self.seeks.append(place),
            absorbed=self.absorbed.update,
            fatal=self.fatal.append,
            now_ms=lambda: 0,
            lag_ms=1,
        )
        self.partition = Partition(0)

    async def __aenter__(self):
        await self.steps.own([self.partition])
        self.steps.start_at("in", 0, 0)
        self.task = asyncio.create_task(self.steps.run())
        return self

    async def __aexit__(self, *error):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def offer(self, *offsets):
        run = [Record(None, b"%d" % offset, 0, offset, offset) for offset in offsets]
        self.steps.offer({("in", 0): run})

    async def until(self, condition):
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110 - the condition is any state
                await asyncio.sleep(0)


def run(case):
    async def within():
        async with Bench() as bench:
            await case(bench)

    asyncio.run(within())


def test_outputs_are_acknowledged_before_the_state_is_submitted():
    async def case(bench):
        bench.sender.gate.clear()
        bench.offer(0, 1)
        await bench.until(lambda: bench.sender.sent)
        bench.offer(2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert bench.sender.sent == [("outputs", {("out", 0): [b"0", b"1"]})]
        assert bench.absorbed == {}
        bench.sender.gate.set()
        await bench.until(lambda: len(bench.sender.sent) == 4)
        state = {("state", 0): [b"row", b"position|0"]}
        assert bench.sender.sent[1:] == [
            ("outputs", {("out", 0): [b"2"]}),
            ("state", state),
            ("state", state),
        ]
        await bench.until(lambda: bench.absorbed == {("in", 0): 2})
        assert bench.partition.get("row", Seen).values == [0, 1, 2]

    run(case)


def test_a_state_that_nobody_waits_for_is_saved_once_for_all_steps_of_a_busy_while():
    async def case(bench):
        bench.steps.stage.state_may_wait = True
        for offset in range(3):
            bench.offer(offset)
            await bench.until(lambda upto=offset + 1: len(bench.sender.sent) == upto)
            for _ in range(20):
                await asyncio.sleep(0)
        assert [what for what, _ in bench.sender.sent] == ["outputs"] * 3
        await bench.until(lambda: bench.absorbed == {("in", 0): 2})
        assert [what for what, _ in bench.sender.sent] == ["outputs"] * 3 + ["state"]

    run(case)


def test_a_state_that_nobody_waits_for_is_saved_in_time(monkeypatch):
    monkeypatch.setattr(step, "COMPANY_SECONDS", 3600)

    async def case(bench):
        bench.steps.stage.state_may_wait = True
        bench.steps._save_seconds = 0.0
        bench.offer(0)
        await bench.until(lambda: bench.sender.sent)
        bench.offer(1)
        await bench.until(lambda: bench.absorbed == {("in", 0): 0})
        assert [what for what, _ in bench.sender.sent] == ["outputs", "outputs", "state"]

    run(case)


def absorb_a_slice(steps, *sizes):
    """One slice at 10.0 s, of as many inputs, each with so many records of eight bytes."""
    for number, size in enumerate(sizes):
        steps.start_at(f"in-{number}", 0, 0)
        records = [Record(None, b"12345678", 0, offset, 0) for offset in range(size)]
        steps.offer({(f"in-{number}", 0): records})
    steps._absorb_slice(10.0)


def test_a_step_of_a_backlog_and_of_what_is_up_to_date_is_shared(monkeypatch):
    def taken(*sizes, tells=None):
        steps = Bench().steps
        steps._tells = tells
        absorb_a_slice(steps, *sizes)
        return steps._step.is_shared

    monkeypatch.setattr(step, "SLICE_BYTES", 64)
    assert taken(100, 1)
    assert not taken(100, 100)
    assert not taken(1, 2)
    assert not taken(100)
    fed = Pressure()
    assert not taken(100, 1, tells=fed)
    fed.tell_fresh(9.5)
    assert taken(100, 1, tells=fed)
    fed.tell_fresh(8.5)
    assert not taken(100, 1, tells=fed)


def test_the_last_of_a_backlog_is_as_old_as_the_rest(monkeypatch):
    monkeypatch.setattr(step, "SLICE_BYTES", 64)
    steps = Bench().steps
    absorb_a_slice(steps, 100)
    while steps._count:
        steps._absorb_slice(10.0)
    absorb_a_slice(steps, 0, 100)
    assert not steps._step.is_shared
    absorb_a_slice(steps, 1)
    assert steps._step.is_shared


def test_what_is_read_to_the_end_of_a_fetch_only_is_not_up_to_date(monkeypatch):
    monkeypatch.setattr(step, "SLICE_BYTES", 64)
    steps = Bench().steps
    steps._end_of = lambda name, partition: 1_000 if name == "in-1" else 0
    absorb_a_slice(steps, 100, 1)
    assert not steps._step.is_shared


def test_others_are_expected_beside_a_backlog_for_a_while(monkeypatch):
    monkeypatch.setattr(step, "SLICE_BYTES", 64)
    steps = Bench().steps
    absorb_a_slice(steps, 1)
    steps.start_at("in-1", 0, 0)
    backlog = [Record(None, b"12345678", 0, offset, 0) for offset in range(100)]
    steps.offer({("in-1", 0): backlog})
    steps._absorb_slice(11.5)
    assert not steps._step.is_shared
    steps._fresh_at = 11.0
    steps._absorb_slice(11.5)
    assert steps._step.is_shared


def test_a_shared_step_does_not_wait_to_be_full(monkeypatch):
    monkeypatch.setattr(step, "SLICE_BYTES", 16)

    async def case(bench):
        bench.steps.start_at("other", 0, 0)
        late = [Record(None, b"1", 0, 0, 0)]
        bench.steps.offer({("other", 0): late})
        bench.offer(*range(90))
        await bench.until(lambda: bench.absorbed.get(("in", 0)) == 89)
        first = bench.sender.sent[0][1]["out", 0]
        assert 1 < len(first) < 91

    run(case)


def test_who_feeds_a_stage_tells_it_where_an_input_of_its_own_is_up_to_date(monkeypatch):
    def told(*sizes):
        steps, fed = Bench().steps, Pressure()
        steps._minds = fed
        absorb_a_slice(steps, *sizes)
        return fed.is_fresh(10.5)

    monkeypatch.setattr(step, "SLICE_BYTES", 64)
    assert told(1)
    assert told(100, 1)
    assert not told(100, 100)


def test_who_feeds_a_stage_rests_for_as_long_as_too_much_waits_but_never_long():
    pressure = Pressure()
    pressure.tell_fresh(100.0)
    assert pressure.rest(100.0) == 0
    pressure.tell(waiting=30_000, taken=100_000, seconds=0.1)
    assert pressure.rest(100.0) == pytest.approx(0.01)
    pressure.tell(waiting=100_000, taken=100_000, seconds=0.1)
    assert pressure.rest(100.0) == LONGEST_REST_SECONDS
    pressure.tell(waiting=10_000, taken=100_000, seconds=0.1)
    assert pressure.rest(100.0) == 0
    pressure.tell(waiting=10_000, taken=0, seconds=0.1)
    assert pressure.rest(100.0) == 0


def test_more_may_wait_where_nothing_fresh_was_fed_lately():
    pressure = Pressure()
    pressure.tell(waiting=100_000, taken=100_000, seconds=0.1)
    assert not pressure.rest(0.0)
    pressure.tell_fresh(100.0)
    assert pressure.rest(100.5)
    assert not pressure.rest(101.5)
    pressure.tell(waiting=1_000_000, taken=100_000, seconds=0.1)
    assert pressure.rest(101.5)


ROUND_TRIP = 0.001


def set_nothing(steps, value):
    """For what is measured and is to stay as it is."""


def rests_of(monkeypatch, seconds, *, is_shared=False):
    """How long a stage rests that feeds another which wants so many seconds."""
    rests, sleep = [], asyncio.sleep

    def rest(seconds):
        rests.append(seconds)
        return sleep(seconds)

    async def case(bench):
        monkeypatch.setattr(step.asyncio, "sleep", rest)
        bench.steps._minds = SimpleNamespace(rest=lambda now: seconds, tell_fresh=lambda now: None)
        if is_shared:
            monkeypatch.setattr(step, "SLICE_BYTES", 16)
            known = property(lambda _: ROUND_TRIP, set_nothing)
            monkeypatch.setattr(Steps, "_round_trip", known, raising=False)
            bench.steps.start_at("other", 0, 0)
            bench.steps.offer({("other", 0): [Record(None, b"1", 0, 0, 0)]})
        bench.offer(*range(100))
        await bench.until(lambda: bench.absorbed.get(("in", 0)) == 99)

    run(case)
    return {one for one in rests if one}


def test_who_feeds_a_stage_rests_while_it_is_behind_and_goes_on(monkeypatch):
    assert rests_of(monkeypatch, 0) == set()
    assert rests_of(monkeypatch, 0.001) == {0.001}


def test_beside_what_is_fresh_a_backlog_rests_for_some_round_trips(monkeypatch):
    rests = rests_of(monkeypatch, 0, is_shared=True)
    assert step.ROUND_TRIPS * ROUND_TRIP in rests
    assert max(rests) == step.ROUND_TRIPS * ROUND_TRIP


class Grown(Echo):
    """As many rows as records."""

    def absorb(self, work, record):
        work.partition.put(f"row-{record.offset}", Seen(version=record.offset))
        work.weigh(record.value)
        work.emit(("out", 0), None, record.value)
        return True


def test_while_more_waits_the_state_of_several_steps_is_saved_at_once(monkeypatch):
    async def case(bench):
        bench.steps.stage, bench.steps._step_records = Grown(), 10
        monkeypatch.setattr(step, "SLICE_BYTES", 10)
        bench.offer(*range(35))
        await bench.until(lambda: bench.absorbed == {("in", 0): 34})
        sent = [(what, len(*to.values())) for what, to in bench.sender.sent]
        outputs = [number for what, number in sent if what == "outputs"]
        assert len(outputs) > 2
        assert sum(outputs) == 35
        assert sent[-1] == ("state", 36)
        assert [what for what, _ in sent].count("state") == 1

    run(case)


@pytest.mark.parametrize("limit", ["_save_seconds", "SAVE_WEIGHT"])
def test_a_state_is_saved_once_it_is_old_or_heavy_whatever_waits(monkeypatch, limit):
    async def case(bench):
        bench.steps.stage, bench.steps._step_records = Grown(), 10
        monkeypatch.setattr(step, "SLICE_BYTES", 10)
        if limit == "SAVE_WEIGHT":
            monkeypatch.setattr(step, limit, 1)
        else:
            bench.steps._save_seconds = 0.0
        bench.offer(*range(35))
        await bench.until(lambda: bench.absorbed == {("in", 0): 34})
        states = [to for what, to in bench.sender.sent if what == "state"]
        assert len(states) > 2

    run(case)


def test_a_record_that_has_no_room_in_a_batch_waits_for_the_next_which_is_saved_first(monkeypatch):
    monkeypatch.setattr(stage, "MAX_STEP_WEIGHT", 2_000)
    monkeypatch.setattr(step, "SAVE_WEIGHT", 1_500)

    async def case(bench):
        bench.steps.stage, bench.steps._save_seconds = Grown(), 3_600
        sizes = 10, 1_990, 3_000, 10
        run = [Record(None, b"x" * size, 0, place, place) for place, size in enumerate(sizes)]
        bench.steps.offer({("in", 0): run})
        await bench.until(lambda: bench.absorbed == {("in", 0): 3})
        states = [list(to.values()) for what, to in bench.sender.sent if what == "state"]
        rows = [[key for key in one if key.startswith(b"row")] for (one,) in states]
        assert rows == [[b"row-0"], [b"row-1"], [b"row-2"], [b"row-3"]]

    run(case)


def test_a_trickle_that_comes_in_faster_than_acks_is_no_backlog():
    async def case(bench):
        bench.steps.stage, bench.sender.seconds = Grown(), 0.003
        for offset in range(100):
            bench.offer(offset)
            await asyncio.sleep(0.001)
        await bench.until(lambda: bench.absorbed == {("in", 0): 99})
        what = [what for what, _ in bench.sender.sent]
        assert what.count("state") > what.count("outputs") // 2

    run(case)


def test_what_comes_while_a_step_is_on_its_way_goes_with_the_next_one():
    async def case(bench):
        bench.sender.gate.clear()
        for offset in range(5):
            bench.offer(offset)
            for _ in range(20):
                await asyncio.sleep(0)
        bench.sender.gate.set()
        await bench.until(lambda: bench.absorbed == {("in", 0): 4})
        outputs = [list(to.values()) for what, to in bench.sender.sent if what == "outputs"]
        assert outputs == [[[b"0"]], [[b"1", b"2", b"3", b"4"]]]

    run(case)


def test_beside_what_is_fresh_each_state_is_saved(monkeypatch):
    monkeypatch.setattr(step, "SLICE_BYTES", 16)

    async def case(bench):
        fed = bench.steps._tells = Pressure()
        bench.steps.stage = Grown()
        fed.tell_fresh(asyncio.get_running_loop().time())
        bench.offer(*range(300))
        await bench.until(lambda: bench.absorbed.get(("in", 0)) == 299)
        what = [what for what, _ in bench.sender.sent]
        assert what.count("state") == what.count("outputs") > 2

    run(case)


def test_the_state_of_all_partitions_is_saved_once_they_are_heavy_together(monkeypatch):
    monkeypatch.setattr(step, "SAVE_ALL_WEIGHT", 1)

    async def case(bench):
        bench.steps.stage, bench.steps._step_records = Grown(), 10
        monkeypatch.setattr(step, "SLICE_BYTES", 10)
        bench.offer(*range(35))
        await bench.until(lambda: bench.absorbed == {("in", 0): 34})
        assert [what for what, _ in bench.sender.sent].count("state") > 2

    run(case)


def test_a_state_is_as_old_as_its_first_step(monkeypatch):
    steps = Bench().steps
    steps.owned = {0: Partition(0)}
    for now in (1.0, 1.5):
        steps._step.works = {0: SimpleNamespace(partition=steps.owned[0])}
        steps._more_waits = True
        monkeypatch.setattr(step.asyncio, "get_running_loop", lambda now=now: At(now))
        steps._cut()
    assert steps._unsaved == {0: 1.0}


class At:
    """A clock that stands."""

    def __init__(self, now):
        self.time = lambda: now


class Halting(Echo):
    """Takes a record in two parts, or waits for `told` before it takes any."""

    def __init__(self, told=None):
        self.told, self.attempts = told, 0

    def absorb(self, work, record):
        self.attempts += 1
        cursor = work.partition.position.cursor
        if self.told is not None and not self.told:
            cursor["in"] = 0
            return False
        if self.told is None and "in" not in cursor:
            cursor["in"] = 1
            return False
        cursor.pop("in", None)
        return super().absorb(work, record)


def test_the_rest_of_a_record_comes_in_another_step_and_in_its_place():
    async def case(bench):
        bench.steps.stage = Halting()
        bench.offer(0, 1, 2)
        await bench.until(lambda: bench.absorbed == {("in", 0): 2})
        assert bench.partition.get("row", Seen).values == [0, 1, 2]
        assert [what for what, _ in bench.sender.sent].count("outputs") == 3

    run(case)


def test_a_record_that_waits_is_looked_at_again_after_a_pause():
    async def case(bench):
        stage = bench.steps.stage = Halting(told=[])
        bench.offer(0)
        await asyncio.sleep(0.1)
        assert 2 <= stage.attempts <= 10
        stage.told.append(True)
        await bench.until(lambda: bench.absorbed == {("in", 0): 0})
        assert bench.partition.get("row", Seen).values == [0]

    run(case)


def test_steps_that_are_not_saved_are_undone_when_partitions_go(monkeypatch):
    async def case(bench):
        bench.steps.stage, bench.steps._step_records = Grown(), 10
        monkeypatch.setattr(step, "SLICE_BYTES", 10)
        bench.offer(*range(95))
        await bench.until(lambda: len(bench.sender.sent) > 2)
        assert bench.steps._unsaved
        await bench.steps.revoke(5)
        assert bench.steps._unsaved == {}
        assert [what for what, _ in bench.sender.sent].count("state") == 0
        assert bench.partition.position.offsets == {}
        assert bench.partition.live == {}
        assert bench.fatal == []

    run(case)


def test_what_waits_in_the_log_counts_as_pressure():
    steps, told = Bench().steps, []
    steps._tells = SimpleNamespace(tell=lambda *what: told.append(what), is_fresh=lambda now: False)
    steps._end_of = lambda name, partition: 1_000
    absorb_a_slice(steps, 10)
    steps._step.size = 10
    steps._tell_pressure(11.0)
    assert told == [(990 * 8, 80, 11.0)]


def test_a_stage_tells_what_waits_for_it_until_it_is_idle():
    async def case(bench):
        told = []
        bench.steps._tells = SimpleNamespace(
            tell=lambda *what: told.append(what), is_fresh=lambda now: True
        )
        bench.offer(*range(10))
        await bench.until(lambda: bench.absorbed == {("in", 0): 9} and told[-1] == (0, 0, 0))
        assert told[0][1] == 10

    run(case)


def test_a_step_whose_outputs_hang_holds_back_its_own_state_only():
    async def case(bench):
        bench.offer(0)
        await bench.until(lambda: len(bench.sender.sent) == 1)
        bench.sender.gate.clear()
        bench.offer(1)
        await bench.until(lambda: len(bench.sender.sent) == 3)
        bench.offer(2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert [what for what, _ in bench.sender.sent] == ["outputs", "outputs", "state"]
        assert bench.sender.sent[1][1] == {("out", 0): [b"1"]}
        bench.sender.gate.set()
        await bench.until(lambda: bench.absorbed == {("in", 0): 2})
        assert bench.partition.position.base == 4
        assert bench.fatal == []

    run(case)


def test_the_position_names_what_is_absorbed_and_where_its_batch_begins():
    async def case(bench):
        bench.offer(0, 1)
        await bench.until(lambda: bench.absorbed)
        bench.offer(2)
        await bench.until(lambda: bench.absorbed == {("in", 0): 2})
        position = bench.partition.position
        assert position.offsets == {"in": 2}
        assert (position.base, position.rows, position.partitions) == (2, 1, 1)

    run(case)


def test_after_revocation_nothing_more_is_submitted_and_memory_goes_back():
    async def case(bench):
        bench.offer(0)
        await bench.until(lambda: bench.absorbed)
        bench.sender.gate.clear()
        bench.offer(1)
        await bench.until(lambda: len(bench.sender.sent) == 3)
        revoked = asyncio.create_task(bench.steps.revoke(5))
        await asyncio.sleep(0)
        bench.sender.gate.set()
        await revoked
        assert [what for what, _ in bench.sender.sent] == ["outputs", "state", "outputs"]
        assert bench.partition.position.offsets == {"in": 0}
        assert bench.partition.get("row", Seen).values == [0]
        bench.offer(2)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(bench.sender.sent) == 3

    run(case)


def test_a_revocation_that_cannot_end_in_time_is_an_error():
    async def case(bench):
        bench.sender.gate.clear()
        bench.offer(0)
        await bench.until(lambda: bench.sender.sent)
        with pytest.raises(TimeoutError):
            await bench.steps.revoke(0.01)
        bench.sender.gate.set()

    run(case)


def late_batch(*values):
    """What a process wrote that was paused at the first record, in front of our batch."""
    row = Seen(version=0, values=list(values))
    stale = Position(version=0, partition=0, offsets={"in": 0}, base=0, rows=1)
    return [Record(b"row", encode(row), 0, 2, 0), Record(b"position|0", encode(stale), 0, 3, 0)]


def test_a_log_that_another_process_wrote_to_is_repaired_and_read_on():
    async def case(bench):
        bench.offer(0, 1)
        await bench.until(lambda: bench.absorbed)
        bench.ownership.foreign = late_batch(0)
        bench.ownership.answers = [None, True]
        bench.sender.ends["state", 0] += 2
        bench.offer(2)
        await bench.until(lambda: ("in", 0, 2) in bench.seeks)
        assert bench.ownership.asked == 2
        repaired = bench.sender.sent[-1]
        assert repaired == ("state", {("state", 0): [b"row", b"position|0"]})
        assert bench.partition.get("row", Seen).values == [0, 1]
        bench.offer(2)
        await bench.until(lambda: bench.absorbed == {("in", 0): 2})
        assert bench.partition.get("row", Seen).values == [0, 1, 2]
        assert bench.fatal == []

    run(case)


def test_an_idle_stage_sees_that_its_log_has_grown(monkeypatch):
    monkeypatch.setattr(step, "LOOK_SECONDS", 0.01)

    async def case(bench):
        bench.offer(0, 1)
        await bench.until(lambda: bench.absorbed)
        bench.ownership.foreign = late_batch(0)
        bench.sender.ends["state", 0] += 2
        await bench.until(lambda: len(bench.sender.sent) == 3)
        assert bench.sender.sent[-1][0] == "state"

    run(case)


def test_a_partition_that_the_group_has_given_away_is_dropped():
    async def case(bench):
        bench.ownership.answers = [False]
        bench.sender.ends["state", 0] = 7
        bench.offer(0)
        await bench.until(lambda: not bench.steps.owned)
        assert bench.fatal == []
        assert bench.absorbed == {}
        bench.offer(1)
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(bench.sender.sent) == 2

    run(case)


def test_a_log_that_lost_its_end_is_fatal(monkeypatch):
    monkeypatch.setattr(step, "LOOK_SECONDS", 0.01)

    async def case(bench):
        bench.offer(0, 1)
        await bench.until(lambda: bench.absorbed)
        bench.sender.ends["state", 0] = 1
        await bench.until(lambda: bench.fatal)
        assert isinstance(bench.fatal[0], LostLogError)

    run(case)


@pytest.mark.parametrize("breaks", ["send_outputs", "send_state"])
def test_a_step_that_a_library_cancels_is_fatal(breaks):
    async def cancelled(what):
        raise asyncio.CancelledError

    async def case(bench):
        setattr(bench.sender, breaks, cancelled)
        bench.offer(0)
        await bench.until(lambda: bench.fatal)
        assert isinstance(bench.fatal[0], asyncio.CancelledError)

    run(case)


def test_a_look_that_a_library_cancels_is_fatal(monkeypatch):
    monkeypatch.setattr(step, "LOOK_SECONDS", 0.0)

    async def cancelled(topic, partitions):
        raise asyncio.CancelledError

    async def case(bench):
        bench.ownership.ends = cancelled
        await bench.until(lambda: bench.fatal)
        assert isinstance(bench.fatal[0], asyncio.CancelledError)

    run(case)


def test_a_record_that_breaks_the_stage_is_fatal_and_named():
    async def case(bench):
        bench.steps.offer({("in", 0): [Record(None, b"not a number", 0, 0, 0)]})
        await bench.until(lambda: bench.fatal)
        assert bench.fatal[0].__notes__ == ["at in/0 offset 0"]
        assert bench.sender.sent == []

    run(case)


def test_a_run_that_does_not_follow_is_sought_again_unless_the_broker_insists():
    async def case(bench):
        bench.offer(0)
        bench.offer(3, 4)
        assert bench.seeks == [("in", 0, 1)]
        bench.offer(1, 2, 3)
        bench.offer(2, 3, 4)
        await bench.until(lambda: bench.absorbed == {("in", 0): 4})
        assert bench.partition.get("row", Seen).values == [0, 1, 2, 3, 4]
        bench.offer(9)
        bench.offer(9)
        assert bench.seeks == [("in", 0, 1), ("in", 0, 5)]
        await bench.until(lambda: bench.absorbed == {("in", 0): 9})

    run(case)


def changelog(*records):
    partition = Partition(0)
    partition.load(
        Record(key.encode(), encode(row), 0, offset, 0) for offset, (key, row) in enumerate(records)
    )
    return partition


def position(version, offset, base=0, rows=0):
    return Position(version=version, partition=0, offsets={"in": offset}, base=base, rows=rows)


def test_recovery_merges_by_version_and_repairs_what_a_late_writer_left():
    partition = changelog(
        ("row", Seen(version=5, values=[5])),
        ("position|0", position(1, 5, base=0, rows=1)),
        ("row", Seen(version=3, values=[3])),
        ("position|0", position(0, 3, base=1, rows=1)),
    )
    partition.recovered()
    assert partition.get("row", Seen).values == [5]
    assert partition.position.offsets == {"in": 5}
    batch = partition.repairs("test", 1)
    assert [key for key, _, _ in batch.records] == ["row", "position|0"]
    assert decode(batch.records[0][1], Seen).values == [5]
    partition.acknowledge(batch)
    assert partition.repairs("test", 1) is None


def test_a_recovery_that_ends_in_the_middle_of_a_batch_reads_the_rest_of_it():
    partition = changelog(
        ("row", Seen(version=5, values=[5])),
        ("position|0", position(0, 5, base=0, rows=1)),
        ("row", Seen(version=6, values=[5, 6])),
    )
    bench = Bench()
    bench.sender.ends["state", 0] = 5
    rest = [("other", Seen(version=6)), ("position|0", position(1, 6, base=2, rows=2))]
    bench.ownership.foreign = [
        Record(key.encode(), encode(row), 0, 3 + place, 0) for place, (key, row) in enumerate(rest)
    ]
    asyncio.run(bench.steps.own([partition]))
    assert bench.steps.owned == {0: partition}
    assert partition.position.offsets == {"in": 6}
    assert partition.get("other", Seen) == Seen(version=6)
    assert (partition.end, bench.sender.sent) == (5, [])


def test_a_sound_changelog_needs_no_repair():
    partition = changelog(
        ("row", Seen(version=5, values=[5])),
        ("position|0", position(1, 5, base=0, rows=1)),
    )
    assert partition.repairs("test", 1) is None
    assert partition.end == 2


def test_deleted_rows_are_gone_after_recovery():
    partition = Partition(0)
    partition.put("row", Seen(version=1))
    partition.acknowledge(partition.cut("w", 1))
    partition.delete("row", 2)
    batch = partition.cut("w", 1)
    partition.acknowledge(batch)
    assert partition.get("row", Seen) is None
    again = Partition(0)
    written = [("row", encode(Seen(version=1)), []), *batch.records]
    again.load(
        Record(key.encode(), value, 0, offset, 0) for offset, (key, value, _) in enumerate(written)
    )
    again.recovered()
    assert again.get("row", Seen) is None
