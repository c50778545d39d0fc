"""Snapshots: the same partition comes back, or none."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka.errors import KafkaConnectionError

from models import rows
from models.rows import Row
from streams.engine.partition import Partition
from streams.engine.snapshots import CHUNK, Snapshots

TOPIC = "inventory.state"
NUMBER = 3


class Changelog:
    """The partition's log, as far as a snapshot asks for it."""

    def __init__(self):
        self.records = []

    async def ends(self, topic, partitions):
        return dict.fromkeys(partitions, len(self.records))

    async def read(self, topic, partition, start, end):
        yield [one for one in self.records if start <= one.offset < end]

    def append(self, records):
        for _, value, _ in records:
            self.records.append(SimpleNamespace(offset=len(self.records), value=value))


@pytest.fixture
def changelog():
    return Changelog()


async def at_once(work):
    return work()


def snapshots(folder, changelog, growth=0):
    return Snapshots(folder, growth, changelog, at_once)


def step(partition, changelog, *versions):
    """Write rows, all in one batch."""
    for version in versions:
        partition.put(f"row|{version}", Row(version=version))
    partition.position.offsets["input"] = max(versions)
    batch = partition.cut("test", 4)
    changelog.append(batch.records)
    partition.acknowledge(batch)


def keep(kept, partition):
    async def run():
        kept.offer(TOPIC, partition)
        if kept._writing is not None:
            await kept._writing

    asyncio.run(run())


def restored(kept):
    return asyncio.run(kept.restore(TOPIC, NUMBER))


@pytest.fixture
def partition(changelog):
    made = Partition(NUMBER)
    step(made, changelog, *range(2 * CHUNK + 1))
    step(made, changelog, 7, 8)
    return made


def test_what_was_kept_comes_back(tmp_path, changelog, partition):
    keep(snapshots(tmp_path, changelog), partition)
    step(partition, changelog, 9)
    found = restored(snapshots(tmp_path, changelog))
    assert (found.number, found.end) == (NUMBER, 2 * CHUNK + 5)
    assert found.position.offsets == {"input": 8}
    assert len(found.encoded) == 2 * CHUNK + 1
    assert found.get("row|8", Row).version == 8
    tail = [
        SimpleNamespace(key=key, value=one.value, offset=one.offset, timestamp=0)
        for one, key in zip(changelog.records[found.end :], (b"row|9", b"position|3"), strict=True)
    ]
    found.load(tail)
    assert found.encoded == partition.encoded
    assert found.end == partition.end
    assert not found.to_repair


def test_all_that_are_due_are_kept_one_after_the_other(tmp_path, changelog, partition):
    kept = snapshots(tmp_path, changelog)
    other = Partition(NUMBER + 1)
    step(other, Changelog(), 1)

    async def run():
        kept.offer(TOPIC, partition)
        kept.offer(TOPIC, other)
        await kept._writing

    asyncio.run(run())
    assert {one.name for one in tmp_path.iterdir()} == {
        f"{TOPIC}-{NUMBER}.snapshot",
        f"{TOPIC}-{NUMBER + 1}.snapshot",
    }


def test_nothing_was_kept(tmp_path, changelog):
    assert restored(snapshots(tmp_path, changelog)) is None


def test_no_more_is_written_than_the_log_grows(tmp_path, changelog, partition):
    kept = snapshots(tmp_path, changelog)
    keep(kept, partition)
    (path,) = tmp_path.iterdir()
    before = path.stat().st_mtime_ns, path.stat().st_size
    step(partition, changelog, 9)
    keep(kept, partition)
    assert (path.stat().st_mtime_ns, path.stat().st_size) == before
    keep(snapshots(tmp_path, changelog, growth=10**9), partition)
    assert path.stat().st_mtime_ns == before[0]


@pytest.mark.parametrize("place", [0, 8, 20, 500, -1])
def test_a_torn_file_is_not_used(tmp_path, changelog, partition, place):
    keep(snapshots(tmp_path, changelog), partition)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    assert restored(snapshots(tmp_path, changelog)) is None


@pytest.mark.parametrize("size", [0, 7, 30, 5_000])
def test_a_file_that_ends_early_is_not_used(tmp_path, changelog, partition, size):
    keep(snapshots(tmp_path, changelog), partition)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:size])
    assert restored(snapshots(tmp_path, changelog)) is None


def test_a_snapshot_of_a_log_that_was_made_anew_is_not_used(tmp_path, partition, changelog):
    keep(snapshots(tmp_path, changelog), partition)
    other = Changelog()
    assert restored(snapshots(tmp_path, other)) is None
    made = Partition(NUMBER)
    step(made, other, *range(2 * CHUNK + 1))
    step(made, other, 1, 2, 3)
    assert restored(snapshots(tmp_path, other)) is None


def test_a_snapshot_of_another_partition_is_not_used(tmp_path, partition, changelog):
    keep(snapshots(tmp_path, changelog), partition)
    (path,) = tmp_path.iterdir()
    path.rename(path.with_name(f"{TOPIC}-4.snapshot"))
    assert asyncio.run(snapshots(tmp_path, changelog).restore(TOPIC, 4)) is None


def test_a_kafka_that_does_not_answer_is_no_reason_to_trust_a_file(tmp_path, partition, changelog):
    keep(snapshots(tmp_path, changelog), partition)

    async def gone(topic, partitions):
        raise KafkaConnectionError

    changelog.ends = gone
    assert restored(snapshots(tmp_path, changelog)) is None


def test_a_disk_that_cannot_be_written_ends_nothing(tmp_path, partition, changelog):
    folder = tmp_path / "file"
    folder.write_text("no folder")
    keep(snapshots(folder, changelog), partition)
    assert restored(snapshots(folder, changelog)) is None


def test_what_a_crash_left_is_cleared_away(tmp_path, partition, changelog):
    (tmp_path / f"{TOPIC}-{NUMBER}.snapshot.123").write_bytes(b"half")
    keep(snapshots(tmp_path, changelog), partition)
    assert [one.name for one in tmp_path.iterdir()] == [f"{TOPIC}-{NUMBER}.snapshot"]


def test_nothing_is_kept_while_a_late_write_stands(tmp_path, partition, changelog):
    partition.to_repair.add("row|1")
    keep(snapshots(tmp_path, changelog), partition)
    assert list(tmp_path.iterdir()) == []


def test_rows_that_are_taken_for_deleted_stay_so(tmp_path, partition, changelog):
    partition._presumed["row|1"] = 5
    partition.encoded["row|1"] = rows.encode(Row(version=5))
    keep(snapshots(tmp_path, changelog), partition)
    assert restored(snapshots(tmp_path, changelog))._presumed == {"row|1": 5}
