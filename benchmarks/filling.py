"""Filling a service with rows, by counts of many lines, as a chain's first day does."""

from collections.abc import Iterator
from typing import Final

import orjson

from benchmarks.backlog import Backlog
from models import topics

PER_COUNT: Final = 500
PER_LOCATION: Final = 50_000
ON_HAND: Final = 10


def counts(rows: int) -> Backlog:
    """Counts that open `rows` rows, `PER_LOCATION` to a location, each at `ON_HAND`."""
    return list(_counts(rows))


def place(number: int) -> tuple[str, str]:
    """SKU and location of row `number`."""
    location, sku = divmod(number, PER_LOCATION)
    return f"sku-{sku}", f"L{location}"


def _counts(rows: int) -> Iterator[tuple[str, str, bytes]]:
    for name, start in enumerate(range(0, rows, PER_COUNT)):
        _, location = place(start)
        source = f"counter-{location}-{name % 16}"
        numbers = range(start, min(rows, start + PER_COUNT))
        lines = [
            {"line": line, "sku": place(number)[0], "quantity": ON_HAND}
            for line, number in enumerate(numbers, start=1)
        ]
        event = {
            "specversion": "1.0",
            "id": f"count-{name}",
            "source": source,
            "type": "warehouse.stock.counted.v1",
            "time": "2026-11-02T00:00:00Z",
            "sequence": name // 16 + 1,
            "data": {"count": f"c{name}", "location": location, "lines": lines},
        }
        yield topics.WAREHOUSE_RECEIPTS, source, orjson.dumps(event)
