"""Kafka and Redis fail in every way, and no number changes."""

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from benchmarks.filling import counts
from local.kafka import Broker, brokers, jars_can_run
from local.processes import LocalError, Process, wait_until
from local.redis import own_redis
from models import topics
from streams.supervisor import PROCESSES
from streams.topics import MAX_OWN_BYTES
from tests import builders as b
from tests.e2e.test_crash import committed, rows_that_differ, start, under_load, wait_for_progress
from tests.harness import Harness
from tests.load import Load

MIB = 1024 * 1024
SMALL = 48 * MIB
WIDE = 60_000
STATE = {"cleanup_policy": "compact", "max_message_bytes": str(MAX_OWN_BYTES)}
SHUTDOWN_SECONDS = 10.0
FROZEN_MS = 5_000
ROWS = 250_000
JOINING = "Tables]: Starting"
"""What a process says last before it joins its group: partitions change hands a while after."""


@pytest.fixture
def broker() -> Iterator[Broker]:
    """One that may be killed."""
    if not jars_can_run():
        pytest.skip("a Kafka that may be killed is run by Java 17 and Maven")
    with brokers(1, heap="512m") as (one,):
        yield one


@pytest.fixture
def own(broker: Broker, logs: Path) -> Iterator[Harness]:
    """A service over a broker of its own."""
    with Harness(broker.bootstrap, logs, f"faults-{time.monotonic_ns()}.") as made:
        yield made


class Orchestrator:
    """Starts a worker again whenever it has ended, as a retailer's platform does."""

    def __init__(self, harness: Harness) -> None:
        self._harness = harness
        self.starts = 0
        self.codes: list[int | None] = []
        self._worker = self._start()

    def _start(self) -> Process:
        self.starts += 1
        return start(self._harness, "a")

    def look(self) -> None:
        if not self._worker.running:
            self.codes.append(self._worker.code)
            self._worker = self._start()

    def wait_until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        def holds() -> bool:
            self.look()
            return condition()

        try:
            wait_until(holds, seconds, what)
        except LocalError as error:
            error.add_note(f"workers ended with {self.codes}; the last one says:")
            error.add_note(self._worker.tail())
            raise

    def progress(self) -> None:
        """Wait until some more is absorbed."""
        before = committed(self._harness)
        self.wait_until(lambda: committed(self._harness) > before, 120, "the workers absorb")

    def settle(self, seconds: float) -> None:
        self.wait_until(lambda: self._harness.lag() == 0, seconds, "all is absorbed")
        self._harness.settle(seconds)


def configure(harness: Harness, topic: str, **config: str) -> None:
    """Set a topic's configuration; what is not named goes back to its default."""

    async def work() -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=harness.bootstrap)
        await admin.start()
        try:
            told = {name.replace("_", "."): value for name, value in config.items()}
            name = harness.prefix + topic
            await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, told)])
        finally:
            await admin.close()

    harness.call(work())


def view_lag_ms(harness: Harness) -> int:
    """How old the front's view may be, as its answers say."""
    return int(harness.post("/v1/availability/query", {"items": []}).headers["X-Onhand-Lag-Ms"])


def must_be_exact(harness: Harness, load: Load) -> None:
    assert rows_that_differ(harness, load) == []
    assert harness.service.digest() == harness.service.digest(replay=True)


def test_a_broker_that_is_killed_and_frozen_changes_no_number(own, broker):
    load = Load(seed=31)
    own.service.start_api()
    with under_load(own, load):
        worker = Orchestrator(own)
        for _ in range(2):
            worker.progress()
            broker.kill()
            broker.start()
        worker.progress()
        broker.freeze()
        wait_until(lambda: view_lag_ms(own) > FROZEN_MS, 30, "the front says how old its view is")
        broker.wake()
        worker.progress()
    worker.settle(120)
    must_be_exact(own, load)


def test_a_broker_whose_disk_is_full_changes_no_number(own, broker):
    load = Load(seed=32)
    own.service.start_api()
    worker = Orchestrator(own)
    own.send(*(load.event() for _ in range(2_000)))
    worker.settle(60)
    broker.limit_files(MIB)
    append = append_wide(own, load, 400)
    wait_until(lambda: not broker.running, 60, "the broker gives up")
    broker.start()
    append.join()
    worker.settle(120)
    must_be_exact(own, load)


