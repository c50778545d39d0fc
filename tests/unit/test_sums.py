"""A benchmark's own check of what came out."""

import pytest

from benchmarks.backlog import BenchmarkError
from benchmarks.ingest import check
from benchmarks.workload import Workload


@pytest.fixture
def workload() -> Workload:
    made = Workload(50)
    list(made.records())
    return made


def test_sums_that_are_the_loads_pass(workload):
    check(workload, dict(workload.sums))


@pytest.mark.parametrize("bucket", [0, 1])
def test_a_unit_more_is_found(workload, bucket):
    found = dict(workload.sums)
    key, units = next(iter(found.items()))
    found[key] = (units[0] + (bucket == 0), units[1] + (bucket == 1))
    with pytest.raises(BenchmarkError, match="1 rows differ"):
        check(workload, found)


def test_a_row_too_few_or_too_many_is_found(workload):
    key, *_ = workload.sums
    with pytest.raises(BenchmarkError):
        check(workload, {one: units for one, units in workload.sums.items() if one != key})
    with pytest.raises(BenchmarkError):
        check(workload, {**workload.sums, ("no such", "row"): (1, 0)})
