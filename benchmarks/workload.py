"""The workload of the throughput benchmarks: a backlog of single-event records.

Skewed SKUs over many locations, one to `max_lines` lines an event, four event types,
every source numbered without a gap. The same seed makes the same bytes.
"""

import itertools
import random
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from benchmarks.backlog import Backlog
from benchmarks.filling import ON_HAND, counts
from models import topics

SEED: Final = 1
SKUS: Final = 1_250
LOCATIONS: Final = 20
SOURCES: Final = 200


@dataclass
class Workload:
    """`events` records, a share `repeats` of them resends of the source's last event.

    The rest is known once all were generated: `lines_sent` with those of resends, `lines`
    without, `sums` the units on hand and in quality control by SKU and location.
    """

    events: int
    max_lines: int = 3
    repeats: float = 0.0
    skus: int = SKUS
    lines: int = 0
    lines_sent: int = 0
    sums: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)

    def opening(self) -> Backlog:
        """Counts that open a row of every SKU at every location; asked for before `records`."""
        for number, location in itertools.product(range(self.skus), range(LOCATIONS)):
            self.sums[f"sku-{number}", f"L{location}"] = ON_HAND, 0
        return counts(self.skus * LOCATIONS, self.skus)

    def records(self) -> Iterator[tuple[str, str, bytes]]:
        """Topic, key and value of each record, in order."""
        dice = random.Random(SEED)
        weights = list(itertools.accumulate(1 / rank for rank in range(1, self.skus + 1)))
        numbers: dict[str, int] = {}
        last: tuple[str, dict[str, Any]] | None = None
        for place in range(self.events):
            if self.repeats and last is not None and dice.random() < self.repeats:
                topic, event = last
                self.lines_sent += len(event["data"]["lines"])
                again = {**event, "id": f"{event['id']}-again"}
                yield topic, event["source"], orjson.dumps(again)
                continue
            what = dice.random()
            location = dice.randrange(LOCATIONS)
            desk = dice.randrange(SOURCES // LOCATIONS)
            lines = [
                {
                    "line": line,
                    "sku": f"sku-{bisect(weights, dice.random() * weights[-1])}",
                    "quantity": dice.randint(1, 3),
                }
                for line in range(1, dice.randint(1, self.max_lines) + 1)
            ]
            topic, kind, prefix, document = _kind(what)
            source = f"{prefix}-{location}-{desk}"
            sequence = numbers[source] = numbers.get(source, 0) + 1
            name = f"{source}-{sequence}"
            data: dict[str, Any] = {document: name, "location": f"L{location}", "lines": lines}
            if prefix == "desk":
                data["disposition"] = "restock"
            self._add(prefix, f"L{location}", lines)
            event = {
                "specversion": "1.0",
                "id": name,
                "source": source,
                "type": kind,
                "time": _time(place),
                "sequence": sequence,
                "data": data,
            }
            last = topic, event
            yield topic, source, orjson.dumps(event)

    def _add(self, prefix: str, location: str, lines: list[dict[str, Any]]) -> None:
        sign, in_control = {"pos": (-1, 0), "wms": (1, 0), "desk": (1, 0), "till": (0, 1)}[prefix]
        for line in lines:
            self.lines += 1
            self.lines_sent += 1
            key = line["sku"], location
            on_hand, control = self.sums.get(key, (0, 0))
            units = line["quantity"]
            self.sums[key] = on_hand + sign * units, control + in_control * units


def _kind(what: float) -> tuple[str, str, str, str]:
    if what < 0.80:
        return topics.POS_SALES, "pos.sale.completed.v1", "pos", "transaction"
    if what < 0.90:
        return topics.WAREHOUSE_RECEIPTS, "warehouse.receipt.received.v1", "wms", "receipt"
    if what < 0.96:
        return topics.POS_SALES, "pos.sale.returned.v1", "till", "transaction"
    return topics.RETURNS_DISPOSITIONS, "returns.return.disposed.v1", "desk", "rma"


def _time(place: int) -> str:
    second = place // 50
    return (
        f"2026-11-{2 + second // 86_400:02}T"
        f"{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}Z"
    )
