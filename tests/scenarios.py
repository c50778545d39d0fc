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
class Put:
    """Reference data is stated, and in use from here on."""

    kind: str
    name: str
    facts: dict[str, Any]


Step = Event | list[Event] | Expect | Put


@dataclass
class Scenario:
    """`letters` are the codes of dead letters, `outcomes` of the SKU's ledger entries.

    `own_time` says that its records tell when they were received.
    """

    name: str
    steps: list[Step]
    end: Expect
    letters: list[str] = field(default_factory=list)
    outcomes: list[str] | None = None
    own_time: bool = False


class Driver(Protocol):
    """Where a scenario is run."""

    def send(self, record: Event | list[Event]) -> None: ...
    def put(self, stated: Put) -> None: ...
    def expect(self, expected: Expect) -> None: ...
    def letters(self, about: str) -> list[str]: ...
    def outcomes(self, sku: str) -> list[str]: ...


def run(scenario: Scenario, driver: Driver) -> None:
    """In the given order, then all of it once more: nothing changes."""
    records: list[Event | list[Event]] = []
    for step in scenario.steps:
        if isinstance(step, Expect):
            driver.expect(step)
        elif isinstance(step, Put):
            driver.put(step)
        else:
            driver.send(step)
            records.append(step)
    driver.expect(scenario.end)
    assert driver.letters(scenario.name) == scenario.letters
    if scenario.outcomes is not None:
        assert driver.outcomes(f"S-{scenario.name}") == scenario.outcomes
    for record in records:
        driver.send(record)
    driver.expect(scenario.end)


class Cast:
    """Names of one scenario."""

    def __init__(self, name: str, opening: int = 10, at: str = "00:00") -> None:
        self.name = name
        self.sku, self.other, self.location = f"S-{name}", f"B-{name}", f"17-{name}"
        self.opening = self.count("opening", 1, at, opening)

    @property
    def here(self) -> dict[str, str]:
        """The SKU and location, for builders."""
        return {"sku": self.sku, "location": self.location}

    def source(self, source: str) -> str:
        return f"{source}-{self.name}"

    def sale(self, source: str, sequence: int, at: str, quantity: int = 1, **more: Any) -> Event:
        return b.sale(self.source(source), sequence, at, quantity, **{**self.here, **more})

    def count(self, source: str, sequence: int, at: str, quantity: int, **more: Any) -> Event:
        return b.count(self.source(source), sequence, at, quantity, **{**self.here, **more})

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


def g5() -> Scenario:
    c = Cast("g5", opening=9000)
    start = datetime(2026, 11, 2, 0, 0, 1, tzinfo=UTC)
    p3 = c.source("p3")
    night = [
        c.sale("p3", n, f"{start + timedelta(seconds=n - 1):%H:%M:%S}") for n in range(1, 5001)
    ]
    return Scenario(
        "g5",
        [
            c.opening,
            night,
            Expect(stock=c.stock(on_hand=4000)),
            c.sale("p3", 1, "13:00"),
            c.sale("p3", 2, "13:01"),
            night[2],
            Expect(stock=c.stock(on_hand=4000)),
            b.control("epoch.opened", p3, "14:00", epoch=1),
        ],
        Expect(stock=c.stock(on_hand=3998), gaps={p3: []}),
        letters=["suspected_reset", "suspected_reset"],
    )


def g6() -> Scenario:
    c = Cast("g6", at="2026-10-24T00:00:00Z")
    day = "2026-10-25T"
    return Scenario(
        "g6",
        [
            Put("locations", c.location, {"zone": "Europe/Berlin"}),
            Put("sources", c.source("p3"), {"local_time": True}),
            c.opening,
            c.count("hh", 1, f"{day}02:55:00+02:00", 9),
            c.sale("p3", 40, f"{day}01:58:00", sku=c.other),
            c.sale("p3", 41, f"{day}02:50:00"),
            c.sale("p3", 42, f"{day}02:10:00"),
        ],
        Expect(stock=c.stock(on_hand=8), gaps={c.source("p3"): []}),
        outcomes=["rebased", "rebased", "absorbed_by_count", "applied"],
    )


def g6_skipped() -> Scenario:
    c = Cast("g6s", at="2026-03-28T00:00:00Z")
    return Scenario(
        "g6s",
        [
            Put("locations", c.location, {"zone": "Europe/Berlin"}),
            Put("sources", c.source("p3"), {"local_time": True}),
            c.opening,
            c.sale("p3", 1, "2026-03-29T02:30:00"),
            c.count("hh", 1, "2026-03-29T01:29:59Z", 20),
        ],
        Expect(stock=c.stock(on_hand=19)),
    )


