"""Workers die under load, at the worst places, and not one unit is lost or counted twice."""

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from local.processes import Process, wait_until
from models import rows, topics
from models.movements import decode
from streams.engine.position import PREFIX, Position
from tests import builders as b
from tests.harness import Harness
from tests.load import Load

RATE = 800
"""Events a second while workers die."""

FAILPOINTS = ("outputs_acked", "between_destinations", "state_acked")


@contextmanager
def under_load(harness: Harness, load: Load) -> Iterator[None]:
    """Append events at a steady rate until the block ends."""
    ended = threading.Event()

    def produce() -> None:
        while not ended.wait(0.05):
            harness.send(*(load.event() for _ in range(RATE // 20)))

    thread = threading.Thread(target=produce)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def start(harness: Harness, name: str, **environ: str) -> Process:
    return harness.service.start_worker(ONHAND_INSTANCE=name, **environ)


def die_at(harness: Harness, name: str, failpoint: str, steps: int, **environ: str) -> None:
    """Start a worker that kills itself at a failpoint, and wait until it did."""
    worker = start(harness, name, ONHAND_FAILPOINT=f"{failpoint}:{steps}", **environ)
    wait_until(lambda: not worker.running, 60, f"the worker dies at {failpoint}")
    assert worker.code == -9, worker.tail()


def wait_for_progress(harness: Harness) -> None:
    """Wait until some more records are absorbed, so that a kill hits a busy worker."""
    before = committed(harness)
    wait_until(lambda: committed(harness) > before, 60, "the workers absorb")


def committed(harness: Harness) -> int:
    return harness.call(harness._lag.absorbed())


def rows_that_differ(harness: Harness, load: Load) -> list[str]:
    keys = sorted(load.sums)
    items = [{"sku": sku, "location": location} for sku, location in keys]
    answers = [
        answer
        for start_at in range(0, len(items), 1000)
        for answer in harness.post(
            "/v1/availability/query", {"items": items[start_at : start_at + 1000]}
        ).json()["items"]
    ]
    return [
        f"{key}: sum {load.sums[key]}, answer {answer}"
        for key, answer in zip(keys, answers, strict=True)
        if any(answer.get(bucket) != units for bucket, units in load.sums[key].items())
    ]


def repeated_origins(harness: Harness) -> int:
    """Movements that stand in the log more than once, emitted anew after a crash."""
    origins = Counter(
        (movement.topic, movement.partition, movement.ordinal)
        for record in harness.records(topics.INVENTORY_MOVEMENTS)
        for movement in decode(record.value)
    )
    return sum(times - 1 for times in origins.values())


@pytest.mark.parametrize("kept", ["nothing", "snapshots"])
def test_twenty_kills_lose_nothing_and_double_nothing(harness, tmp_path, kept):
    if kept == "snapshots":
        harness.service.environ |= {
            "ONHAND_SNAPSHOTS": str(tmp_path),
            "ONHAND_SNAPSHOT_MB": "0.05",
            "ONHAND_LOG_LEVEL": "info",
        }
    dice = random.Random(20)
    load = Load(seed=20)
    harness.service.start_api()
    with under_load(harness, load):
        for number in range(10):
            die_at(harness, "a", FAILPOINTS[number % 2], dice.randint(2, 12))
        for _ in range(5):
            worker = start(harness, "a")
            wait_for_progress(harness)
            worker.kill()
        workers = {name: start(harness, name) for name in ("a", "b")}
        for number in range(5):
            wait_for_progress(harness)
            name = "ab"[number % 2]
            workers[name].kill()
            workers[name] = start(harness, name)
    harness.settle(120)
    assert rows_that_differ(harness, load) == []
    assert repeated_origins(harness) >= 1, "no crash made a stage emit anything again"
    restored = [one for one in workers.values() if "rows from a snapshot" in one.tail(1000)]
    assert bool(restored) == (kept == "snapshots")
    assert harness.service.digest() == harness.service.digest(replay=True)


@pytest.mark.parametrize("rule", ["origins", "positions"])
def test_without_the_rule_the_same_kills_do_double(harness, rule):
    load = Load(seed=7)
    harness.service.start_api()
    with under_load(harness, load):
        for number in range(9):
            failpoint = FAILPOINTS[number % 3]
            die_at(harness, "a", failpoint, number + 2, ONHAND_UNSAFE_WITHOUT=rule)
        start(harness, "a", ONHAND_UNSAFE_WITHOUT=rule)
        wait_for_progress(harness)
    harness.settle(120)
    assert rows_that_differ(harness, load) != []


def test_a_worker_stops_cleanly_and_the_next_goes_on(harness):
    load = Load(seed=3)
    harness.service.start_api()
    with under_load(harness, load):
        for _ in range(3):
            worker = start(harness, "a")
            wait_for_progress(harness)
            assert worker.stop() == 0, worker.tail()
    start(harness, "a")
    harness.settle(60)
    assert rows_that_differ(harness, load) == []


def absorbed(harness: Harness, seed: int) -> Load:
    """A load whose first events a worker has absorbed that has ended."""
    load = Load(seed=seed)
    worker = start(harness, "a")
    harness.send(*(load.event() for _ in range(200)))
    harness.settle()
    worker.stop()
    return load


def test_a_worker_refuses_a_log_that_lost_what_it_had_not_absorbed(harness):
    load = absorbed(harness, seed=1)
    harness.send(*(load.event() for _ in range(200)))
    harness.truncate(topics.POS_SALES)
    must_refuse(start(harness, "a"), "refusing to start")


def test_a_worker_refuses_a_log_that_ends_before_what_it_had_absorbed(harness):
    absorbed(harness, seed=1)
    harness.lose(topics.POS_SALES)
    must_refuse(start(harness, "a"), "holds offsets 0 to -1, but state was absorbed")


def test_a_worker_refuses_to_begin_in_the_middle_where_its_state_is_lost(harness):
    absorbed(harness, seed=4)
    harness.lose(topics.INVENTORY_SOURCES)
    harness.truncate(topics.POS_SALES)
    must_refuse(start(harness, "a"), "the state knows nothing of it")


def must_refuse(worker: Process, why: str) -> None:
    wait_until(lambda: not worker.running, 60, "the worker refuses")
    assert worker.code == 70, worker.tail()
    assert why in worker.tail(100)


def test_a_worker_refuses_movements_that_are_lost_before_the_inventory_had_them(harness):
    load = Load(seed=2)
    worker = start(harness, "a")
    harness.send(*(load.event() for _ in range(200)))
    harness.settle()
    stock = writers_of_state(harness)[harness.prefix + topics.INVENTORY_STATE, 0][-1]
    psutil.Process(stock).suspend()
    harness.send(*(load.event() for _ in range(200)))
    sources = [harness.prefix + name for name in topics.SOURCE_TOPICS]
    wait_until(
        lambda: harness.call(harness._lag.absorbed(sources)) == 400, 60, "sources are absorbed"
    )
    worker.kill()
    harness.truncate(topics.INVENTORY_MOVEMENTS)
    must_refuse(start(harness, "a"), f"{harness.prefix}{topics.INVENTORY_MOVEMENTS}/")


@pytest.mark.parametrize("grown", [False, True])
def test_a_worker_refuses_a_state_of_another_number_of_partitions(harness, grown):
    load = Load(seed=3)
    worker = start(harness, "a")
    harness.send(*(load.event() for _ in range(200)))
    harness.settle()
    before = harness.service.digest()
    worker.stop()
    if grown:
        harness.grow(8)
    more = start(harness, "a", ONHAND_PARTITIONS="8")
    must_refuse(more, "has 4 partitions, but 8 are expected")
    assert harness.service.digest() == before


def stages_of(worker: Process) -> list[psutil.Process]:
    return psutil.Process(worker.pid).children(recursive=True)


def frozen_pids(worker: Process) -> set[int]:
    return {one.pid for one in stages_of(worker) if one.status() == psutil.STATUS_STOPPED}


def freeze(harness: Harness, name: str, steps: int) -> Process:
    """Start a worker whose processes stop themselves before they send a state, once one did."""
    worker = start(harness, name, ONHAND_FAILPOINT=f"state_next:{steps}:stop")
    wait_until(lambda: bool(frozen_pids(worker)), 60, "the worker freezes", worker)
    return worker


def wait_for_takeover(harness: Harness, frozen: Process, owner: Process) -> None:
    """Wait until every state log that a frozen process wrote to is written to by another."""
    pids = frozen_pids(frozen)
    left = {log for log, seen in writers_of_state(harness).items() if not pids.isdisjoint(seen)}
    assert left

    def is_taken_over() -> bool:
        others = {one.pid for one in stages_of(owner)}
        writers = writers_of_state(harness)
        return all(writers[log][-1] in others for log in left)

    wait_until(is_taken_over, 60, "the owner writes where the frozen one did", owner)


def writers_of_state(harness: Harness) -> dict[tuple[str, int], list[int]]:
    """Who wrote to each state log, by process id, in the log's order."""
    writers: dict[tuple[str, int], list[int]] = {}
    for record, position in positions(harness):
        log = record.topic, record.partition
        writers.setdefault(log, []).append(int(position.writer.rpartition(":")[2]))
    return writers


def wake(worker: Process) -> None:
    for one in stages_of(worker):
        one.resume()


def positions(harness: Harness) -> Iterator[tuple[Any, Position]]:
    """Every position in the state logs, with its record."""
    for topic in (topics.INVENTORY_STATE, topics.INVENTORY_SOURCES):
        for record in harness.records(topic):
            if record.key.startswith(PREFIX.encode()):
                yield record, rows.decode(record.value, Position)


def late_batches(harness: Harness) -> int:
    """State batches that do not stand where their writer thought the log ended."""
    return sum(
        position.base != record.offset - position.rows for record, position in positions(harness)
    )


def wait_for_late(harness: Harness, batches: int) -> None:
    wait_until(lambda: late_batches(harness) >= batches, 60, "the frozen process writes late")


def wait_for_repair(owner: Process, frozen: Process) -> None:
    """The one that woke is a member again: either may own the partition by then."""

    def is_repaired() -> bool:
        return any("rows repaired" in worker.tail(10_000) for worker in (owner, frozen))

    wait_until(is_repaired, 60, "the owner repairs", owner)


def test_what_a_frozen_worker_writes_when_it_wakes_is_repaired(harness):
    load = Load(seed=11)
    harness.service.start_api()
    with under_load(harness, load):
        for late, steps in enumerate((3, 9), 1):
            frozen = freeze(harness, "a", steps)
            owner = start(harness, "b")
            wait_for_takeover(harness, frozen, owner)
            wake(frozen)
            wait_for_late(harness, late)
            wait_for_repair(owner, frozen)
            wait_for_progress(harness)
            assert owner.running, owner.tail()
            owner.stop()
            frozen.stop()
    last = start(harness, "a")
    harness.settle(120)
    assert last.running, last.tail()
    assert rows_that_differ(harness, load) == []
    assert harness.service.digest() == harness.service.digest(replay=True)


def test_a_late_batch_is_repaired_before_compaction_forgets_what_it_covers(harness):
    load = Load(seed=12)
    harness.service.start_api()
    with under_load(harness, load):
        frozen = freeze(harness, "a", 5)
        owner = start(harness, "b")
        wait_for_takeover(harness, frozen, owner)
    harness.settle(60)
    before = harness.records(topics.INVENTORY_STATE)
    last_offsets = {one.partition: one.offset for one in before}
    wake(frozen)
    wait_for_late(harness, 1)
    wait_for_repair(owner, frozen)
    for topic in (topics.INVENTORY_STATE, topics.INVENTORY_SOURCES):
        harness.compact(topic, lag_ms=0)
    with under_load(harness, load):
        wait_for_progress(harness)
    harness.settle(60)

    def left() -> list[Any]:
        records = harness.records(topics.INVENTORY_STATE)
        return [one for one in records if one.offset <= last_offsets.get(one.partition, -1)]

    wait_until(lambda: len(left()) < len(before), 120, "the log is compacted")
    owner.stop()
    frozen.stop()
    last = start(harness, "a")
    harness.settle(60)
    assert last.running, last.tail()
    assert rows_that_differ(harness, load) == []
    assert harness.service.digest() == harness.service.digest(replay=True)


def test_an_alias_that_goes_over_while_a_worker_is_down_never_splits_a_sale(harness):
    harness.service.start_api()
    worker = start(harness, "a")
    harness.put_reference("items", "S", {"aliases": [{"code": "X"}]})
    worker.stop()
    harness.send(b.sale("p", 1, "09:00", sku="X"))
    die_at(harness, "a", "outputs_acked", 1)
    assert harness.put("/v1/reference/items/B", {"aliases": [{"code": "X"}]}).status_code == 202
    start(harness, "a")
    wait_until(
        lambda: harness.get("/v1/reference/status").json()["current"], 30, "reference in use"
    )
    harness.send(b.sale("p", 2, "09:01", sku="X"))
    harness.settle()
    assert repeated_origins(harness) == 1
    assert harness.stock("S")["on_hand"] == -1
    assert harness.stock("B")["on_hand"] == -1
    assert harness.get("/v1/availability/X/17").status_code == 404
    assert harness.service.digest() == harness.service.digest(replay=True)


def test_keys_of_deleted_rows_leave_the_log_and_a_recovery_does_without(harness):
    harness.service.start_api()
    soon = {"ONHAND_COMPACTION_LAG_HOURS": "0.0003"}
    worker = start(harness, "a", **soon)
    # The service remembers 1,040 sequence numbers of a source at least, and deletes those before.
    numbers = iter(range(1, 10_000))
    for _ in range(13):
        harness.send([b.sale("p", next(numbers), "09:00") for _ in range(100)])
    harness.settle()

    def has_forgotten() -> bool:
        harness.send(b.sale("p", next(numbers), "09:00"))
        harness.settle()
        return any(one.value is None for one in harness.records(topics.INVENTORY_SOURCES))

    wait_until(has_forgotten, 60, "a deleted row becomes a tombstone")
    worker.kill()
    start(harness, "a", **soon)
    sold = next(numbers)
    harness.send(b.sale("p", sold, "09:00"))
    harness.settle()
    assert harness.stock("S")["on_hand"] == -sold
    assert harness.service.digest() == harness.service.digest(replay=True)
