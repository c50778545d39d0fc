"""Filling a service with rows, by counts of many lines, as a chain's first day does.

Row `number` is SKU `sku-{number % per_location}` at location `L{number // per_location}`.
"""

from collections.abc import Iterator
from typing import Final

import orjson

from benchmarks.backlog import Backlog
from models import topics

PER_COUNT: Final = 500
PER_LOCATION: Final = 50_000
ON_HAND: Final = 10


def counts(rows: int, per_location: int = PER_LOCATION) -> Backlog:
    """Counts that open `rows` rows, `per_location` to a location, each at `ON_HAND`.

    Raises ValueError where a count would be of two locations.
    """
    if per_location % PER_COUNT:
        raise ValueError(f"{per_location} rows a location are no multiple of {PER_COUNT}")
    return list(_counts(rows, per_location))


def _counts(rows: int, per_location: int) -> Iterator[tuple[str, str, bytes]]:
    for name, start in enumerate(range(0, rows, PER_COUNT)):
        location, first = f"L{start // per_location}", start % per_location
        source = f"counter-{location}-{name % 16}"
        lines = [
            {"line": number + 1, "sku": f"sku-{first + number}", "quantity": ON_HAND}
            for number in range(min(rows - start, PER_COUNT))
        ]
        event = {
            "specversion": "1.0",
            "id": f"count-{name}",
            "source": source,
            "type": "warehouse.stock.counted.v1",
            "time": "2026-11-01T00:00:00Z",
            "sequence": name // 16 + 1,
            "data": {"count": f"c{name}", "location": location, "lines": lines},
        }
        yield topics.WAREHOUSE_RECEIPTS, source, orjson.dumps(event)
