"""What of the logs reaches the view."""

import asyncio
from types import SimpleNamespace

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from api.views import following as module
from api.views.following import Following
from api.views.memory import MemoryView
from api.views.redis import RedisView
from local import native
from models import rows, topics
from models.stock import empty


def record(key: str, offset: int, value: bytes | None, **headers: bytes) -> ConsumerRecord:
    told = list(headers.items())
    return ConsumerRecord("state", 0, offset, 0, 0, key.encode(), value, None, 0, 0, told)


def nobody(rows):
    """Nobody searches."""


def follower(view, told, searched=(), on_searched=nobody, on_allocations=lambda *_: None):
    return Following(
        view,
        "",
        lambda name: name,
        on_row=told.append,
        on_position=told.append,
        others={},
        searched=searched,
        on_searched=on_searched,
        on_allocations=on_allocations,
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


def test_allocations_of_the_state_are_handed_over_as_they_stand():
    taken = []
    following = follower(
        MemoryView(), [], on_allocations=lambda *told: taken.append((told[0], list(told[1])))
    )
    told = [
        record("allocation|web|S", 3, b'{"version":5,"channel":"web","sku":"S","quantity":1}'),
        record("channel|0|web", 4, b'{"version":6}'),
        record("allocation|web|T", 5, b'{"version":7,"deleted":true}'),
        record("allocation|web|U", 6, None, version=b"8"),
    ]
    asyncio.run(following._take(TopicPartition(topics.INVENTORY_STATE, 1), told))
    assert taken == [(1, [told[0], told[2], told[3]])]


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

    def take(rows):
        told.append((rows, view._other.get("source|1|p")))

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


parts = st.sampled_from(["a", "b|c", "%", "\u00e9", 'q"'])


def versions(kind):
    """A version has one value: those of a kind are no other's."""
    return st.integers(0, 5).map(lambda version: 4 * version + kind)


values = st.one_of(
    st.none(),
    versions(0).map(lambda version: rows.encode(empty("s", "L", version, 5))),
    versions(1).map(lambda version: rows.encode(rows.Deleted(version=version))),
    versions(2).map(lambda version: b'{"version":%d,"book":1}' % version),
    versions(3).map(lambda version: b'{ "sku":"s","version":%d ,"book":1}' % version),
)
keys = st.one_of(
    st.builds(rows.stock_key, parts, st.just("L")),
    st.sampled_from(["history|a|L|1", "stocks|a", "hold|0|a|L"]),
)


@pytest.mark.skipif(bool(native.lacking()), reason=native.lacking())
@given(st.lists(st.lists(st.tuples(keys, values), min_size=1), max_size=4))
def test_what_is_compiled_shows_what_the_general_way_shows(runs):
    def shown(newest_stock):
        view, searched = MemoryView(), []

        def on_searched(found):
            searched.extend(found)

        async def case():
            following = follower(view, [], {"hold"}, on_searched)
            tp, offset = TopicPartition(topics.INVENTORY_STATE, 0), 0
            for run in runs:
                records = [record(*one) for one in zip(*with_offsets(run, offset), strict=True)]
                offset += len(run)
                await following._take(tp, records)

        general, module.newest_stock = module.newest_stock, newest_stock
        try:
            asyncio.run(case())
        finally:
            module.newest_stock = general
        # Of a row that comes and goes at once the general way does not know that it was there.
        listed = {key: "L" in view._locations[rows.parts(key)[1]] for key in view._stock}
        return view._stock, listed, view._other, searched

    assert module.newest_stock is not None, "run `make setup`"
    assert shown(module.newest_stock) == shown(None)


def with_offsets(run, first):
    """Keys, offsets and values, as `record` takes them."""
    names, contents = zip(*run, strict=True)
    return names, range(first, first + len(run)), contents
