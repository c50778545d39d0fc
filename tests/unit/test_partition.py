"""What a partition makes of its changelog: batches in order, late ones, compacted ones."""

from types import SimpleNamespace

import pytest

from models import rows
from models.rows import Deleted, Row
from streams.engine.deletes import MAX_FORGOTTEN, Deletes
from streams.engine.partition import Partition
from streams.engine.position import Position

INPUT = "input"


class Log:
    """A changelog, written batch by batch; `forget` is what compaction does."""

    def __init__(self):
        self.records = []
        self.end = 0

    def batch(self, version, absorbed, **written):
        """Rows of a step that absorbed up to `absorbed`, and its position."""
        base = self.end
        for key, row in written.items():
            self._append(key, rows.encode(row))
        position = Position(
            version=version, partition=0, offsets={INPUT: absorbed}, base=base, rows=len(written)
        )
        self._append(position.key, rows.encode(position))
        return base

    def append(self, batch, at=0):
        """A batch as a partition has cut it."""
        for key, value, headers in batch.records:
            self._append(key, value, headers, at)

    def _append(self, key, value, headers=(), at=0):
        record = SimpleNamespace(
            key=key.encode(), value=value, offset=self.end, timestamp=at, headers=headers
        )
        self.records.append(record)
        self.end += 1

    def forget(self, *offsets):
        self.records = [one for one in self.records if one.offset not in offsets]

    def loaded(self):
        partition = Partition(0)
        partition.load(self.records)
        partition.recovered()
        return partition


def late_write(log):
    """The late batch of a step that the owner had absorbed long since."""
    position = Position(version=1, partition=0, offsets={INPUT: 1}, base=0, rows=1)
    log._append("a", rows.encode(Row(version=1)))
    log._append(position.key, rows.encode(position))


@pytest.fixture
def log():
    log = Log()
    log.batch(1, 1, a=Row(version=1))
    log.batch(2, 2, b=Row(version=2))
    return log


def test_a_late_row_that_was_there_stays_and_is_written_again(log):
    late_write(log)
    partition = log.loaded()
    assert partition.encoded["a"] == rows.encode(Row(version=1))
    assert partition.to_repair == {"a", "position|0"}


def test_a_late_row_that_was_deleted_is_deleted_again(log):
    log.batch(3, 3, a=Deleted(version=3))
    late_write(log)
    assert rows.head(log.loaded().encoded["a"]) == (3, True)


def test_a_late_row_whose_delete_was_compacted_is_deleted_again(log):
    gone = log.batch(3, 3, a=Deleted(version=3))
    late_write(log)
    log.forget(0, gone)
    partition = log.loaded()
    assert rows.head(partition.encoded["a"]) == (2, True)
    assert "a" in partition.to_repair


def test_a_late_row_that_its_owner_wrote_again_was_not_deleted(log):
    late_write(log)
    log.batch(3, 2, a=Row(version=1))
    log.forget(0)
    partition = log.loaded()
    assert partition.encoded["a"] == rows.encode(Row(version=1))
    assert partition.to_repair == set()


def test_a_second_late_batch_does_not_bring_a_deleted_row_back(log):
    gone = log.batch(3, 3, a=Deleted(version=3))
    late_write(log)
    late_write(log)
    log.forget(0, gone)
    partition = log.loaded()
    assert rows.head(partition.encoded["a"])[1]
    assert "a" in partition.to_repair


# -- tombstones


class Owner:
    """A partition that writes its own log."""

    def __init__(self, log):
        self.log = log
        self.partition = log.loaded()

    def step(self, at=0, horizon=0, gone=(), **put):
        for key, row in put.items():
            self.partition.put(key, row)
        for key, version in gone:
            self.partition.delete(key, version)
        batch = self.partition.cut("owner", 1, at, horizon)
        self.log.append(batch, at)
        self.partition.acknowledge(batch)
        return [key for key, _ in batch.forgotten]


@pytest.fixture
def owner():
    made = Owner(Log())
    made.step(a=Row(version=1), b=Row(version=1))
    return made


def test_a_deleted_row_becomes_a_tombstone_once_no_late_write_can_bring_it_back(owner):
    owner.step(at=1_000, gone=[("a", 2)])
    assert owner.step(at=2_000, horizon=1_000) == []
    assert owner.step(at=3_000, horizon=1_001) == ["a"]
    assert owner.step(at=4_000, horizon=4_000) == []
    assert owner.log.records[-3].value is None
    assert rows.tombstone_version(owner.log.records[-3].headers) == 2
    assert "a" not in owner.log.loaded().encoded


