"""What stock must be, from the whole history as it truly happened, by definition.

A specification: it shares no code with the service, and looks at all facts at once.
on_hand is the last count by (time, sequence) and every delta truly after it; documents are
totals of counters per line; advices and safety stock are the latest statement.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

BUCKETS = ("on_hand", "quality_control", "damaged", "in_transit", "incoming", "safety_stock")

Place = tuple[str, str]
"""SKU and location."""


class Line(NamedTuple):
    number: int
    sku: str
    quantity: int
    bucket: str = "on_hand"


class Fact(NamedTuple):
    """Something that happened at `at`, in seconds. `name` is that of its document.

    A shipment goes from `location` to `to`; what arrives at `location` came from `origin`.
    """

    kind: str
    source: str
    at: int
    location: str
    lines: tuple[Line, ...]
    name: str = ""
    epoch: int = 0
    sequence: int = 0
    origin: str = ""
    to: str = ""
    final: bool = False
    cancelled: bool = False
    disposition: str = ""
    started: int | None = None
    area: str | None = None

    @property
    def order(self) -> tuple[int, int]:
        return self.at, self.sequence


class Delta(NamedTuple):
    place: Place
    bucket: str
    quantity: int
    fact: Fact


class Count(NamedTuple):
    """`last` is the fact that ends it."""

    quantity: int
    started: int
    last: Fact


Target = Counter[tuple[str, str]]
"""Units by location and bucket."""


def expected(facts: list[Fact]) -> dict[Place, dict[str, int]]:
    """Every bucket of every place that some fact is about."""
    rows: dict[Place, dict[str, int]] = {}
    for fact in facts:
        for location in {fact.location, fact.origin, fact.to} - {""}:
            for line in fact.lines:
                rows[line.sku, location] = dict.fromkeys(BUCKETS, 0)
    deltas = [*_plain(facts), *_transfers(facts), *_returns(facts)]
    counts = _last_counts(facts)
    for place, count in counts.items():
        rows[place]["on_hand"] = count.quantity
    for place, bucket, quantity, fact in deltas:
        count = counts.get(place) if bucket == "on_hand" else None
        if count is None or _is_after(quantity, fact, count):
            rows[place][bucket] += quantity
    for place, units in _incoming(facts):
        rows[place]["incoming"] += units
    for place, units in _safety_stock(facts):
        rows[place]["safety_stock"] = units
    return rows


def _is_after(quantity: int, fact: Fact, count: Count) -> bool:
    if fact.at > count.last.at:
        return True
    if fact.at < count.started:
        return False
    if fact.source == count.last.source:
        return (fact.epoch, fact.sequence) > (count.last.epoch, count.last.sequence)
    return quantity < 0


def _plain(facts: list[Fact]) -> Iterator[Delta]:
    sign = {"sale": -1, "void": 1, "till_return": 1, "receipt": 1, "adjustment": 1}
    for fact in facts:
        if fact.kind in sign:
            for _, sku, quantity, bucket in fact.lines:
                yield Delta((sku, fact.location), bucket, sign[fact.kind] * quantity, fact)


def _last_counts(facts: list[Fact]) -> dict[Place, Count]:
    """Areas of one count add up once one of them is final."""
    areas: dict[tuple[Place, str], dict[str | None, tuple[Fact, int]]] = defaultdict(dict)
    for fact in sorted(_of(facts, "count"), key=lambda one: one.order):
        for line in fact.lines:
            areas[(line.sku, fact.location), fact.name][fact.area] = fact, line.quantity
    last: dict[Place, Count] = {}
    for (place, _), parts in areas.items():
        told = [fact for fact, _ in parts.values()]
        if not any(fact.final for fact in told):
            continue
        started = min(fact.at if fact.started is None else fact.started for fact in told)
        units = sum(quantity for _, quantity in parts.values())
        count = Count(units, started, max(told, key=lambda one: one.order))
        known = last.get(place)
        if known is None or (known.last.order, -known.quantity) < (count.last.order, -units):
            last[place] = count
    return last


def _transfers(facts: list[Fact]) -> Iterator[Delta]:
    def target(told: list[tuple[Fact, Line]]) -> Target:
        shipped = sum(line.quantity for fact, line in told if fact.kind == "shipped")
        came = sum(line.quantity for fact, line in told if fact.kind == "arrived")
        comes_to: Target = Counter()
        for fact, line in told:
            if fact.kind == "arrived":
                comes_to[fact.location, line.bucket] += line.quantity
        departures = [(fact, line) for fact, line in told if fact.kind == "shipped"]
        if departures:
            fact, line = departures[0]
            comes_to[fact.location, line.bucket] -= max(shipped, came)
            if not any(fact.final for fact, _ in told):
                comes_to[fact.to, "in_transit"] += max(0, shipped - came)
        else:
            comes_to[told[0][0].origin, "on_hand"] -= came
        return comes_to

    return _documents(_of(facts, "shipped", "arrived"), target)


def _returns(facts: list[Fact]) -> Iterator[Delta]:
    buckets = {
        "restock": "on_hand",
        "quarantine": "quality_control",
        "refurbish": "quality_control",
        "vendor_return": "damaged",
    }

    def target(told: list[tuple[Fact, Line]]) -> Target:
        authorized = [line.quantity for fact, line in told if fact.kind == "authorized"]
        received = [(fact, line.quantity) for fact, line in told if fact.kind == "received"]
        disposed = [(fact, line.quantity) for fact, line in told if fact.kind == "disposed"]
        came = sum(units for _, units in received)
        limit = max([*authorized[-1:], came])
        limit = limit or max((units for _, units in disposed), default=0)
        comes_to: Target = Counter()
        decided = 0
        for fact, units in reversed(disposed):
            stands = min(units, limit - decided)
            decided += stands
            if fact.disposition in buckets:
                comes_to[fact.location, buckets[fact.disposition]] += stands
        if received:
            comes_to[received[0][0].location, "quality_control"] += max(0, came - decided)
        return comes_to

    return _documents(_of(facts, "authorized", "received", "disposed"), target)


def _documents(
    facts: Iterable[Fact], target: Callable[[list[tuple[Fact, Line]]], Target]
) -> Iterator[Delta]:
    """What a document's counters came to after each of its facts, less what before."""
    told: dict[tuple[str, int, str], list[tuple[Fact, Line]]] = defaultdict(list)
    before: dict[tuple[str, int, str], Target] = defaultdict(Counter)
    for fact in sorted(facts, key=lambda one: one.order):
        for line in fact.lines:
            key = fact.name, line.number, line.sku
            told[key].append((fact, line))
            now = target(told[key])
            for location, bucket in {*now, *before[key]}:
                units = now[location, bucket] - before[key][location, bucket]
                yield Delta((line.sku, location), bucket, units, fact)
            before[key] = now


