"""The view in Redis, shared by many processes; each write is guarded by version there.

Every process leaves a mark there before it fills it. While the mark is missing, Redis has
lost what was put: nothing is answered until the process has filled it again.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final
from uuid import uuid4

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff, NoBackoff
from redis.exceptions import RedisError

from api.views.base import (
    Stock,
    Update,
    ViewUnavailableError,
    kind_of,
    sku_and_location,
)
from api.views.gaps import gaps_of
from models.rows import key as key_of
from models.rows import parts, stock_key

_READ_SECONDS: Final = 0.5
_PAUSE_SECONDS: Final = 0.5
"""Between attempts to write, at most."""

_MARK_SECONDS: Final = 24 * 3600
"""The marks of processes that are gone expire."""

_PUT_NEWER: Final = """
local at = 2
for _, key in ipairs(KEYS) do
  local version, value, name, gaps, sets, places = unpack(ARGV, at, at + 5)
  at = at + 6
  local held = redis.call('HGET', key, 'v')
  local newer = not held or tonumber(held) < tonumber(version)
  for _ = 1, tonumber(sets) do
    if newer then
      redis.call(value == '' and 'SREM' or 'SADD', ARGV[at], ARGV[at + 1])
    end
    at = at + 2
  end
  local named = {unpack(ARGV, at, at + tonumber(places) - 1)}
  at = at + tonumber(places)
  if newer then
    for _, place in ipairs(cjson.decode(redis.call('HGET', key, 'p') or '[]')) do
      redis.call('HDEL', ARGV[1] .. place, name)
    end
    for _, place in ipairs(named) do
      redis.call('HSET', ARGV[1] .. place, name, gaps)
    end
    redis.call('HSET', key, 'v', version, 'd', value)
    if #named > 0 then
      redis.call('HSET', key, 'p', cjson.encode(named))
    end
  end
end
"""
"""ARGV: prefix of the gap counts; then per key version, value, name, gaps, how many sets and
locations, the sets that have it, each with the member, and the locations.
"""
_GONE: Final = b""

_FORGET: Final = """
for at, key in ipairs(KEYS) do
  local held = redis.call('HMGET', key, 'v', 'd')
  if held[1] and held[2] == '' and tonumber(held[1]) <= tonumber(ARGV[at]) then
    redis.call('DEL', key)
  end
