"""What a poll is to a stage, and what is committed for lag tools."""

import asyncio
from collections import defaultdict
from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from faust.types import TP

from streams.engine.engine import Engine
from streams.engine.transport import Consumer
from streams.settings import Settings

SOURCE = TP("in", 0)


async def _nothing(*_):
    return []


class Committing(Consumer):
    """One whose group is being joined again, or not; it notes what is committed."""

    def __init__(self, engine):
        self.app = SimpleNamespace(
            flow=engine,
            _attachments=SimpleNamespace(publish_for_tp_offset=_nothing),
            producer=None,
        )
        self._committed_offset = defaultdict(lambda: None)
        self.is_settled = True
        self.commits = []

    def settled(self):
        return self.is_settled

    def assignment(self):
        return {SOURCE}

    async def _commit(self, offsets):
        self.commits.append(offsets)
        return True

    def try_to_commit(self):
        pending = self._filter_tps_with_pending_acks()
        return asyncio.run(self._commit_tps(pending, start_new_transaction=False))


@pytest.fixture
def engine():
    engine = Engine(Settings(), lambda: None)
    engine._note_absorbed({SOURCE: 41})
    return engine


def test_what_could_not_be_committed_is_committed_once_the_group_has_settled(engine):
    consumer = Committing(engine)
    consumer.is_settled = False
    assert not consumer.try_to_commit()
    consumer.is_settled = True
    assert consumer.try_to_commit()
    assert consumer.commits == [{SOURCE: 42}]


def test_nothing_is_committed_twice(engine):
    consumer = Committing(engine)
    consumer.try_to_commit()
    assert not consumer.try_to_commit()
    engine._note_absorbed({SOURCE: 43})
    consumer.try_to_commit()
    assert consumer.commits == [{SOURCE: 42}, {SOURCE: 44}]


def test_what_was_absorbed_of_revoked_partitions_is_for_others_to_tell(engine):
    asyncio.run(engine.partitions_revoked())
    consumer = Committing(engine)
    assert not consumer.try_to_commit()
    assert consumer.commits == []


def test_what_one_poll_brings_to_a_stage_is_one_message():
    stage_of = {"sales": "intake", "receipts": "intake", "movements": "inventory"}
    consumer = Consumer.__new__(Consumer)
    consumer.app = SimpleNamespace(flow=SimpleNamespace(stage_of=stage_of))
    places = [("sales", 0), ("changelog", 1), ("receipts", 1), ("movements", 0), ("sales", 1)]
    polled = {
        TopicPartition(*place): [SimpleNamespace(offset=number)]
        for number, place in enumerate(places)
    }
    messages = {message.tp: message for message in consumer._messages(polled, 7)}
    assert set(messages) == {("sales", 0), ("changelog", 1), ("movements", 0)}
    intake = messages["sales", 0]
    assert list(intake.value) == [("sales", 0), ("receipts", 1), ("sales", 1)]
    assert intake.value["receipts", 1] == polled["receipts", 1]
    assert (intake.offset, intake.generation_id) == (0, 7)
    assert messages["changelog", 1].value == polled["changelog", 1]
