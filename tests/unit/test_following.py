"""What of the logs reaches the view."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import ConsumerRecord, TopicPartition

from api.views.following import Following
from api.views.memory import MemoryView
from api.views.redis import RedisView
from models import rows, topics


def record(key: str, offset: int, value: bytes | None, **headers: bytes) -> ConsumerRecord:
    told = list(headers.items())
    return ConsumerRecord("state", 0, offset, 0, 0, key.encode(), value, None, 0, 0, told)


async def nobody(rows):
    """Nobody searches."""


def follower(view, told, searched=(), on_searched=nobody):
    return Following(
        view,
        "",
        lambda name: name,
        on_row=told.append,
        on_position=told.append,
        others={},
        searched=searched,
        on_searched=on_searched,
    )


@pytest.mark.parametrize("kind", [MemoryView, RedisView])
def test_a_ready_view_is_given_what_it_takes_at_once_and_one_that_is_filled_all(kind):
    async def case():
        following = follower(SimpleNamespace(portion=kind.portion), [])
        records = list(range(2 * kind.portion + 1))
        assert list(following._parts(records)) == [records]
        following.ready.set()
        parts = list(following._parts(records))
        assert [len(part) for part in parts] == [kind.portion, kind.portion, 1]
        assert [record for part in parts for record in part] == records

    asyncio.run(case())


def test_a_tombstone_ends_what_the_view_remembers_of_a_row_that_is_gone():
    view, told = MemoryView(), []

    async def case():
        following = follower(view, told)
        tp = TopicPartition(topics.ORDERS_STATE, 0)
        deleted = rows.encode(rows.Deleted(version=5))
        await following._take(tp, [record("order|0|a", 0, b'{"version":3}')])
        await following._take(tp, [record("order|0|a", 1, deleted)])
        assert await view.row("order|0|a") is None
        assert view._other == {"order|0|a": (5, None)}
        await following._take(tp, [record("order|0|a", 2, None, version=b"5")])
        assert view._other == {}
        late = [
            record("order|0|a", 3, None, version=b"5"),
            record("order|0|a", 4, b'{"version":9}'),
        ]
        await following._take(tp, late)
        assert await view.row("order|0|a") == b'{"version":9}'

    asyncio.run(case())
    assert told == ["order|0|a"] * 3


def test_rows_that_are_searched_are_told_of_before_the_view_answers_with_them():
    view, told = MemoryView(), []

    async def take(rows):
        told.append((rows, await view.row("source|1|p")))

    async def case():
        following = follower(view, [], {"source", "return"}, take)
        source = record("source|1|p", 0, b'{"version":3,"epochs":[],"locations":[]}')
        gone = rows.encode(rows.Deleted(version=5))
        records = [source, record("return|r", 1, gone), record("order|0|a", 2, gone)]
        await following._take(TopicPartition(topics.INVENTORY_SOURCES, 0), records)
        assert told == [([(source.key, source.value), (b"return|r", gone)], None)]
        assert await view.row("source|1|p") == source.value
        tombstone = record("source|1|p", 3, None, version=b"5")
        await following._take(TopicPartition(topics.INVENTORY_SOURCES, 0), [tombstone])
        await following._take(TopicPartition(topics.ORDERS_STATE, 0), [source])
        assert len(told) == 1

    asyncio.run(case())
