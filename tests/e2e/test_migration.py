"""A service moves to other partition counts, and damaged state is made anew: nothing is lost."""

import json

import pytest

from local.processes import LocalError, wait_until
from models import topics
from streams import migration
from streams.errors import MigrationError
from streams.settings import Settings
from tests import builders as b
from tests.e2e.test_crash import rows_that_differ
from tests.harness import Harness
from tests.load import Load


def fill(harness: Harness, load: Load) -> None:
    """A bit of everything that leaves rows behind."""
    harness.put_reference("items", "S", {"aliases": [{"code": "X"}]})
    harness.put("/v1/channels/web", {"share": 50, "rank": 1, "buffer": 0, "locations": None})
    harness.send(*(load.event() for _ in range(300)))
    harness.send(b.count("hh", 1, "00:00", 5), b.sale("p", 1, "09:00", sku="X"))
    harness.send(b.sale("p", 3, "09:02"))
    harness.append("pos.sales", ("p", b"not json"))
    line = {"line": 1, "sku": "S", "quantity": 1, "location": "17"}
    harness.settle()
    assert harness.post("/v1/reservations", {"reservation": "r1", "lines": [line]}).is_success
    harness.settle()


def migrate(harness: Harness, prefix: str, partitions: int) -> dict[str, object]:
    told = harness.service.command(
        "streams", "migrate", "--prefix", prefix, "--partitions", str(partitions)
    )
    found: dict[str, object] = json.loads(told.splitlines()[-1])
    return found


@pytest.mark.parametrize("partitions", [7, 2])
def test_what_was_absorbed_is_all_there_and_goes_on(harness, logs, partitions):
    load = Load(seed=40)
    harness.service.start_api()
    worker = harness.service.start_worker()
    fill(harness, load)
    prefix = f"{harness.prefix}to{partitions}."
    with pytest.raises(LocalError, match="stop all workers"):
        migrate(harness, prefix, partitions)
    worker.stop()
    moved = migrate(harness, prefix, partitions)
    entries = harness.get("/v1/availability/S/17/explain").json()["entries"]
    rule = harness.get("/v1/channels/web").json()
    with pytest.raises(LocalError, match="is not empty"):
        migrate(harness, prefix, partitions)
    assert moved["dead_letters"] == 1
    environ = {"ONHAND_PARTITIONS": str(partitions)}
    with Harness(harness.bootstrap, logs, prefix, **environ) as there:
        there.service.start_api()
        there.service.start_worker()
        assert rows_that_differ(there, load) == []
        row = there.stock("S")
        assert (row["on_hand"], row["reserved"], row["gaps"]) == (3, 1, 1)
        assert there.get("/v1/availability/S/17/explain").json()["entries"] == entries
        # What was seen before is still known, and what comes is newer than what was.
        there.send(b.sale("p", 1, "09:00", sku="X"), b.sale("p", 2, "09:01", sku="X"))
        there.send(*(load.event() for _ in range(200)))
        there.settle()
        after = there.stock("S")
        assert (after["on_hand"], after["gaps"]) == (2, 0)
        assert after["version"] > row["version"]
        assert rows_that_differ(there, load) == []
        assert there.get("/v1/channels/web").json() == rule


def test_what_did_not_arrive_whole_no_worker_takes(harness, logs, monkeypatch):
    load = Load(seed=44)
    worker = harness.service.start_worker()
    harness.send(*(load.event() for _ in range(50)))
    harness.settle()
    worker.stop()
    place = migration._place

    def lose_one(target, partitions):
        placed = place(target, partitions)
        max(placed, key=len)[-1:] = []
        return placed

    monkeypatch.setattr(migration, "_place", lose_one)
    settings = Settings(kafka=harness.bootstrap, prefix=harness.prefix)
    prefix = f"{harness.prefix}to."
    with pytest.raises(MigrationError, match="what arrived differs"):
        harness.call(migration.migrate(settings, prefix, 3))
    with Harness(harness.bootstrap, logs, prefix, ONHAND_PARTITIONS="3") as there:
        worker = there.service.start_worker()
        wait_until(lambda: not worker.running, 60, "the worker refuses")
    assert worker.code == 70
    assert "was not moved whole: migrate anew" in worker.tail(100)


def test_nothing_is_moved_before_all_is_absorbed(harness):
    load = Load(seed=41)
    worker = harness.service.start_worker()
    harness.send(*(load.event() for _ in range(50)))
    harness.settle()
    worker.stop()
    harness.send(*(load.event() for _ in range(50)))
    with pytest.raises(LocalError, match="is not all absorbed"):
        migrate(harness, f"{harness.prefix}to.", 3)


def test_a_late_write_that_nobody_repaired_is_refused_and_made_anew(harness):
    load = Load(seed=42)
    harness.service.start_api()
    worker = harness.service.start_worker()
    harness.send(*(load.event() for _ in range(200)))
    harness.settle()
    harness.send(*(load.event() for _ in range(200)))
    harness.settle()
    worker.stop()
    state = harness.records(topics.INVENTORY_STATE)
    here = [one for one in state if one.partition == 0]
    first = next(place for place, one in enumerate(here) if one.key.startswith(b"position|"))
    late = [(one.key, one.value) for one in here[: first + 1]]
    harness.append_to(topics.INVENTORY_STATE, 0, late)
    soon = {"ONHAND_COMPACTION_LAG_HOURS": "0.00001"}
    worker = harness.service.start_worker(**soon)
    wait_until(lambda: not worker.running, 60, "the worker refuses")
    assert worker.code == 70
    assert "python -m streams rebuild" in worker.tail(100)
    # What comes in meanwhile was never absorbed: it must not be taken for done.
    harness.send(*(load.event() for _ in range(200)))
    rebuilt = json.loads(harness.service.command("streams", "rebuild").splitlines()[-1])
    assert rebuilt["inventory"]["rows"] > 100
    assert rebuilt["intake"]["mended"] == 0
    worker = harness.service.start_worker(**soon)
    harness.settle()
    assert rows_that_differ(harness, load) == []
    assert harness.service.digest() == harness.service.digest(replay=True)


def test_nothing_is_made_anew_from_logs_that_begin_in_the_middle(harness):
    load = Load(seed=43)
    worker = harness.service.start_worker()
    harness.send(*(load.event() for _ in range(50)))
    harness.settle()
    with pytest.raises(LocalError, match="stop all workers"):
        harness.service.command("streams", "rebuild")
    worker.stop()
    harness.truncate(topics.POS_SALES)
    with pytest.raises(LocalError, match=r"pos.sales/\d no longer holds all"):
        harness.service.command("streams", "rebuild")
