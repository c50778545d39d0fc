"""The same promises of every view: in memory, and in a real Redis."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from redis.asyncio import Redis

from api.views.base import Update, View, ViewUnavailableError, answer_of
from api.views.memory import MemoryView
from api.views.redis import RedisView
from local.redis import redis
from models import rows
from models.arrival import Epoch, SourceRow, source_key
from models.orders import OrderRow, order_key
from models.stock import empty

_prefixes = itertools.count(1)


@pytest.fixture(scope="module")
def redis_url() -> Iterator[str]:
    with redis() as url:
        yield url


@pytest.fixture(params=["memory", "redis"])
def with_view(request) -> Callable[[Callable[[View], Awaitable[None]]], None]:
    """Runs a coroutine function with an empty view."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[View]:
        if request.param == "memory":
            view: View = MemoryView()
        else:
            url = request.getfixturevalue("redis_url")
            view = RedisView(url, f"v{next(_prefixes)}.")
        try:
            await view.begin()
            yield view
        finally:
            await view.close()

    def run(case: Callable[[View], Awaitable[None]]) -> None:
        async def within() -> None:
            async with opened() as view:
                await case(view)

        # Fixtures of the outer loop must exist before this one runs.
        if request.param == "redis":
            request.getfixturevalue("redis_url")
        asyncio.run(within())

    return run


def stock(sku: str, location: str, version: int, on_hand: int) -> Update:
    row = empty(sku, location, version, 1_793_606_400_000_000)
    row.opened, row.on_hand = True, on_hand
    return rows.stock_key(sku, location), version, answer_of(rows.encode(row))


def source(name: str, version: int, gaps: int, location: str = "17") -> Update:
    spans = [(n * 10, n * 10 + 1, 0) for n in range(1, gaps + 1)]
    row = SourceRow(
        version=version,
        source=name,
        topic="pos.sales",
        locations=[location],
        epochs=[Epoch(0, 1, 1000, gaps=spans)],
    )
    return source_key("pos.sales", name), version, rows.encode(row)


def test_what_is_put_is_answered_in_the_order_asked(with_view):
    async def case(view: View) -> None:
        await view.apply([stock("S", "17", 5, 3), stock("S|x", "18", 6, 4)])
        found = await view.stocks([("S|x", "18"), ("none", "17"), ("S", "17")])
        assert [one and msgspec.json.decode(one.body())["on_hand"] for one in found] == [4, None, 3]
        assert [one and one.version for one in found] == [6, None, 5]
        assert await view.size() == 2

    with_view(case)


def test_a_lower_or_equal_version_never_replaces_a_higher_one(with_view):
    async def case(view: View) -> None:
        await view.apply([stock("S", "17", 5, 3)])
        await view.apply([stock("S", "17", 4, 99), stock("S", "17", 5, 98)])
        (held,) = await view.stocks([("S", "17")])
        assert held is not None
        assert (held.version, msgspec.json.decode(held.body())["on_hand"]) == (5, 3)
        await view.apply([stock("S", "17", 2**52, 7), stock("S", "17", 2**52 - 1, 6)])
        (held,) = await view.stocks([("S", "17")])
        assert held is not None
        assert msgspec.json.decode(held.body())["on_hand"] == 7

    with_view(case)


def test_a_row_that_is_gone_is_at_no_location_and_counts_no_more(with_view):
    async def case(view: View) -> None:
        await view.apply([stock("S", "17", 5, 3), stock("S", "18", 6, 4)])
        gone = (rows.stock_key("S", "17"), 7, None)
        await view.apply([(gone[0], 4, None)])
        assert (await view.locations("S"), await view.size()) == (["17", "18"], 2)
        await view.apply([gone])
        assert (await view.locations("S"), await view.size()) == (["18"], 1)
        assert await view.stocks([("S", "17")]) == [None]
        await view.apply([stock("S", "17", 8, 1)])
        assert (await view.locations("S"), await view.size()) == (["17", "18"], 2)

    with_view(case)