def g7() -> Scenario:
    c = Cast("g7")
    return Scenario(
        "g7",
        [
            c.opening,
            {
                **c.sale("p4", 1, "09:00", sku=c.other, sentat=b.moment("09:00:01")),
                "rcv": b.moment("09:00:01"),
            },
            c.count("hh", 1, "11:00", 9),
            {
                **c.sale("p3", 1, "11:05", sentat=b.moment("11:30")),
                "rcv": b.moment("11:20"),
            },
            {
                **c.sale("p4", 2, "10:50", sentat=b.moment("10:50:01")),
                "rcv": b.moment("13:00"),
            },
        ],
        Expect(stock=c.stock(on_hand=9)),
        outcomes=["rebased", "rebased", "absorbed_by_count", "absorbed_by_count"],
        own_time=True,
    )


def g7_burst() -> Scenario:
    c = Cast("g7b", opening=50)
    burst = [
        {
            **c.sale("p6", n, f"10:{n:02}", sentat=b.moment(f"10:{n:02}:01")),
            "rcv": b.moment("13:30"),
        }
        for n in range(1, 41)
    ]
    return Scenario(
        "g7b",
        [c.opening, c.count("hh", 1, "10:20:30", 30), burst],
        Expect(stock=c.stock(on_hand=10)),
        own_time=True,
    )


def g7_slow() -> Scenario:
    c = Cast("g7s")
    sales = [
        {
            **c.sale("p7", n, f"{hour - 1}:55", sentat=b.moment(f"{hour - 1}:55:01"), sku=c.other),
            "rcv": b.moment(f"{hour}:00:01"),
        }
        for n, hour in enumerate((11, 12, 13), start=1)
    ]
    last = {
        **c.sale("p7", 4, "13:28", sentat=b.moment("13:28:01")),
        "rcv": b.moment("13:33:01"),
    }
    return Scenario(
        "g7s",
        [c.opening, *sales, c.count("hh", 1, "13:30", 10), last],
        Expect(stock=c.stock(on_hand=9)),
        outcomes=["rebased", "rebased", "applied"],
        own_time=True,
    )


def g10a() -> Scenario:
    c = Cast("g10a")
    return Scenario(
        "g10a",
        [
            c.opening,
            c.count("hh", 7, "10:40", 10),
            c.sale("p3", 1, "10:40"),
            Expect(stock=c.stock(on_hand=9)),
            b.adjusted(c.source("hh"), 6, "10:40", -1, **c.here),
            Expect(stock=c.stock(on_hand=9)),
            b.adjusted(c.source("hh"), 8, "10:40", -1, **c.here),
        ],
        Expect(stock=c.stock(on_hand=8)),
        outcomes=["rebased", "rebased", "applied", "absorbed_by_count", "applied"],
    )


def g10b() -> Scenario:
    c = Cast("g10b")
    return Scenario(
        "g10b",
        [
            c.opening,
            c.count("hh", 1, "10:40", 10, started="10:00"),
            c.sale("p3", 1, "10:20"),
            b.receipt(c.source("wms"), 1, "10:25", 4, **c.here),
        ],
        Expect(stock=c.stock(on_hand=9)),
        outcomes=["rebased", "rebased", "applied", "absorbed_by_count"],
    )


def g10c() -> Scenario:
    c = Cast("g10c", opening=12)
    return Scenario(
        "g10c",
        [
            c.opening,
            c.sale("p3", 1, "10:20"),
            c.count("hh", 1, "10:05", 3, count="C1", area="aisle4", final=False),
            Expect(stock=c.stock(on_hand=11)),
            c.count("hh", 2, "10:40", 2, count="C1", area="back"),
        ],
        Expect(stock=c.stock(on_hand=4)),
    )


def g10_complete() -> Scenario:
    """A complete count of two handhelds: what neither of them found is not there."""
    c = Cast("g10d")
    others = [f"{c.other}-{n}" for n in range(3)]
    return Scenario(
        "g10d",
        [
            c.opening,
            *(c.count("opening", n + 2, "00:01", 5, sku=sku) for n, sku in enumerate(others)),
            c.count("hh1", 1, "10:00", 3, count="C2", area="aisle", final=False, sku=others[0]),
            c.count("hh2", 1, "10:30", 8, count="C2", area="back", complete=True),
            c.count("hh1", 2, "10:10", 2, count="C2", area="cellar", final=False, sku=others[1]),
        ],
        Expect(
            stock={
                **c.stock(on_hand=8),
                **{
                    (sku, c.location): {"on_hand": units}
                    for sku, units in zip(others, (3, 2, 0), strict=True)
                },
            }
        ),
    )


