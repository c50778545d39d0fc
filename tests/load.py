"""A seeded load of sales, receipts and returns, and the plain sum that it must come to."""

import random
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests import builders as b

Event = dict[str, Any]
SKUS = 150
LOCATIONS = ("L1", "L2", "L3")


@dataclass
class Load:
    """Events of many sources, each source's in its order; some are sent again."""

    seed: int
    sources: int = 30
    skus: int = SKUS
    sums: dict[tuple[str, str], dict[str, int]] = field(
        default_factory=lambda: defaultdict(lambda: {"on_hand": 0, "quality_control": 0})
    )

    def __post_init__(self) -> None:
        self._dice = random.Random(self.seed)
        self._next: dict[str, int] = defaultdict(int)
        self._sent: list[Event] = []

    def event(self) -> Event:
        """The next event; one in twenty is an earlier one once more."""
        dice = self._dice
        if self._sent and dice.random() < 0.05:
            return dice.choice(self._sent[-200:])
        made = self._new()
        self._sent.append(made)
        return made

    def _new(self) -> Event:
        dice = self._dice
        what = dice.choices(("sale", "receipt", "till_return", "adjustment"), (70, 15, 10, 5))[0]
        number = dice.randrange(self.sources)
        topic = "wms" if what in ("receipt", "adjustment") else "pos"
        source = f"{topic}-{number}"
        self._next[source] += 1
        sequence = self._next[source]
        location = LOCATIONS[number % len(LOCATIONS)]
        lines = [
            {
                "line": line,
                "sku": self._sku(),
                "quantity": dice.randint(1, 4),
            }
            for line in range(1, dice.randint(2, 4))
        ]
        for line in lines:
            self._add(what, line, location)
        return _event(what, source, sequence, location, lines)

    def _sku(self) -> str:
        return f"sku-{self._dice.randrange(self.skus)}"

    def _add(self, what: str, line: dict[str, Any], location: str) -> None:
        row = self.sums[line["sku"], location]
        units = line["quantity"]
        if what == "sale":
            row["on_hand"] -= units
        elif what == "till_return":
            row["quality_control"] += units
        else:
            row["on_hand"] += units


def _event(
    what: str, source: str, sequence: int, location: str, lines: list[dict[str, Any]]
) -> Event:
    at = f"{sequence // 3600 % 24:02}:{sequence // 60 % 60:02}:{sequence % 60:02}"
    name = f"{source}-{sequence}"
    kind, data = {
        "sale": ("pos.sale.completed.v1", {"transaction": name}),
        "till_return": ("pos.sale.returned.v1", {"transaction": name}),
        "receipt": ("warehouse.receipt.received.v1", {"receipt": name}),
        "adjustment": ("warehouse.stock.adjusted.v1", {"reason": "found"}),
    }[what]
    return b.event(kind, source, sequence, at, {**data, "location": location, "lines": lines})