def _incoming(facts: list[Fact]) -> Iterator[tuple[Place, int]]:
    """What the latest revision of an advice announced and did not come; 0 once it is closed."""
    for name in {fact.name for fact in _of(facts, "advised")}:
        stands = max((f for f in _of(facts, "advised") if f.name == name), key=lambda f: f.order)
        receipts = [fact for fact in _of(facts, "receipt") if fact.name == name]
        if stands.cancelled or any(fact.final for fact in receipts):
            continue
        left = Counter({sku: 0 for _, sku, _, _ in stands.lines})
        for line in stands.lines:
            left[line.sku] += line.quantity
        for fact in receipts:
            for line in fact.lines:
                left[line.sku] -= line.quantity
        for line in stands.lines:
            yield (line.sku, stands.location), max(0, left.pop(line.sku, 0))


def _safety_stock(facts: list[Fact]) -> Iterator[tuple[Place, int]]:
    """Ascending, so that the latest is the last of its place; of a tie, the higher."""
    stated = [
        (fact.order, line.quantity, (line.sku, fact.location))
        for fact in _of(facts, "safety_stock")
        for line in fact.lines
    ]
    for _, quantity, place in sorted(stated):
        yield place, quantity


def _of(facts: Iterable[Fact], *kinds: str) -> list[Fact]:
    return [fact for fact in facts if fact.kind in kinds]
