"""What an engine refuses to go on from, once a changelog is read."""

import asyncio
from types import SimpleNamespace

import pytest

from models import rows
from models.rows import Row
from streams.engine.engine import Engine
from streams.engine.partition import Partition
from streams.engine.position import Position
from streams.errors import DamagedStateError
from streams.settings import Settings

NOW = 1_800_000_000
HOUR = 3_600
LAG_HOURS = 2.0
INPUT = "input"


class Steps:
    """A stage's, which owns what it is given."""

    stage = SimpleNamespace(state="inventory.state")

    def __init__(self):
        self.owned = []

    async def own(self, partitions):
        self.owned += partitions


def recovered(*batches):
    """A partition of batches: its version, when it landed, and the place that it was made for."""
    partition = Partition(0)
    for version, at, base in batches:
        told = {"version": version, "partition": 0, "offsets": {INPUT: version}, "partitions": 4}
        position = Position(**told, base=base, rows=1)
        partition.load(
            SimpleNamespace(
                key=key.encode(),
                value=rows.encode(row),
                offset=partition.end,
                timestamp=at * 1000,
                headers=[],
            )
            for key, row in (("a", Row(version=version)), (position.key, position))
        )
    partition.recovered()
    return partition


def owned(partition):
    engine = Engine(
        Settings(partitions=4, compaction_lag_hours=LAG_HOURS), lambda: None, now=lambda: NOW
    )
    steps = Steps()
    asyncio.run(engine.partitions_recovered(steps, [partition]))
    return steps.owned


NEWER = (2, NOW - 9 * HOUR, 0)


def late(hours):
    """A batch of before the newer one, made for its place, that landed behind it."""
    return 1, round(NOW - hours * HOUR), 0


def test_a_late_write_is_repaired_while_compaction_spares_what_it_covers():
    partition = recovered(NEWER, late(LAG_HOURS - 0.1))
    assert partition.to_repair
    assert owned(partition) == [partition]


def test_a_late_write_that_nobody_repaired_for_longer_is_refused():
    partition = recovered(NEWER, late(LAG_HOURS + 0.1))
    with pytest.raises(DamagedStateError, match=r"inventory.state/0 .* 2\.1 h"):
        owned(partition)


def test_the_first_late_write_counts():
    partition = recovered(NEWER, late(LAG_HOURS + 0.1), late(0.1))
    with pytest.raises(DamagedStateError):
        owned(partition)


def test_a_late_write_that_was_repaired_is_as_good_as_none():
    partition = recovered(NEWER, late(LAG_HOURS + 5), (3, NOW - HOUR, 4))
    assert not partition.to_repair
    assert owned(partition) == [partition]
