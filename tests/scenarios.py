"""The golden scenarios, as data: told once, run on the pure core and end to end.

Each has its own SKU, location and sources, so that all of them may share one service.
`steps` are events, lists of events (one record), or `Expect`s in between.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from tests import builders as b

Event = dict[str, Any]


@dataclass
class Expect:
    """What the answers say: of stock rows, of gaps per source, of reservations."""

    stock: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)
    gaps: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    orders: dict[str, str] = field(default_factory=dict)


@dataclass
class Scenario:
    name: str
    steps: list[Event | list[Event] | Expect]
    end: Expect
    letters: list[str] = field(default_factory=list)


class Driver(Protocol):
    """Where a scenario is run."""

    def send(self, record: Event | list[Event]) -> None: ...
    def expect(self, expected: Expect) -> None: ...
    def letters(self, about: str) -> list[str]: ...


def run(scenario: Scenario, driver: Driver) -> None:
    """In the given order, then all of it once more: nothing changes."""
    records: list[Event | list[Event]] = []
    for step in scenario.steps:
        if isinstance(step, Expect):
            driver.expect(step)
        else:
            driver.send(step)
            records.append(step)
    driver.expect(scenario.end)
    assert driver.letters(scenario.name) == scenario.letters
    for record in records:
        driver.send(record)
    driver.expect(scenario.end)


class Cast:
    """Names of one scenario."""

    def __init__(self, name: str, opening: int = 10) -> None:
        self.name = name
        self.sku, self.other, self.location = f"S-{name}", f"B-{name}", f"17-{name}"
        self.opening = self.count("opening", 1, "00:00", opening)

    def source(self, source: str) -> str:
        return f"{source}-{self.name}"

    def sale(self, source: str, sequence: int, at: str, quantity: int = 1, **more: Any) -> Event:
        return b.sale(
            self.source(source),
            sequence,
            at,
            quantity,
            sku=self.sku,
            location=self.location,
            **more,
        )

    def count(
        self, source: str, sequence: int, at: str, quantity: int, sku: str | None = None
    ) -> Event:
        return b.count(
            self.source(source), sequence, at, quantity, sku=sku or self.sku, location=self.location
        )

    def requested(self, reservation: str, at: str, *lines: tuple[str, int]) -> Event:
        return b.requested(f"{reservation}-{self.name}", at, *lines, location=self.location)

    def order(self, what: str, reservation: str, at: str) -> Event:
        return b.order(what, f"{reservation}-{self.name}", at)

    def stock(self, **buckets: int) -> dict[tuple[str, str], dict[str, int]]:
        return {(self.sku, self.location): buckets}


def g1() -> Scenario:
    c = Cast("g1")
    first = c.sale("p3", 1, "09:00", 2, sentat=b.moment("09:00:01"))
    resend = dict(reversed(list({**first, "id": "other", "sentat": b.moment("09:05")}.items())))
    return Scenario(
        "g1",
        [c.opening, first, resend, c.sale("p3", 1, "09:00", 3)],
        Expect(stock=c.stock(on_hand=8, available=8)),
        letters=["conflict"],
    )


def g2() -> Scenario:
    c = Cast("g2")
    sales = {n: c.sale("p3", n, f"09:0{n}") for n in range(1, 7)}
    return Scenario(
        "g2",
        [
            c.opening,
            *(sales[n] for n in (1, 2, 6, 4, 4)),
            Expect(stock=c.stock(on_hand=6, gaps=2), gaps={c.source("p3"): [(3, 3), (5, 5)]}),
            sales[5],
            sales[3],
        ],
        Expect(stock=c.stock(on_hand=4, gaps=0), gaps={c.source("p3"): []}),
    )


def g3() -> Scenario:
    c = Cast("g3")
    burst = [c.sale("p9", n, f"09:0{n}") for n in (3, 1, 2)]
    return Scenario(
        "g3", [c.opening, burst], Expect(stock=c.stock(on_hand=7), gaps={c.source("p9"): []})
    )


def g4() -> Scenario:
    c = Cast("g4", opening=20)
    return Scenario(
        "g4",
        [
            c.opening,
            *(c.sale("p3", n, f"09:0{n}") for n in (1, 2, 4, 5)),
            c.sale("p3", 1, "10:00", epoch=1),
            c.sale("p3", 3, "09:03"),
            c.sale("p3", 6, "09:40"),
            c.sale("p3", 5, "09:05"),
            c.sale("p3", 2, "10:01", epoch=1),
        ],
        Expect(stock=c.stock(on_hand=12), gaps={c.source("p3"): []}),
    )


def g8() -> Scenario:
    c = Cast("g8")
    return Scenario(
        "g8",
        [
            c.opening,
            c.sale("p3", 1, "10:00"),
            c.sale("p3", 2, "10:20", 2),
            c.sale("p3", 3, "10:40"),
            Expect(stock=c.stock(on_hand=6)),
            c.count("hh", 1, "10:30", 8),
        ],
        Expect(stock=c.stock(on_hand=7)),
    )


def _burst(c: Cast) -> list[Event]:
    start = datetime(2026, 11, 2, 10, tzinfo=UTC)
    return [
        c.sale("p3", n, f"{start + timedelta(seconds=20 * (n - 1)):%H:%M:%S}")
        for n in range(1, 501)
    ]


def g12_count_first() -> Scenario:
    c = Cast("g12a", opening=600)
    return Scenario(
        "g12a",
        [c.opening, c.count("hh", 1, "11:00", 425), _burst(c)],
        Expect(stock=c.stock(on_hand=105)),
    )


def g12_burst_first() -> Scenario:
    c = Cast("g12b", opening=600)
    return Scenario(
        "g12b",
        [
            c.opening,
            _burst(c),
            Expect(stock=c.stock(on_hand=100)),
            c.count("hh", 1, "11:00", 425),
        ],
        Expect(stock=c.stock(on_hand=105)),
    )


def g15() -> Scenario:
    c = Cast("g15")
    till = [c.sale("p3", n, "09:0" + str(n), 2) for n in (1, 2)]
    file_row_1 = {**c.sale("p3", 1, "09:01", 2), "id": "nightly-1"}
    file_row_3 = {**c.sale("p3", 3, "09:30"), "id": "nightly-3"}
    return Scenario(
        "g15",
        [
            c.opening,
            *till,
            [file_row_1, file_row_3],
            c.sale("p3", 3, "09:30"),
            [c.sale("p3", 2, "09:02", 5)],
        ],
        Expect(stock=c.stock(on_hand=5), gaps={c.source("p3"): []}),
        letters=["conflict"],
    )


def g21a() -> Scenario:
    c = Cast("g21a")
    return Scenario(
        "g21a",
        [
            c.opening,
            c.requested("R", "10:00", (c.sku, 2)),
            Expect(stock=c.stock(on_hand=10, reserved=2, available=8), orders={"R-g21a": "held"}),
            c.order("confirmed", "R", "10:30"),
            c.order("fulfilled", "R", "11:00"),
            c.order("released", "R", "12:00"),
        ],
        Expect(stock=c.stock(on_hand=8, reserved=0, available=8), orders={"R-g21a": "fulfilled"}),
    )


def g21b() -> Scenario:
    c = Cast("g21b")
    return Scenario(
        "g21b",
        [
            c.opening,
            c.requested("R", "10:00", (c.sku, 2)),
            c.order("released", "R", "10:30"),
            c.order("released", "R", "10:40"),
            Expect(stock=c.stock(on_hand=10, reserved=0), orders={"R-g21b": "released"}),
            c.order("fulfilled", "R", "11:00"),
        ],
        Expect(stock=c.stock(on_hand=8, reserved=0, available=8)),
    )


def g21c() -> Scenario:
    c = Cast("g21c")
    return Scenario(
        "g21c",
        [c.opening, c.order("released", "Z", "10:00"), c.requested("Z", "10:01", (c.sku, 2))],
        Expect(stock=c.stock(on_hand=10, reserved=0, available=10), orders={"Z-g21c": "released"}),
    )


def _g28(name: str) -> Cast:
    return Cast(name, opening=1)


def g28() -> Scenario:
    c = _g28("g28")
    return Scenario(
        "g28",
        [
            c.opening,
            c.count("opening", 2, "00:01", 0, sku=c.other),
            c.requested("R", "10:00", (c.sku, 1), (c.other, 1)),
            Expect(stock=c.stock(reserved=0), orders={"R-g28": "insufficient"}),
            c.requested("Q", "10:05", (c.sku, 1)),
        ],
        Expect(
            stock={**c.stock(on_hand=1, reserved=1), (c.other, c.location): {"reserved": 0}},
            orders={"R-g28": "insufficient", "Q-g28": "held"},
        ),
    )


def g28_released() -> Scenario:
    c = _g28("g28r")
    return Scenario(
        "g28r",
        [
            c.opening,
            c.count("opening", 2, "00:01", 0, sku=c.other),
            c.requested("R", "10:00", (c.sku, 1), (c.other, 1)),
            c.order("released", "R", "10:00:01"),
        ],
        Expect(
            stock={**c.stock(on_hand=1, reserved=0), (c.other, c.location): {"reserved": 0}},
        ),
    )


ALL: list[Callable[[], Scenario]] = [
    g1,
    g2,
    g3,
    g4,
    g8,
    g12_count_first,
    g12_burst_first,
    g15,
    g21a,
    g21b,
    g21c,
    g28,
    g28_released,
]
