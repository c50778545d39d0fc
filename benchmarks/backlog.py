"""Putting a workload into topics before anything reads it, and measuring how it is absorbed."""

import asyncio
import contextlib
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import psutil
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError
from aiokafka.partitioner import murmur2
from tqdm import tqdm

from local.lag import Lag
from local.processes import Process

POLL_SECONDS: Final = 0.1
LIMIT_SECONDS: Final = 900
BATCH_BYTES: Final = 1024 * 1024

Backlog = Sequence[tuple[str, str, bytes]]
"""Topic, key and value of each record, in order."""


class BenchmarkError(Exception):
    """A figure that would not be true: a wrong result, or a system that ended or hangs."""


@dataclass(frozen=True)
class Absorbed:
    """What absorbing the measured part of a backlog took.

    `cpu_seconds` are those of the process and its children, `peak_bytes` the most memory
    they were seen to have resident together.
    """

    records: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int

    @property
    def per_second(self) -> float:
        """Records per second."""
        return self.records / self.seconds

    @property
    def cpu_us(self) -> float:
        """Microseconds of CPU per record."""
        return self.cpu_seconds / self.records * 1e6


async def create(names: Iterable[str], bootstrap: str, partitions: int) -> None:
    """Make topics, those that are not there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, partitions, 1) for name in names])
    except TopicAlreadyExistsError:
        pass
    finally:
        await admin.close()


async def settle() -> None:
    """Wait until all is on disk, so that no system is measured beside another's writes."""
    await asyncio.to_thread(os.sync)


async def produce(backlog: Backlog, bootstrap: str, prefix: str, partitions: int) -> None:
    """Append the backlog, one batch after another per partition."""
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        max_batch_size=BATCH_BYTES,
        max_request_size=8 * BATCH_BYTES,
        enable_idempotence=True,
    )
    places: dict[str, tuple[bytes, int]] = {}
    batches: dict[tuple[str, int], Any] = {}
    await producer.start()
    try:
        for topic, key, value in tqdm(backlog, "backlog", unit=" events"):
            place = places.get(key)
            if place is None:
                encoded = key.encode()
                place = places[key] = encoded, (murmur2(encoded) & 0x7FFFFFFF) % partitions
            target = prefix + topic, place[1]
            batch = batches.get(target)
            if batch is None:
                batch = batches[target] = producer.create_batch()
            if batch.append(key=place[0], value=value, timestamp=None) is None:
                batch.close()
                await producer.send_batch(batch, target[0], partition=target[1])
                batch = batches[target] = producer.create_batch()
                batch.append(key=place[0], value=value, timestamp=None)
        for (topic, number), batch in batches.items():
            batch.close()
            await producer.send_batch(batch, topic, partition=number)
        await producer.flush()
    finally:
        await producer.stop()


async def absorb(
    processes: Sequence[Process], lag: Lag, inputs: Iterable[str], records: int, warm: int = 0
) -> Absorbed:
    """Wait until nothing is left; figures run from the moment when `warm` were absorbed.

    Raises BenchmarkError where a process ends, or all is not done within a quarter of an hour.
    """
    inputs = list(inputs)
    meter = _Meter(processes)
    begun, spent = await _past_warm_up(processes, lag, inputs, warm, meter)
    started = time.perf_counter()
    with tqdm(total=records, initial=warm, desc="absorbed", unit=" events") as bar:
        while True:
            done = await lag.absorbed(inputs)
            bar.update(done - bar.n)
            # Nothing is left, too, where not all was appended yet.
            if done >= records and await lag.records() == 0:
                break
            if time.perf_counter() - started > LIMIT_SECONDS:
                raise BenchmarkError(f"records are left after {LIMIT_SECONDS} s")
            _must_run(processes)
            meter.cpu()
            await asyncio.sleep(POLL_SECONDS)
        ended = time.perf_counter()
    return Absorbed(records - warm, ended - begun, meter.cpu() - spent, meter.peak)


async def _past_warm_up(
    processes: Sequence[Process], lag: Lag, inputs: list[str], warm: int, meter: "_Meter"
) -> tuple[float, float]:
    """When `warm` records were absorbed, and the CPU seconds spent by then.

    Both are taken from the line between the polls before and after.
    """
    before = time.perf_counter(), meter.cpu(), 0
    deadline = before[0] + LIMIT_SECONDS
    while True:
        done = await lag.absorbed(inputs)
        after = time.perf_counter(), meter.cpu(), done
        if done > warm:
            break
        before = after
        _must_run(processes)
        if after[0] > deadline:
            raise BenchmarkError(f"nothing is absorbed after {LIMIT_SECONDS} s")
        await asyncio.sleep(POLL_SECONDS)
    share = (warm - before[2]) / (after[2] - before[2])
    begun, spent = (
        early + share * (late - early) for early, late in zip(before[:2], after[:2], strict=True)
    )
    return begun, spent


class _Meter:
    """CPU seconds and peak memory of processes and their children."""

    def __init__(self, processes: Sequence[Process]) -> None:
        self._processes = [psutil.Process(process.pid) for process in processes]
        self._all = list(self._processes)
        self._known_until = 0.0
        self._spent = 0.0
        self.peak = 0

    def cpu(self) -> float:
        """CPU seconds so far; as they were where a process has ended, which `_must_run` tells."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self._spent = self._look()
        return self._spent

    def _look(self) -> float:
        if time.monotonic() > self._known_until:
            self._all = [
                one
                for process in self._processes
                for one in (process, *process.children(recursive=True))
            ]
            self._known_until = time.monotonic() + 1
        times = [one.cpu_times() for one in self._all]
        self.peak = max(self.peak, sum(one.memory_info().rss for one in self._all))
        return float(sum(one.user + one.system for one in times))


def _must_run(processes: Sequence[Process]) -> None:
    for process in processes:
        if process.running:
            continue
        raise BenchmarkError(f"{process.name} ended with {process.code}\n{process.tail()}")
