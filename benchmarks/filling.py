"""Filling a service with rows, by counts of many lines, as a chain's first day does, and with
their history, by sales of as many.

Row `number` is SKU `sku-{number % per_location}` at location `L{number // per_location}`.
"""

from collections.abc import Iterator
from typing import Any, Final

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


def sales(rows: int, each: int) -> Iterator[tuple[str, str, bytes]]:
    """Sales of one unit of every row of `counts`, `each` times, a minute apart."""
    for turn in range(each):
        for name, location, lines in _parts(rows, PER_LOCATION, 1):
            # Each is a source of its own: a turn's records may then come in any order.
            source = f"seller-{name}"
            event = {
                "specversion": "1.0",
                "id": f"sale-{name}-{turn}",
                "source": source,
                "type": "pos.sale.completed.v1",
                "time": f"2026-11-02T{turn // 60:02}:{turn % 60:02}:00Z",
                "sequence": turn + 1,
                "data": {"transaction": f"t{turn}", "location": location, "lines": lines},
            }
            yield topics.POS_SALES, source, orjson.dumps(event)


def _counts(rows: int, per_location: int) -> Iterator[tuple[str, str, bytes]]:
    for name, location, lines in _parts(rows, per_location, ON_HAND):
        source = f"counter-{location}-{name % 16}"
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


def _parts(
    rows: int, per_location: int, quantity: int
) -> Iterator[tuple[int, str, list[dict[str, Any]]]]:
    """Every row once, as lines of a document: the part's number, its location, its lines."""
    for name, start in enumerate(range(0, rows, PER_COUNT)):
        first = start % per_location
        yield (
            name,
            f"L{start // per_location}",
            [
                {"line": number + 1, "sku": f"sku-{first + number}", "quantity": quantity}
                for number in range(min(rows - start, PER_COUNT))
            ],
        )