end
"""
"""ARGV: a version per key."""


class RedisView:
    """Rows in hashes {v: version, d: value, p: a source's locations}; gone ones are empty."""

    portion: ClassVar[int] = 500
    """Rows per call of a script: as each is a round trip, and none may hold Redis up for long."""

    def __init__(self, url: str, prefix: str) -> None:
        # A read must not wait for a Redis that is gone; filling goes on when it is back.
        soon = Retry(NoBackoff(), 1)
        self._reads: Redis = Redis.from_url(
            url, retry=soon, socket_timeout=_READ_SECONDS, socket_connect_timeout=_READ_SECONDS
        )
        patient = Retry(ExponentialBackoff(cap=_PAUSE_SECONDS, base=0.05), -1)
        self._writes: Redis = Redis.from_url(url, retry=patient)
        self._prefix = f"onhand:{prefix}"
        self._mark = self._name("mark", uuid4().hex)

    def _name(self, kind: str, name: str) -> str:
        return f"{self._prefix}{kind}:{name}"

    async def apply(self, updates: Sequence[Update]) -> None:
        """Take rows; older ones than those held are ignored."""
        for start in range(0, len(updates), self.portion):
            await self._apply(updates[start : start + self.portion])

    async def forget(self, gone: Sequence[tuple[str, int]]) -> None:
        """Let go of rows that are gone, by key and version."""
        for start in range(0, len(gone), self.portion):
            part = gone[start : start + self.portion]
            keys = [self._name("row", key) for key, _ in part]
            await self._writes.eval(_FORGET, len(keys), *keys, *(version for _, version in part))

    async def _apply(self, updates: Sequence[Update]) -> None:
        keys: list[str] = []
        values: list[int | str | bytes] = [self._name("gaps", "")]
        async with self._writes.pipeline(transaction=False) as pipe:
            for key, version, value in updates:
                keys.append(self._name("row", key))
                locations, gaps = _gaps(key, value)
                values += [version, _GONE if value is None else value, key, gaps]
                sets = self._sets(key)
                values += [len(sets) // 2, len(locations), *sets, *locations]
            # By its text: a Redis that was started anew meanwhile does not know its hash.
            pipe.eval(_PUT_NEWER, len(keys), *keys, *values)
            await pipe.execute()

    def _sets(self, key: str) -> list[str]:
        """The sets that have a row while it is there, each followed by the member."""
        kind = kind_of(key)
        if kind == "stock":
            sku, location = sku_and_location(key)
            return [self._name("locations", sku), location, self._name("index", "stock"), key]
        if kind == "source":
            _, topic, source = parts(key)
            return [self._name("topics", source), topic]
        return []

    async def _ask(self, ask: Callable[[Any], None]) -> list[Any]:
        """What Redis answers to the commands that `ask` queues. Raises ViewUnavailableError."""
        try:
            async with self._reads.pipeline(transaction=False) as pipe:
                pipe.exists(self._mark)
                ask(pipe)
                marked, *answers = await pipe.execute()
        except RedisError as error:
            raise ViewUnavailableError("Redis does not answer") from error
        if not marked:
            raise ViewUnavailableError("Redis has lost its rows; they are being put again")
        return answers

    async def stocks(self, wanted: Sequence[tuple[str, str]]) -> list[Stock | None]:
        """The stock of each (SKU, location), in the order asked."""
        places = sorted({location for _, location in wanted})

        def ask(pipe: Any) -> None:
            for location in places:
                pipe.hvals(self._name("gaps", location))
            for sku, location in wanted:
                pipe.hmget(self._name("row", stock_key(sku, location)), "v", "d")

        answers = await self._ask(ask)
        gaps = {
            location: sum(int(count) for count in counts)
            for location, counts in zip(places, answers, strict=False)
        }
        found: list[Stock | None] = []
        for (_, location), (version, value) in zip(wanted, answers[len(places) :], strict=True):
            known = version is not None and value != _GONE
            found.append(Stock(value, int(version), gaps[location]) if known else None)
        return found

    async def locations(self, sku: str) -> list[str]:
        """The locations of which there is a row of the SKU, in order."""
        (found,) = await self._ask(lambda pipe: pipe.smembers(self._name("locations", sku)))
        return sorted(location.decode() for location in found)

    async def source(self, source: str) -> list[bytes]:
        """The rows of a source, one per topic, in the topics' order."""
        (found,) = await self._ask(lambda pipe: pipe.smembers(self._name("topics", source)))
        topics = sorted(topic.decode() for topic in found)
        held = [await self.row(key_of("source", topic, source)) for topic in topics]
        return [row for row in held if row is not None]

    async def row(self, key: str) -> bytes | None:
        """Any other row."""
        (value,) = await self._ask(lambda pipe: pipe.hget(self._name("row", key), "d"))
        return value or None

    async def begin(self) -> None:
        """Leave this process's mark."""
        await self._writes.set(self._mark, 1, ex=_MARK_SECONDS)

    async def stamp(self, matched_at: float) -> bool:
        """Note when the view last matched the log's end, unless it has lost its rows."""
        if await self._writes.getex(self._mark, ex=_MARK_SECONDS) is None:
            return False
        await self._writes.set(self._name("matched", "at"), matched_at)
        return True

    async def matched_at(self) -> float | None:
        """When the view last matched the log's end."""
        (found,) = await self._ask(lambda pipe: pipe.get(self._name("matched", "at")))
        return None if found is None else float(found)

    async def size(self) -> int:
        """How many stock rows there are."""
        (count,) = await self._ask(lambda pipe: pipe.scard(self._name("index", "stock")))
        return int(count)

    async def close(self) -> None:
        """Close the connections."""
        await self._reads.aclose()
        await self._writes.aclose()


def _gaps(key: str, value: bytes | None) -> tuple[list[str], int]:
    if value is None or kind_of(key) != "source":
        return [], 0
    return gaps_of(value)