def test_the_public_answer_holds_nothing_of_the_services_own(with_view):
    async def case(view: View) -> None:
        await view.apply([stock('S,"book":', "17", 5, 3)])
        (held,) = await view.stocks([('S,"book":', "17")])
        assert held is not None
        answer = msgspec.json.decode(held.body())
        assert answer["sku"] == 'S,"book":'
        assert list(answer)[-1] == "gaps"
        assert not {"book", "newest", "opened", "recent"} & set(answer)

    with_view(case)


def test_gaps_of_a_location_are_those_of_its_sources_now(with_view):
    async def case(view: View) -> None:
        await view.apply([stock("S", "17", 1, 3), source("p1", 1, 2), source("p2", 2, 1)])
        (held,) = await view.stocks([("S", "17")])
        assert held is not None
        assert held.gaps == 3
        await view.apply([source("p1", 3, 0), source("p2", 1, 9)])
        (held,) = await view.stocks([("S", "17")])
        assert held is not None
        assert held.gaps == 1

    with_view(case)


def test_a_source_that_moved_on_leaves_no_gaps_behind(with_view):
    async def case(view: View) -> None:
        await view.apply([stock("S", "17", 1, 3), source("p1", 1, 2)])
        await view.apply([source("p1", 2, 2, location="18")])
        (held,) = await view.stocks([("S", "17")])
        assert held is not None
        assert held.gaps == 0

    with_view(case)


def test_locations_sources_and_other_rows_are_found(with_view):
    async def case(view: View) -> None:
        order = OrderRow(version=1, reservation="R", status="held")
        await view.apply(
            [
                stock("S", "9", 1, 1),
                stock("S", "17", 1, 1),
                source("p1", 1, 0),
                (order_key("R"), 1, rows.encode(order)),
            ]
        )
        assert await view.locations("S") == ["17", "9"]
        assert await view.locations("none") == []
        assert len(await view.source("p1")) == 1
        assert await view.source("none") == []
        assert rows.decode(await view.row(order_key("R")) or b"", OrderRow) == order
        assert await view.row(order_key("none")) is None

    with_view(case)


def test_a_row_that_is_gone_is_not_answered_and_does_not_come_back(with_view):
    async def case(view: View) -> None:
        await view.apply([("channel|0|web", 1, b'{"version":1}')])
        await view.apply([("channel|0|web", 2, None)])
        assert await view.row("channel|0|web") is None
        await view.apply([("channel|0|web", 1, b'{"version":1}')])
        assert await view.row("channel|0|web") is None

    with_view(case)


def test_what_the_log_forgets_of_a_row_that_is_gone_the_view_forgets(with_view):
    async def case(view: View) -> None:
        key, other, third = "order|0|a", "order|0|b", "order|0|c"
        await view.apply([(key, 3, None), (other, 3, b'{"version":3}')])
        await view.apply([(third, 5, None)])
        await view.forget([(key, 3), (other, 3), (third, 4), ("order|0|never", 1)])
        assert await view.row(other) == b'{"version":3}'
        # Of what is forgotten any version is new; of the third, the later one still stands.
        await view.apply([(key, 2, b'{"version":2}'), (third, 4, b'{"version":4}')])
        assert await view.row(key) == b'{"version":2}'
        assert await view.row(third) is None

    with_view(case)


def test_the_stamp_is_kept(with_view):
    async def case(view: View) -> None:
        assert await view.matched_at() is None
        assert await view.stamp(1234.5)
        assert await view.matched_at() == 1234.5

    with_view(case)


def test_a_redis_that_lost_its_rows_answers_nothing_until_they_are_put_again(redis_url):
    async def case() -> None:
        view = RedisView(redis_url, f"v{next(_prefixes)}.")
        other = Redis.from_url(redis_url)
        try:
            await view.begin()
            await view.apply([stock("S", "17", 5, 3)])
            await other.flushdb()
            for read in (view.stocks([("S", "17")]), view.locations("S"), view.matched_at()):
                with pytest.raises(ViewUnavailableError):
                    await read
            assert not await view.stamp(1234.5)
            await view.begin()
            await view.apply([stock("S", "17", 5, 3)])
            assert await view.stamp(1234.5)
            assert [one is not None for one in await view.stocks([("S", "17")])] == [True]
        finally:
            await other.aclose()
            await view.close()

    asyncio.run(case())