def test_a_row_that_is_there_again_gets_no_tombstone(owner):
    owner.step(at=1_000, gone=[("a", 2), ("b", 2)])
    owner.step(at=2_000, a=Row(version=3))
    assert owner.step(at=3_000, horizon=2_500, b=Row(version=4)) == []
    assert set(owner.log.loaded().encoded) == {"a", "b"}


def test_what_waits_for_its_tombstone_is_known_after_a_recovery(owner):
    owner.step(at=90_000, gone=[("a", 2)])
    back = Owner(owner.log)
    assert back.step(at=100_000, horizon=100_000) == []
    assert back.step(at=130_000, horizon=130_000) == ["a"]
    assert Owner(owner.log).step(at=200_000, horizon=200_000) == []


def test_what_waits_for_its_tombstone_stands_in_a_snapshot(owner):
    owner.step(at=1_000, gone=[("a", 2)])
    again = Partition.of_image(owner.partition.image())
    assert again.cut("owner", 1, 2_000, 2_000).forgotten == [("a", 2)]


def test_a_tombstone_whose_step_is_undone_comes_with_the_next(owner):
    owner.step(at=1_000, gone=[("a", 2)])
    lost = owner.partition.cut("owner", 1, 2_000, 2_000)
    assert owner.partition.image().deletes
    owner.partition.undo()
    assert owner.step(at=3_000, horizon=3_000) == [key for key, _ in lost.forgotten] == ["a"]


def test_a_late_tombstone_does_not_take_a_newer_row(owner):
    owner.step(at=1_000, gone=[("a", 2)])
    late = Partition.of_image(owner.partition.image())
    batch = late.cut("late", 1, 2_000, 2_000)
    owner.step(at=3_000, a=Row(version=9))
    owner.log.append(batch)
    partition = owner.log.loaded()
    assert rows.head(partition.encoded["a"]) == (9, False)
    assert "a" in partition.to_repair


@pytest.mark.parametrize("from_a_snapshot", [False, True])
def test_a_late_batch_that_brings_news_brings_no_deleted_row_back(owner, from_a_snapshot):
    owner.partition.position.offsets[INPUT] = 5
    owner.step(at=1_000, gone=[("a", 3)])
    log, partition = owner.log, owner.partition
    known = len(log.records)
    late = Position(version=1, partition=0, offsets={"other": 1}, base=0, rows=2)
    log._append("a", rows.encode(Row(version=2)))
    log._append("c", rows.encode(Row(version=2)))
    log._append(late.key, rows.encode(late))
    if from_a_snapshot:
        partition = Partition.of_image(partition.image())
    partition.load(log.records[known:])
    assert rows.head(partition.encoded["a"]) == (3, True)
    assert rows.head(partition.encoded["c"]) == (2, False)
    assert partition.position.offsets["other"] == 1
    assert {"a", "c"} <= partition.to_repair


def test_deletes_are_let_go_of_in_their_order_and_not_all_at_once():
    deletes = Deletes()
    deletes.add(1, [(f"row-{number}", number) for number in range(MAX_FORGOTTEN + 1)])
    deletes.add(5, [("last", 1)])
    assert deletes.due(1) == []
    assert len(deletes.due(2)) == MAX_FORGOTTEN
    deletes.done()
    assert deletes.due(2) == [(f"row-{MAX_FORGOTTEN}", MAX_FORGOTTEN)]
    deletes.done()
    assert deletes.due(5) == []
    assert Deletes(deletes.kept()).due(6) == [("last", 1)]


def test_a_row_may_go_twice_in_one_step():
    partition = Partition(0)
    partition.put("row", Row(version=1))
    partition.delete("row", 2)
    partition.put("row", Row(version=3))
    partition.delete("row", 4)
    batch = partition.cut("test", 1)
    partition.acknowledge(batch)
    assert batch.deleted == [("row", 4)]
    assert partition.encoded == {}


def test_names_are_those_of_rows_that_are_there_whether_or_not_the_step_is_over():
    partition = Partition(0)
    for name in ("a|saved", "a|deleted", "a|again", "b|other"):
        partition.put(name, Row(version=1))
    partition.acknowledge(partition.cut("w", 1))
    for name in ("a|deleted", "a|again"):
        partition.delete(name, 2)
    for name in ("a|again", "a|new"):
        partition.put(name, Row(version=3))
    names = sorted(partition.names("a|"))
    assert names == ["a|again", "a|new", "a|saved"]
    partition.acknowledge(partition.cut("w", 1))
    assert sorted(partition.names("a|")) == names