def g11() -> Scenario:
    c = Cast("g11", opening=1000)
    start = datetime(2026, 11, 2, 9, tzinfo=UTC)
    sales = [
        c.sale("p3", n, f"{start + timedelta(seconds=10 * (n - 1)):%H:%M:%S}")
        for n in range(1, 201)
    ]
    return Scenario(
        "g11",
        [
            c.opening,
            *[sales[at : at + 40] for at in range(0, 200, 40)],
            Expect(stock=c.stock(on_hand=800)),
            c.count("hh", 1, "09:04:05", 970),
            Expect(stock=c.stock(on_hand=795)),
            c.count("hh", 2, "08:00", 999),
            c.count("hh", 3, "2026-10-31T07:00:00Z", 5),
        ],
        Expect(stock=c.stock(on_hand=795)),
        letters=["count_beyond_history"],
    )


def g13() -> Scenario:
    c = Cast("g13")
    p3 = c.source("p3")
    line = {"line": 1, "quantity": 1}
    return Scenario(
        "g13",
        [
            c.opening,
            b.voided(p3, 8, "09:02", "T9", line, location=c.location),
            Expect(stock=c.stock(on_hand=10)),
            c.sale("p3", 7, "09:00", transaction="T9"),
            Expect(stock=c.stock(on_hand=10)),
            b.voided(p3, 9, "09:03", "T9", line, location=c.location),
            Expect(stock=c.stock(on_hand=10)),
            c.sale("p3", 10, "09:04", 3, transaction="T10"),
            Expect(stock=c.stock(on_hand=7)),
            b.voided(p3, 11, "09:05", "T10", line, location=c.location),
        ],
        Expect(stock=c.stock(on_hand=8), gaps={p3: []}),
        letters=["held_for_sale", "void_exceeds_sale"],
        outcomes=["rebased", "applied", "applied", "applied", "applied"],
    )


def g14() -> Scenario:
    c = Cast("g14")
    return Scenario(
        "g14",
        [
            c.opening,
            c.sale("p3", 1, "10:00"),
            Expect(stock=c.stock(on_hand=9)),
            c.count("hh", 1, "10:30", 9),
            b.voided(
                c.source("p3"), 2, "10:45", "T1", location=c.location, sold_at=b.moment("10:00")
            ),
        ],
        Expect(stock=c.stock(on_hand=10)),
    )


def g16() -> Scenario:
    c = Cast("g16")
    desk = c.source("rd")
    rma = {"rma": "R1-g16", **c.here}
    return Scenario(
        "g16",
        [
            c.opening,
            b.disposed(desk, 1, "10:00", 1, "restock", **rma),
            Expect(stock=c.stock(on_hand=11, quality_control=0)),
            b.returned("received", desk, 2, "09:00", 1, **rma),
            Expect(stock=c.stock(on_hand=11, quality_control=0)),
            b.disposed(desk, 3, "11:00", 1, "write_off", **rma),
        ],
        Expect(stock=c.stock(on_hand=10, quality_control=0)),
        outcomes=["rebased", "implied_receipt", "applied_late", "re_disposed"],
    )


def g19() -> Scenario:
    c = Cast("g19")
    wms = c.source("wms")
    return Scenario(
        "g19",
        [
            c.opening,
            b.receipt(wms, 2, "09:00", 60, advice="N1-g19", **c.here),
            Expect(stock=c.stock(on_hand=70, incoming=0)),
            b.advised(wms, 1, "08:00", "N1-g19", (c.sku, 100), location=c.location),
            Expect(stock=c.stock(on_hand=70, incoming=40)),
            b.advised(wms, 3, "09:30", "N1-g19", (c.sku, 80), location=c.location),
            Expect(stock=c.stock(on_hand=70, incoming=20)),
            b.receipt(wms, 4, "10:00", 15, advice="N1-g19", final=True, **c.here),
        ],
        Expect(stock=c.stock(on_hand=85, incoming=0)),
        outcomes=["rebased", "applied", "applied", "applied", "received_short"],
    )


def g19_revised() -> Scenario:
    """A revision that leaves a SKU out takes it back; a final receipt ends all of its advice."""
    c = Cast("g19r")
    wms, third = c.source("wms"), f"C-{c.name}"
    incoming = {(sku, c.location): {"incoming": 0} for sku in (c.other, third)}
    return Scenario(
        "g19r",
        [
            c.opening,
            b.advised(
                wms, 1, "08:00", "N-g19r", (c.sku, 5), (c.other, 7), (third, 3), location=c.location
            ),
            Expect(stock={(c.other, c.location): {"incoming": 7}}),
            b.advised(wms, 2, "08:30", "N-g19r", (c.sku, 5), (third, 3), location=c.location),
            Expect(stock={(c.other, c.location): {"incoming": 0}}),
            b.receipt(wms, 3, "09:00", 5, advice="N-g19r", final=True, **c.here),
        ],
        Expect(stock={**c.stock(on_hand=15, incoming=0), **incoming}),
    )


