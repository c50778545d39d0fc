"""The view in this process's memory."""

from collections import defaultdict
from collections.abc import Sequence
from typing import ClassVar

from api.views.base import Stock, Update, kind_of, sku_and_location
from api.views.gaps import gaps_of
from models.rows import key as key_of
from models.rows import parts, stock_key


class MemoryView:
    """Rows in dictionaries. Stock is kept as the answer's bytes, so a read copies and adds."""

    portion: ClassVar[int] = 100
    """About an eighth of a millisecond of plain stock, for which whoever reads waits."""

    def __init__(self) -> None:
        self._stock: dict[str, tuple[int, bytes]] = {}
        self._other: dict[str, tuple[int, bytes | None]] = {}
        self._locations: dict[str, set[str]] = defaultdict(set)
        self._topics: dict[str, set[str]] = defaultdict(set)
        self._gaps: dict[str, int] = defaultdict(int)
        self._counted: dict[str, tuple[list[str], int]] = {}
        self._matched_at: float | None = None

    async def apply(self, updates: Sequence[Update]) -> None:
        """Take rows; older ones than those held are ignored."""
        for key, version, value in updates:
            if key.startswith("stock|"):
                self._put_stock(key, version, value)
                continue
            known = self._other.get(key)
            if known is not None and known[0] >= version:
                continue
            self._other[key] = version, value
            if value is not None and kind_of(key) == "source":
                self._count_gaps(key, value)

    async def forget(self, gone: Sequence[tuple[str, int]]) -> None:
        """Let go of rows that are gone, by key and version."""
        for key, version in gone:
            known = self._other.get(key)
            if known is not None and known[1] is None and known[0] <= version:
                del self._other[key]

    def _put_stock(self, key: str, version: int, answer: bytes | None) -> None:
        known = self._stock.get(key)
        if known is None and answer is not None:
            sku, location = sku_and_location(key)
            self._locations[sku].add(location)
        elif known is None or known[0] >= version:
            return
        if answer is None:
            del self._stock[key]
            sku, location = sku_and_location(key)
            self._locations[sku].discard(location)
        else:
            self._stock[key] = version, answer

    def _count_gaps(self, key: str, value: bytes) -> None:
        for location in self._counted.get(key, ([], 0))[0]:
            self._gaps[location] -= self._counted[key][1]
        locations, gaps = self._counted[key] = gaps_of(value)
        for location in locations:
            self._gaps[location] += gaps
        _, topic, source = parts(key)
        self._topics[source].add(topic)

    async def stocks(self, wanted: Sequence[tuple[str, str]]) -> list[Stock | None]:
        """The stock of each (SKU, location), in the order asked."""
        found: list[Stock | None] = []
        for sku, location in wanted:
            held = self._stock.get(stock_key(sku, location))
            gaps = self._gaps.get(location, 0)
            found.append(None if held is None else Stock(held[1], held[0], gaps))
        return found

    async def locations(self, sku: str) -> list[str]:
        """The locations of which there is a row of the SKU, in order."""
        return sorted(self._locations.get(sku, ()))

    async def source(self, source: str) -> list[bytes]:
        """The rows of a source, one per topic, in the topics' order."""
        held = (
            self._other.get(key_of("source", topic, source))
            for topic in sorted(self._topics.get(source, ()))
        )
        return [row[1] for row in held if row is not None and row[1] is not None]

    async def row(self, key: str) -> bytes | None:
        """Any other row."""
        held = self._other.get(key)
        return None if held is None else held[1]

    async def begin(self) -> None:
        """Memory begins empty."""

    async def stamp(self, matched_at: float) -> bool:
        """Note when the view last matched the log's end."""
        self._matched_at = matched_at
        return True

    async def matched_at(self) -> float | None:
        """When the view last matched the log's end."""
        return self._matched_at

    async def size(self) -> int:
        """How many stock rows there are."""
        return len(self._stock)

    async def close(self) -> None:
        """Nothing to let go of."""