def append_wide(harness: Harness, load: Load, number: int) -> threading.Thread:
    """Begin to append so many events of WIDE bytes each."""
    wide = [load.event() for _ in range(number)]
    for event in wide:
        event["note"] = "x" * WIDE
    append = threading.Thread(target=harness.send, args=wide)
    append.start()
    return append


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of SMALL bytes."""
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL}", "onhand", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("this system lets us mount no file system")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_a_broker_whose_file_system_is_full_changes_no_number(small_disk, logs):
    if not jars_can_run():
        pytest.skip("a Kafka on a file system of its own is run by Java 17 and Maven")
    load = Load(seed=37)
    with (
        brokers(1, heap="512m", folder=small_disk) as (broker,),
        Harness(broker.bootstrap, logs, "small.") as harness,
    ):
        harness.service.start_api()
        worker = Orchestrator(harness)
        harness.send(*(load.event() for _ in range(2_000)))
        worker.settle(60)
        append = append_wide(harness, load, SMALL // WIDE + 100)
        wait_until(lambda: not broker.running, 60, "the broker gives up")
        assert shutil.disk_usage(small_disk).free < MIB
        subprocess.run(["mount", "-o", f"remount,size={4 * SMALL}", str(small_disk)], check=True)
        broker.start()
        append.join()
        worker.settle(120)
        must_be_exact(harness, load)


def test_an_append_that_is_refused_for_good_ends_the_process(harness):
    load = Load(seed=34)
    harness.service.start_api()
    with under_load(harness, load):
        worker = Orchestrator(harness)
        wait_for_progress(harness)
        configure(harness, topics.INVENTORY_STATE, **{**STATE, "max_message_bytes": "100"})
        worker.wait_until(lambda: 70 in worker.codes, 60, "the worker gives up")
        configure(harness, topics.INVENTORY_STATE, **STATE)
        wait_for_progress(harness)
    worker.settle(120)
    must_be_exact(harness, load)


def stop_within(
    process: Process, seconds: float = SHUTDOWN_SECONDS, *, in_order: bool = False
) -> None:
    begun = time.monotonic()
    code = process.stop()
    took = time.monotonic() - begun
    assert took < seconds, f"{process.name} took {took:.1f} s to end\n{process.tail()}"
    assert code == 0 or not in_order, f"{process.name} ended with {code}\n{process.tail()}"


def is_connecting(worker: Process, broker: Broker) -> bool:
    """Whether a process of it has asked a broker that answers nothing."""
    port = int(broker.bootstrap.rpartition(":")[2])
    family = psutil.Process(worker.pid)
    return any(
        one.raddr and one.raddr.port == port
        for process in (family, *family.children())
        for one in process.net_connections()
    )


def test_every_process_ends_within_its_bound_whatever_it_is_at(own, broker):
    load = Load(seed=35)
    stop_within(own.service.start_api(), in_order=True)
    front = own.service.start_api()
    stop_within(own.service.start_worker())
    worker = own.service.start_worker()
    own.send(load.event())
    own.settle()
    stop_within(worker, in_order=True)
    with under_load(own, load):
        worker = own.service.start_worker()
        wait_for_progress(own)
        stop_within(worker, in_order=True)
        worker = own.service.start_worker()
        wait_for_progress(own)
        broker.freeze()
        try:
            stop_within(worker)
            worker = own.service.start_worker()
            wait_until(lambda: is_connecting(worker, broker), 30, "it connects", worker)
            stop_within(worker)
            stop_within(front)
        finally:
            broker.wake()
    own.service.start_api()
    worker = Orchestrator(own)
    worker.settle(60)
    must_be_exact(own, load)


def test_a_front_that_cannot_go_on_ends_with_an_error_for_who_restarts_it(harness):
    front = harness.service.start_api()
    (archive,) = psutil.Process(front.pid).children()
    archive.kill()
    wait_until(lambda: not front.running, 20, "the front ends")
    assert front.code == os.EX_SOFTWARE, front.tail()


def test_a_worker_ends_within_its_bound_while_it_reads_its_rows(harness):
    rows = [(source, value) for _, source, value in counts(ROWS)]
    worker = harness.service.start_worker()
    harness.send(b.sale("other", 1, "09:00"))
    harness.settle()
    empty = resident(worker)
    harness.append(topics.WAREHOUSE_RECEIPTS, *rows)
    harness.settle()
    some = empty + (resident(worker) - empty) // 4
    worker.stop()
    harness.send(b.sale("p", 1, "09:00"))
    worker = harness.service.start_worker()
    wait_until(lambda: resident(worker) > some, 30, "it has read some of them", worker)
    stop_within(worker)
    assert harness.lag() > 0, "it had read all of them"


def resident(worker: Process) -> int:
    """Bytes of memory that the larger of a worker's processes has."""
    stages = psutil.Process(worker.pid).children()
    return max((one.memory_info().rss for one in stages), default=0)


def test_workers_end_within_their_bounds_while_one_joins_the_other(harness):
    load = Load(seed=36)
    with under_load(harness, load):
        first = start(harness, "a")
        wait_for_progress(harness)
        second = start(harness, "b", ONHAND_LOG_LEVEL="info")
        wait_until(
            lambda: second.tail(1_000).count(JOINING) >= len(PROCESSES), 30, "it joins", second
        )
        stop_within(first)
        stop_within(second)
    harness.service.start_api()
    start(harness, "a")
    harness.settle()
    must_be_exact(harness, load)


@contextmanager
def over_redis(bootstrap: str, logs: Path) -> Iterator[tuple[Any, Harness]]:
    with own_redis() as redis, Harness(bootstrap, logs, "flushed.", ONHAND_VIEW=redis.url) as made:
        made.service.start_worker()
        made.service.start_api()
        yield redis, made


def test_a_redis_that_goes_and_comes_back_empty_is_filled_again(bootstrap, logs):
    with over_redis(bootstrap, logs) as (redis, harness):
        harness.send(b.count("hh", 1, "00:00", 5), b.sale("p", 1, "09:00"))
        harness.settle()
        assert harness.stock("S")["on_hand"] == 4
        redis.kill()
        gone = harness.get("/v1/availability/S/17")
        assert (gone.status_code, gone.json()["code"]) == (503, "view_unavailable")
        assert harness.get("/metrics").status_code == 200
        harness.send(b.sale("p", 2, "09:01"))
        redis.start()
        wait_until(
            lambda: harness.get("/v1/availability/S/17").status_code == 200, 30, "rows are back"
        )
        harness.settle()
        assert harness.stock("S")["on_hand"] == 3
        assert harness.get("/v1/availability/none/17").status_code == 404


def test_a_front_ends_within_its_bound_without_its_redis(bootstrap, logs):
    with own_redis() as redis, Harness(bootstrap, logs, "left.", ONHAND_VIEW=redis.url) as harness:
        front = harness.service.start_api()
        redis.kill()
        gone = harness.get("/v1/availability/S/17")
        assert (gone.status_code, gone.json()["code"]) == (503, "view_unavailable")
        stop_within(front)