def transfers() -> Scenario:
    """A receipt implies its departure; what is short at the end is lost; goods go elsewhere."""
    c = Cast("tr")
    wms, there = c.source("wms"), f"18-{c.name}"
    elsewhere = f"19-{c.name}"
    way = {"origin": c.location, "to": there, "sku": c.sku}
    return Scenario(
        "tr",
        [
            c.opening,
            b.transfer("received", wms, 2, "09:00", "X1", 2, **way),
            Expect(stock={**c.stock(on_hand=8), (c.sku, there): {"on_hand": 2, "in_transit": 0}}),
            b.transfer("shipped", wms, 1, "08:00", "X1", 5, **way),
            Expect(stock={**c.stock(on_hand=5), (c.sku, there): {"on_hand": 2, "in_transit": 3}}),
            b.transfer("received", wms, 3, "10:00", "X1", 1, **{**way, "to": elsewhere}),
            Expect(
                stock={
                    **c.stock(on_hand=5),
                    (c.sku, there): {"on_hand": 2, "in_transit": 2},
                    (c.sku, elsewhere): {"on_hand": 1, "in_transit": 0},
                }
            ),
            b.transfer("received", wms, 4, "11:00", "X1", 1, final=True, **way),
        ],
        Expect(
            stock={
                **c.stock(on_hand=5),
                (c.sku, there): {"on_hand": 3, "in_transit": 0},
                (c.sku, elsewhere): {"on_hand": 1, "in_transit": 0},
            }
        ),
    )


def _g25(name: str, mode: str) -> Scenario:
    c = Cast(name)
    p3 = c.source("p3")
    said = b.snapshot(c.source("erp"), 1, "2026-11-03T02:00:00Z", 8, {p3: 2}, mode, **c.here)
    return Scenario(
        name,
        [
            c.opening,
            *(c.sale("p3", n, f"20:0{n}") for n in range(1, 5)),
            Expect(stock=c.stock(on_hand=6)),
            said,
            Expect(stock=c.stock(on_hand=6)),
            c.sale("p3", 5, "2026-11-03T03:00:00Z"),
        ],
        Expect(stock=c.stock(on_hand=5)),
    )


def g25_compare() -> Scenario:
    return _g25("g25c", "compare")


def g25_adopt() -> Scenario:
    return _g25("g25a", "adopt")


def g26() -> Scenario:
    c = Cast("g26")
    p3, barcode = c.source("p3"), f"4006381333931-{c.name}"
    sold = c.sale("p3", 7, "09:00")
    sold["data"]["lines"].append({"line": 2, "sku": barcode, "quantity": 2})
    return Scenario(
        "g26",
        [
            Put("sources", p3, {"unknown_items": "hold"}),
            Put("items", c.sku, {}),
            c.opening,
            sold,
            Expect(stock=c.stock(on_hand=9)),
            sold,
            Put("items", c.other, {"aliases": [{"code": barcode}]}),
            Expect(stock={(c.other, c.location): {"on_hand": -2}}),
            sold,
        ],
        Expect(stock={**c.stock(on_hand=9), (c.other, c.location): {"on_hand": -2}}),
        letters=["unknown_item"],
        outcomes=["rebased", "applied"],
    )


def g27() -> Scenario:
    c = Cast("g27", opening=0)
    case = {"uom": "case", **c.here}
    packs = [
        {"uom": "case", "units": 12},
        {"uom": "case", "units": 10, "since": "2026-11-01T00:00:00Z"},
    ]
    return Scenario(
        "g27",
        [
            {**c.opening, "time": "2026-10-30T00:00:00Z"},
            Put("items", c.sku, {"packs": packs}),
            b.receipt(c.source("wms"), 1, "2026-10-31T23:00:00Z", 2, **case),
            Expect(stock=c.stock(on_hand=24)),
            b.receipt(c.source("wms"), 2, "2026-11-02T10:00:00Z", 2, **case),
        ],
        Expect(stock=c.stock(on_hand=44)),
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
    g5,
    g6,
    g6_skipped,
    g7,
    g7_burst,
    g7_slow,
    g8,
    g10a,
    g10b,
    g10c,
    g10_complete,
    g11,
    g12_count_first,
    g12_burst_first,
    g13,
    g14,
    g15,
    g16,
    g19,
    g19_revised,
    transfers,
    g25_compare,
    g25_adopt,
    g26,
    g27,
    g21a,
    g21b,
    g21c,
    g28,
    g28_released,
]
