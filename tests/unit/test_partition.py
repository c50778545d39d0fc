"""What a partition makes of its changelog: batches in order, late ones, compacted ones."""

from types import SimpleNamespace

import pytest

from models import rows
from models.rows import Deleted, Row
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

    def _append(self, key, value):
        record = SimpleNamespace(key=key.encode(), value=value, offset=self.end, timestamp=0)
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
