"""What readers of the archive see, and when."""

import asyncio

import msgspec
import pytest

from api.archive.following import COMMIT_SECONDS, Filling
from api.archive.store import Archive, Writer, create
from models import topics
from models.ledger import LedgerEntry
from models.rows import stock_key
from tests import builders as b
from tests.pipeline import Pipeline

STOCK = stock_key("S", "17")
DEADLINE_SECONDS = 30
AT_ONCE = 0.0

decoded = msgspec.json.Decoder(LedgerEntry).decode


class Clock:
    """Seconds that go by when told to."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


class Filled:
    """A file, who fills it, and his clock."""

    def __init__(self, folder):
        self.path = folder / "archive.sqlite"
        create(self.path)
        self.clock = Clock()
        self.writer = Writer(self.path, 1_000)
        self.filling = Filling(self.writer, self.clock)

    def read(self, work, show=lambda: 0):
        """What `work` finds, given an archive whose wishes go to `show`."""

        async def case():
            archive = Archive(self.path, show)
            await archive.start()
            try:
                return await work(archive)
            finally:
                await archive.stop()

        return asyncio.run(case())

    def explained(self, version, seconds=AT_ONCE, show=lambda: 0):
        """Versions of the entries that explain the row at a version."""
        wanted = [(STOCK, version)]
        (found,) = self.read(lambda archive: archive.entries_of_many(wanted, seconds), show)
        return None if found is None else [decoded(entry).version for entry in found]


@pytest.fixture
def filled(tmp_path):
    made = Filled(tmp_path)
    yield made
    made.writer.close()


@pytest.fixture(scope="module")
def pipeline():
    told = Pipeline()
    for event in (
        b.sale("p", 1, "2026-10-31T07:00:00Z", 1),
        b.count("hh", 1, "09:00", 10),
        b.sale("p", 2, "10:00", 2),
    ):
        told.send(event)
    return told


def versions(pipeline):
    return [entry.version for entry in pipeline.ledger()]


def test_entries_are_seen_a_second_after_the_last_that_were(filled, pipeline):
    last = versions(pipeline)[-1]
    filled.filling.take_entries(pipeline.log(topics.INVENTORY_LEDGER))
    filled.clock.now += COMMIT_SECONDS - 0.1
    filled.filling.commit_when_due()
    assert filled.explained(last) is None
    filled.clock.now += 0.1
    filled.filling.commit_when_due()
    assert filled.explained(last) == versions(pipeline)[1:]


def test_who_waits_for_a_version_has_it_shown(filled, pipeline):
    records = pipeline.log(topics.INVENTORY_LEDGER)
    asked = []

    def show():
        asked.append(len(asked))
        if len(asked) == 3:
            filled.filling.take_entries(records)
        filled.filling.show(len(asked))
        return len(asked)

    known = versions(pipeline)
    assert filled.explained(known[-1], DEADLINE_SECONDS, show) == known[1:]
    assert len(asked) == 3
    assert filled.explained(known[0], DEADLINE_SECONDS, show) == known[:1]
    assert filled.explained(known[-1] + 1) is None


def test_an_explanation_of_a_moment_begins_with_the_last_count_before(filled, pipeline):
    filled.filling.take_entries(pipeline.log(topics.INVENTORY_LEDGER))
    filled.filling.show(1)
    entries = pipeline.ledger()

    def at(moment):
        found = filled.read(lambda archive: archive.entries(STOCK, moment))
        return [decoded(entry).version for entry in found]

    assert at(entries[0].received) == versions(pipeline)[:1]
    assert at(entries[1].received) == versions(pipeline)[1:2]
    assert at(entries[-1].received) == versions(pipeline)[1:]


def source(version, *gaps):
    """The row of a source at location 17."""
    row = {"version": version, "epochs": [{"gaps": gaps}], "locations": ["17"]}
    return b"source|1|p", msgspec.json.encode(row)


def test_an_older_row_of_a_source_does_not_change_where_its_gaps_bear(filled):
    def told(row):
        filled.filling.take_rows([row])
        filled.filling.show()
        found = filled.read(lambda archive: archive.documents("gap", "17"))
        return [value for _, value in found]

    _, with_gap = source(5, [2, 3, 0])
    assert told(source(5, [2, 3, 0])) == [with_gap]
    assert told(source(3)) == [with_gap]
    assert told(source(6)) == []
    assert told(source(5, [2, 3, 0])) == []


def test_what_happened_within_a_day_before_a_count_is_told_with_it(filled):
    told = Pipeline()
    for event in (b.sale("p", 1, "07:00", 1), b.count("hh", 1, "09:00", 10)):
        told.send(event)
    filled.filling.take_entries(told.log(topics.INVENTORY_LEDGER))
    filled.filling.show()
    assert filled.explained(versions(told)[-1]) == versions(told)
