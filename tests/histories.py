"""Random histories: what truly happened, how it was delivered, and runs with crashes.

A history is a pure function of its randomness. Sources have clocks that are wrong, send
late, twice, in arrays or out of order; the facts stay what they are.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from models import rows, topics
from models.ledger import LedgerEntry, decode
from models.reference import LocationFacts, SourceFacts
from streams.engine.partition import Partition
from streams.engine.stage import Outputs, Stage, Work
from tests import builders as b
from tests.oracle import BUCKETS, Fact, Line, Place, expected
from tests.pipeline import Pipeline, Record, topic_of

START = round(datetime(2026, 10, 24, 20, tzinfo=UTC).timestamp())
"""Five hours before clocks are set back in Berlin."""

SLOT = 240
SLOTS = 170
"""Facts lie in slots of four minutes, so that a corrected clock can't confuse them."""

HOUR = 3600
ZONE = ZoneInfo("Europe/Berlin")
LOCATIONS = ("17", "18")
ELSEWHERE = "99"
"""Where contacts of a device happen that only tell the time."""

SKEWS = (300, -300, 24 * HOUR, -24 * HOUR)

# What histories contain. False: left out, because the service does not agree with the oracle.
LATE_DOCUMENTS_AROUND_COUNTS = True
"""A count between two facts of a document that are told out of order, or by two sources."""
FINAL_RECEIPT_WITHOUT_REST = True
"""A final receipt that does not name every SKU of its advice, which may come or change later."""
ADVICE_OF_TWO_SOURCES = False
"""A revision by another source leaves out what the first announced."""
VOID_OF_REST_BEFORE_PARTIAL = True
"""A void of all that is left is told before an earlier void of a part, around a count."""
TIED_STATEMENTS = True
"""Two counts of one instant by two sources; two safety stocks alike."""
LATE_AREAS = True
"""An area of a count is told after the end of the count."""
COUNT_AROUND_OLDER_COUNT = True
"""A count began before another one ended, and ended after it."""
TAKEN_FROM_OTHER_BUCKETS = True
"""Goods leave quality_control or damaged, and this is told before they came."""


@dataclass
class Device:
    """A source: what it tells, by what clock, in which order. `jumps` is when it is set right."""

    name: str
    role: str
    location: str
    skew: int = 0
    jumps: int | None = None
    is_local: bool = False
    is_ordered: bool = False
    epoch_from: int | None = None
    names_epoch: bool = True
    control_first: bool = True

    @property
    def is_right(self) -> bool:
        return not self.skew and not self.is_local

    def clock(self, true: float) -> float:
        return true if self.jumps is not None and true >= self.jumps else true + self.skew


@dataclass
class Delivery:
    """One sending of one event; `sent` is the true time."""

    sent: float
    event: dict[str, Any]
    device: Device
    says_sent: bool


@dataclass
class Arrival:
    """A record in the log, at `at` in milliseconds."""

    at: int
    events: list[dict[str, Any]]

    def append(self, pipeline: Pipeline) -> None:
        said = self.events[0] if len(self.events) == 1 else self.events
        first = self.events[0]
        pipeline.append(topic_of(first), first["source"], json.dumps(said).encode(), self.at)


@dataclass
class History:
    facts: list[Fact]
    devices: list[Device]
    log: list[Arrival] = field(default_factory=list)

    def told(self) -> str:
        """For a failure's message."""
        lines = [f"{device}" for device in self.devices]
        lines += [f"{_utc(fact.at)} {fact}" for fact in self.facts]
        return "\n".join([*lines, *(f"{one.at} {one.events}" for one in self.log)])


def history(random: Random) -> History:
    """5 to 40 facts, and their delivery."""
    is_prompt = random.random() < 0.25
    devices = _devices(random, is_prompt)
    facts = _Facts(random, devices).make(random.randint(5, 40))
    facts = _ties(random, _with_possible_starts(facts, devices), devices)
    if not COUNT_AROUND_OLDER_COUNT:
        facts = _without_counts_around_older_ones(facts)
    if not LATE_DOCUMENTS_AROUND_COUNTS:
        facts = _without_counts_inside_documents(facts, is_prompt)
    facts = _numbered(random, facts + _contacts(devices), devices)
    made = History(facts, devices)
    made.log = _log(random, facts, devices, is_prompt)
    return made


# -- sources


def _devices(random: Random, is_prompt: bool) -> list[Device]:
    devices = [
        Device("p1", "register", LOCATIONS[0]),
        Device("p2", "register", LOCATIONS[1]),
        Device("p3", "register", random.choice(LOCATIONS)),
        Device("wms1", "wms", ""),
        Device("wms2", "wms", ""),
        Device("hh1", "handheld", ""),
        Device("hh2", "handheld", ""),
        Device("rd", "desk", ""),
    ]
    for device in devices:
        device.is_ordered = is_prompt or random.random() < 0.3
        way = random.random()
        if way < 0.15:
            device.skew = random.choice(SKEWS)
        elif way < 0.25:
            device.skew = random.choice([300, 24 * HOUR])
            device.jumps = _between_slots(random)
            device.is_ordered = True
        elif way < 0.35:
            device.is_local = device.is_ordered = True
        elif way < 0.5:
            device.epoch_from = _between_slots(random)
            if device.role == "register" and random.random() < 0.5:
                device.names_epoch = False
                device.control_first = random.random() < 0.5
                device.is_ordered = device.is_ordered or not device.control_first
    return devices


def _between_slots(random: Random) -> int:
    return START + random.randrange(SLOTS) * SLOT + SLOT // 2


def _contacts(devices: list[Device]) -> list[Fact]:
    """A slow clock is proven in three hours; one that is set is used just before and after."""
    facts = []
    for device in devices:
        times = []
        if device.jumps is not None:
            times = [device.jumps - 60, device.jumps + 60]
        elif device.skew < 0:
            times = [START - hour * HOUR + 600 for hour in (3, 2, 1)]
        for at in times:
            line = Line(1, "W", 1)
            kind = {"register": "sale", "desk": "received"}.get(device.role, "adjustment")
            facts.append(
                Fact(kind, device.name, at, ELSEWHERE, (line,), name=f"C-{device.name}-{at}")
            )
    return facts


# -- facts


class _Facts:
    """Makes facts in order of time, and remembers what later ones may be about."""

    def __init__(self, random: Random, devices: list[Device]) -> None:
        self.random = random
        self.by_role: dict[str, list[Device]] = defaultdict(list)
        for device in devices:
            self.by_role[device.role].append(device)
        self.skus = ("A", "B", "C")[: random.randint(2, 3)]
        self.names = 0
        self.sold: list[tuple[Fact, dict[int, int], bool]] = []
        self.advices: list[Fact] = []
        self.transfers: list[Fact] = []
        self.returns: list[Fact] = []
        self.laid_aside: Counter[tuple[str, str, str, str]] = Counter()

    def make(self, number: int) -> list[Fact]:
        facts: list[Fact] = []
        slots = self.random.choice((range(SLOTS), range(45, 100)))
        for slot in sorted(self.random.sample(slots, number)):
            role = self.random.choices(("register", "wms", "handheld", "desk"), (5, 5, 4, 2))[0]
            facts += getattr(self, f"_{role}")(START + slot * SLOT)
        return facts

    def _new(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def _lines(self, most: int = 9, buckets: tuple[str, ...] = ("on_hand",)) -> tuple[Line, ...]:
        random = self.random
        return tuple(
            Line(number, random.choice(self.skus), random.randint(1, most), random.choice(buckets))
            for number in range(1, random.choice((2, 2, 3)))
        )

    def _one_per_sku(self, most: int = 9) -> tuple[Line, ...]:
        return tuple({line.sku: line for line in self._lines(most)}.values())

    def _register(self, at: int) -> Iterator[Fact]:
        random = self.random
        device = random.choice(self.by_role["register"])
        way = random.random()
        if way < 0.3:
            fact = self._void(at)
            if fact is not None:
                yield fact
                return
        if way > 0.85:
            lines = self._lines(4, CONDITIONS)
            yield Fact("till_return", device.name, at, device.location, lines, self._new("T"))
            return
        fact = Fact("sale", device.name, at, device.location, self._lines(), self._new("T"))
        self.sold.append((fact, {line.number: line.quantity for line in fact.lines}, False))
        yield fact

    def _void(self, at: int) -> Fact | None:
        random = self.random
        open_sales = [one for one in self.sold if any(one[1].values())]
        if not open_sales:
            return None
        sale, left, was_partial = random.choice(open_sales)
        is_whole = random.random() < 0.5 and (VOID_OF_REST_BEFORE_PARTIAL or not was_partial)
        lines = []
        for line in sale.lines:
            units = left[line.number] if is_whole else random.randint(0, left[line.number])
            if units:
                lines.append(line._replace(quantity=units))
                left[line.number] -= units
        if not lines:
            return None
        self.sold[self.sold.index((sale, left, was_partial))] = sale, left, True
        # `final` stands for a void without lines.
        return Fact("void", sale.source, at, sale.location, tuple(lines), sale.name, final=is_whole)

    def _wms(self, at: int) -> Iterator[Fact]:
        random = self.random
        device = random.choice(self.by_role["wms"])
        source = device.name
        location = random.choice(LOCATIONS)
        kind = random.choices(
            (
                "receipt",
                "advised",
                "advised_receipt",
                "shipped",
                "arrived",
                "adjustment",
                "safety_stock",
            ),
            (3, 2, 3, 3, 4, 2, 2),
        )[0]
        aside = [(key, units) for key, units in self.laid_aside.items() if units]
        if not TAKEN_FROM_OTHER_BUCKETS:
            aside = [one for one in aside if one[0][0] == source and device.is_ordered]
        if aside and random.random() < 0.2:
            yield self._taken(at, source, *random.choice(aside))
        else:
            yield getattr(self, f"_{kind}")(at, source, location)

    def _receipt(self, at: int, source: str, location: str) -> Fact:
        lines = self._lines(9, CONDITIONS)
        for _, sku, units, bucket in lines:
            if bucket != "on_hand":
                self.laid_aside[source, sku, location, bucket] += units
        return Fact("receipt", source, at, location, lines)

    def _adjustment(self, at: int, source: str, location: str) -> Fact:
        sign = self.random.choice((-1, 1))
        lines = tuple(one._replace(quantity=sign * one.quantity) for one in self._lines())
        return Fact("adjustment", source, at, location, lines)

    def _safety_stock(self, at: int, source: str, location: str) -> Fact:
        return Fact("safety_stock", source, at, location, self._one_per_sku())

    def _taken(self, at: int, source: str, key: tuple[str, str, str, str], units: int) -> Fact:
        """Goods that were laid aside are written off, or leave for another location."""
        random = self.random
        _, sku, location, bucket = key
        taken = random.randint(1, units)
        self.laid_aside[key] -= taken
        if random.random() < 0.5:
            return Fact("adjustment", source, at, location, (Line(1, sku, -taken, bucket),))
        lines, name = (Line(1, sku, taken, bucket),), self._new("X")
        to = LOCATIONS[0] if location == LOCATIONS[1] else LOCATIONS[1]
        return Fact("shipped", source, at, location, lines, name, to=to)

    def _advised(self, at: int, source: str, location: str) -> Fact:
        random = self.random
        name = self._new("N")
        if self.advices and random.random() < 0.5:
            known = random.choice(self.advices)
            name, location = known.name, known.location
            source = source if ADVICE_OF_TWO_SOURCES else known.source
        cancelled = random.random() < 0.15
        fact = Fact("advised", source, at, location, self._lines(20), name, cancelled=cancelled)
        self.advices.append(fact)
        return fact

    def _advised_receipt(self, at: int, source: str, location: str) -> Fact:
        random = self.random
        name, final = self._new("N"), False
        if self.advices:
            known = random.choice(self.advices)
            name = known.name
            source = source if ADVICE_OF_TWO_SOURCES else known.source
            if random.random() < 0.8:
                location = known.location
            final = random.random() < 0.3
        lines = self._lines(9, CONDITIONS)
        if final and not FINAL_RECEIPT_WITHOUT_REST:
            others = [sku for sku in self.skus if sku not in {line.sku for line in lines}]
            lines += tuple(Line(place, sku, 0) for place, sku in enumerate(others, start=8))
        return Fact("receipt", source, at, location, lines, name, final=final)

    def _shipped(self, at: int, source: str, location: str) -> Fact:
        random = self.random
        if self.transfers and random.random() < 0.3:
            known = random.choice(self.transfers)
            origin, to = known.location, known.to
            lines = tuple(
                one._replace(quantity=random.randint(1, 5), bucket="on_hand") for one in known.lines
            )
            name = known.name
        else:
            origin = location
            to = LOCATIONS[0] if location == LOCATIONS[1] else LOCATIONS[1]
            lines, name = self._lines(), self._new("X")
        fact = Fact("shipped", source, at, origin, lines, name, to=to)
        self.transfers.append(fact)
        return fact

    def _arrived(self, at: int, source: str, location: str) -> Fact:
        random = self.random
        if self.transfers and random.random() < 0.85:
            known = random.choice(self.transfers)
        else:
            to = LOCATIONS[0] if location == LOCATIONS[1] else LOCATIONS[1]
            known = Fact("shipped", source, at, location, self._lines(), self._new("X"), to=to)
            self.transfers.append(known)
        location = known.to
        if random.random() < 0.1:
            location = "19"
        lines = tuple(
            one._replace(quantity=random.randint(1, 6), bucket=random.choice(CONDITIONS))
            for one in known.lines
        )
        final = random.random() < 0.2
        return Fact(
            "arrived", source, at, location, lines, known.name, origin=known.location, final=final
        )

    def _handheld(self, at: int) -> Iterator[Fact]:
        random = self.random
        device = random.choice(self.by_role["handheld"])
        source = device.name
        location = random.choice(LOCATIONS)
        way = random.random()
        if way < 0.2:
            units = random.choice((-2, -1, 1, 2))
            lines = (Line(1, random.choice(self.skus), units),)
            yield Fact("adjustment", source, at, location, lines)
            return
        lines = self._one_per_sku(30)
        name = self._new("K")
        started = at - random.choice((1, 5, 20)) * SLOT - SLOT // 2
        if way < 0.5:
            yield Fact("count", source, at, location, lines, name, final=True)
        elif way < 0.7:
            yield Fact("count", source, at, location, lines, name, final=True, started=started)
        elif way < 0.85 or not (device.is_ordered or LATE_AREAS):
            yield Fact("count", source, at, location, lines, name, final=True, area="aisle")
        else:
            parts = random.randint(2, 3)
            for part in range(parts):
                line = lines[0]._replace(quantity=random.randint(0, 9))
                then = at - (parts - 1 - part) * 2 * SLOT - (SLOT // 3 if part < parts - 1 else 0)
                yield Fact(
                    "count",
                    source,
                    then,
                    location,
                    (line,),
                    name,
                    final=part == parts - 1,
                    area=f"area-{part}",
                )

    def _desk(self, at: int) -> Iterator[Fact]:
        random = self.random
        source = self.by_role["desk"][0].name
        kind = random.choices(("authorized", "received", "disposed"), (1, 3, 4))[0]
        location = random.choice(LOCATIONS)
        if self.returns and random.random() < 0.7:
            known = random.choice(self.returns)
        else:
            known = Fact(kind, source, at, location, self._lines(4), self._new("R"))
            self.returns.append(known)
        if kind == "received" or random.random() < 0.8:
            location = known.location
        lines = tuple(one._replace(quantity=random.randint(1, 4)) for one in known.lines)
        disposition = random.choice(DISPOSITIONS) if kind == "disposed" else ""
        yield Fact(kind, source, at, location, lines, known.name, disposition=disposition)


CONDITIONS = ("on_hand", "quality_control", "damaged")
DISPOSITIONS = ("restock", "refurbish", "vendor_return", "write_off", "quarantine")


def _with_possible_starts(facts: list[Fact], devices: list[Device]) -> list[Fact]:
    """No count begins by one clock and ends by another."""
    jumps = {device.name: device.jumps for device in devices if device.jumps is not None}
    return [
        fact._replace(started=None)
        if fact.started is not None and fact.started < jumps.get(fact.source, 0) <= fact.at
        else fact
        for fact in facts
    ]


def _ties(random: Random, facts: list[Fact], devices: list[Device]) -> list[Fact]:
    """Some deltas happen just when a count does, or while it is under way."""
    right = {device.name for device in devices if device.is_right}
    counts = [fact for fact in facts if fact.kind == "count" and fact.source in right]
    settled = [fact for fact in facts if fact.kind == "safety_stock" and fact.source in right]
    told = []
    for fact in facts:
        moved = fact
        if TIED_STATEMENTS and fact in counts and random.random() < 0.1:
            other = random.choice(counts)
            if other.source != fact.source and not fact.area and fact.started is None:
                moved = fact._replace(at=other.at)
        elif TIED_STATEMENTS and fact in settled and random.random() < 0.2:
            other = random.choice(settled)
            if other.source != fact.source:
                moved = fact._replace(at=other.at)
        elif (
            counts
            and fact.kind in {"sale", "receipt", "adjustment", "till_return"}
            and fact.source in right
            and {line.bucket for line in fact.lines} == {"on_hand"}
            and random.random() < 0.3
        ):
            count = random.choice(counts)
            # A void of it is later still.
            if count.at <= fact.at:
                started = count.at if count.started is None else count.started
                moved = fact._replace(at=random.choice((count.at, (started + count.at) // 2)))
        told.append(moved)
    return told


def _without_counts_around_older_ones(facts: list[Fact]) -> list[Fact]:
    """Without those counts that were under way while another one ended, at one of its places."""
    spans: dict[str, tuple[int, int]] = {}
    for fact in facts:
        if fact.kind == "count":
            started = fact.at if fact.started is None else fact.started
            first, last = spans.get(fact.name, (started, fact.at))
            spans[fact.name] = min(first, started), max(last, fact.at)
    places = {
        (f.name, line.sku, f.location) for f in facts if f.kind == "count" for line in f.lines
    }
    around = {
        name
        for name, sku, location in places
        for other, other_sku, other_location in places
        if (sku, location) == (other_sku, other_location)
        and name != other
        and spans[name][0] <= spans[other][1] <= spans[name][1]
        and spans[name][0] < spans[name][1]
    }
    return [fact for fact in facts if fact.kind != "count" or fact.name not in around]


def _without_counts_inside_documents(facts: list[Fact], is_prompt: bool) -> list[Fact]:
    """Without those counts that stand between two facts of a document, at one of its places.

    If all is prompt, documents that one source tells in its order may stand around a count.
    """
    documents: dict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        if fact.kind in {"shipped", "arrived", "authorized", "received", "disposed"}:
            documents[fact.name].append(fact)
    around: dict[Place, list[tuple[int, int]]] = defaultdict(list)
    for told in documents.values():
        if is_prompt and len({fact.source for fact in told}) == 1:
            continue
        times = [fact.at for fact in told]
        for sku in {line.sku for fact in told for line in fact.lines}:
            for location in {place for one in told for place in (one.location, one.origin, one.to)}:
                around[sku, location].append((min(times), max(times)))
    kept = []
    for fact in facts:
        started = fact.at if fact.started is None else fact.started
        if fact.kind != "count" or not any(
            first < last and first <= fact.at and last >= started
            for line in fact.lines
            for first, last in around[line.sku, fact.location]
        ):
            kept.append(fact)
    return kept


def _numbered(random: Random, facts: list[Fact], devices: list[Device]) -> list[Fact]:
    """Every source numbers what it tells, in order of time."""
    numbered: list[Fact] = []
    for device in devices:
        own = sorted((fact for fact in facts if fact.source == device.name), key=lambda one: one.at)
        first = random.choice((1, 1, 60, 4411)) if device.names_epoch else 1
        begins = len(own)
        if device.epoch_from is not None:
            begins = sum(fact.at < device.epoch_from for fact in own)
            if not device.names_epoch and not device.control_first and len(own) > 2 * begins:
                device.epoch_from, device.names_epoch, begins = None, True, len(own)
        for place, fact in enumerate(own):
            epoch, sequence = (0, first + place) if place < begins else (1, place - begins + 1)
            numbered.append(fact._replace(epoch=epoch, sequence=sequence))
    return sorted(numbered, key=lambda one: one.at)


# -- delivery


def _log(
    random: Random, facts: list[Fact], devices: list[Device], is_prompt: bool
) -> list[Arrival]:
    groups: list[list[Delivery]] = []
    for device in devices:
        own = [fact for fact in facts if fact.source == device.name]
        groups += _grouped(random, _deliveries(random, device, own, is_prompt), device, is_prompt)
    groups.sort(key=lambda group: group[-1].sent)
    log: list[Arrival] = []
    now = 0
    for group in groups:
        sent = group[-1].sent
        now = max(now, round((sent + random.uniform(0.05, 1.5)) * 1000))
        for one in group:
            if one.says_sent:
                one.event["sentat"] = _utc(one.device.clock(sent))
        log.append(Arrival(now, [one.event for one in group]))
    return log


def _deliveries(
    random: Random, device: Device, facts: list[Fact], is_prompt: bool
) -> list[Delivery]:
    made: list[Delivery] = []
    before: Fact | None = None
    last = 0.0
    is_quiet = is_prompt or device.jumps is not None or not device.control_first
    until = 0.0
    for fact in facts:
        event = _event(random, device, fact, before)
        before = fact
        sent = fact.at + random.random()
        is_contact = fact.location == ELSEWHERE
        if not is_quiet and not is_contact:
            if random.random() < 0.25:
                until = fact.at + random.choice((0.2, 1, 6)) * HOUR * random.random()
            if not device.is_ordered:
                sent += random.choice((0, 0, 0.1, 1, 6)) * HOUR * random.random()
            else:
                sent = max(sent, until)
        if device.is_ordered:
            sent = last = max(sent, last + 0.001)
        says_sent = bool(device.skew) or random.random() < 0.5
        made.append(Delivery(sent, event, device, says_sent))
        while random.random() < 0.2:
            again = {**event, "id": f"{event['id']}-again"}
            later = sent + 1 + random.choice((0.01, 1, 5)) * HOUR * random.random()
            made.append(Delivery(later, again, device, says_sent))
        if random.random() < 0.05 and fact.kind != "void":
            other = {**event, "id": f"{event['id']}-other", "data": _contradicted(event["data"])}
            later = sent + 1 + HOUR * random.random()
            made.append(Delivery(later, other, device, says_sent))
    made += _controls(device, made)
    return sorted(made, key=lambda one: one.sent)


def _contradicted(data: dict[str, Any]) -> dict[str, Any]:
    first, *others = data["lines"]
    return {**data, "lines": [{**first, "quantity": first["quantity"] + 50}, *others]}


def _controls(device: Device, made: list[Delivery]) -> list[Delivery]:
    if device.epoch_from is None or device.names_epoch:
        return []
    sent = float(device.epoch_from)
    if device.control_first:
        said = {"epoch": 1, "since": _utc(device.epoch_from)}
    else:
        sent = max([sent, *(one.sent for one in made)]) + 60
        said = {"epoch": 1}
    event = b.control("epoch.opened", device.name, _utc(sent), **said)
    return [Delivery(sent, event, device, says_sent=False)]


def _grouped(
    random: Random, made: list[Delivery], device: Device, is_prompt: bool
) -> list[list[Delivery]]:
    """Some that were sent one after another are sent together, with the last of them."""
    groups: list[list[Delivery]] = []
    for one in made:
        joins = (
            groups
            and not is_prompt
            and device.jumps is None
            and one.sent > START
            and groups[-1][-1].sent > START
            and device.control_first
            and not one.event["type"].startswith("source.")
            and not groups[-1][-1].event["type"].startswith("source.")
            and random.random() < 0.3
        )
        if joins:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


_TYPES = {
    "sale": "pos.sale.completed.v1",
    "void": "pos.sale.voided.v1",
    "till_return": "pos.sale.returned.v1",
    "receipt": "warehouse.receipt.received.v1",
    "adjustment": "warehouse.stock.adjusted.v1",
    "count": "warehouse.stock.counted.v1",
    "advised": "warehouse.shipment.advised.v1",
    "shipped": "warehouse.transfer.shipped.v1",
    "arrived": "warehouse.transfer.received.v1",
    "safety_stock": "warehouse.safety_stock.set.v1",
    "authorized": "returns.return.authorized.v1",
    "received": "returns.return.received.v1",
    "disposed": "returns.return.disposed.v1",
}
_CONDITION = {"on_hand": "sellable", "quality_control": "quality_control", "damaged": "damaged"}


def _event(random: Random, device: Device, fact: Fact, before: Fact | None) -> dict[str, Any]:
    more: dict[str, Any] = {}
    if fact.epoch and device.names_epoch:
        more["epoch"] = fact.epoch
    time = _stamp(random, device, fact.at, before)
    data = _data(fact, device)
    event = b.event(_TYPES[fact.kind], fact.source, fact.sequence, time, data, **more)
    event["id"] = f"{fact.source}-{fact.epoch}-{fact.sequence}"
    return event


def _data(fact: Fact, device: Device) -> dict[str, Any]:
    lines = [_line(fact, line) for line in fact.lines]
    if fact.kind in {"shipped", "arrived"}:
        ends = {"from": fact.origin or fact.location, "to": fact.to or fact.location}
        return {"transfer": fact.name, **ends, "lines": lines, **_flags(fact, "final")}
    data: dict[str, Any] = {"location": fact.location, "lines": lines}
    if fact.kind == "void" and fact.final:
        del data["lines"]
    named = _NAMED.get(fact.kind)
    if named is not None and fact.name:
        data[named] = fact.name
    if fact.kind == "adjustment":
        data["reason"] = "shrink"
    if fact.kind == "receipt":
        data |= {"receipt": f"{fact.source}-{fact.epoch}-{fact.sequence}", **_flags(fact, "final")}
    if fact.kind == "count":
        data |= {"final": fact.final, **_flags(fact, "area")}
        if fact.started is not None:
            data["started"] = _utc(device.clock(fact.started))
    return {**data, **_flags(fact, "cancelled", "disposition")}


_NAMED = {
    **dict.fromkeys(("sale", "void", "till_return"), "transaction"),
    **dict.fromkeys(("authorized", "received", "disposed"), "rma"),
    **dict.fromkeys(("receipt", "advised"), "advice"),
    "count": "count",
}


def _flags(fact: Fact, *names: str) -> dict[str, Any]:
    return {name: getattr(fact, name) for name in names if getattr(fact, name)}


def _line(fact: Fact, line: Line) -> dict[str, Any]:
    told: dict[str, Any] = {"line": line.number, "sku": line.sku, "quantity": line.quantity}
    match fact.kind:
        case "void":
            del told["sku"]
        case "receipt" | "till_return" | "arrived":
            told["condition"] = _CONDITION[line.bucket]
        case "adjustment" | "shipped":
            told["bucket"] = line.bucket
    return told


def _utc(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def _stamp(random: Random, device: Device, at: int, before: Fact | None) -> str:
    """By the device's clock; local without offset where the one before settles what is meant."""
    if device.is_local:
        local = datetime.fromtimestamp(at, ZONE)
        if local.fold == 0 or (before is not None and before.at > at - HOUR):
            return local.replace(tzinfo=None).isoformat()
    said = datetime.fromtimestamp(device.clock(at), UTC)
    if random.random() < 0.3:
        said = said.astimezone(timezone(timedelta(hours=2)))
    return said.isoformat()


# -- running


class _Balance(msgspec.Struct):
    on_hand: int
    quality_control: int
    damaged: int
    in_transit: int
    incoming: int
    safety_stock: int


_balance = msgspec.json.Decoder(_Balance).decode


class Run:
    """A pipeline that crashes at times; after every step the ledger must explain each row."""

    def __init__(self, told: History, random: Random, pipeline: Pipeline) -> None:
        self.history = told
        self.random = random
        self.pipeline = pipeline
        self.sums: dict[Place, Counter[str]] = defaultdict(Counter)
        self.entries: dict[tuple[Place, int], LedgerEntry] = {}
        self._audited: Counter[int] = Counter()

    def run(self) -> None:
        pipeline, random = self.pipeline, self.random
        pipeline.clock = (START - 4 * HOUR) * 1000
        self._state_reference()
        waiting = list(self.history.log)
        while waiting:
            number = random.choice((3, 10, 30, len(waiting)))
            for record in waiting[:number]:
                record.append(pipeline)
            del waiting[:number]
            self._absorb(random.choice((1, 3, 1_000)))

    def _state_reference(self) -> None:
        local = [device for device in self.history.devices if device.is_local]
        if local:
            for location in (*LOCATIONS, "19", ELSEWHERE):
                self.pipeline.put("location", location, LocationFacts(zone=ZONE.key))
        for device in local:
            self.pipeline.put("source", device.name, SourceFacts(local_time=True))

    def _absorb(self, limit: int) -> None:
        moved = True
        while moved:
            moved = False
            for stage in self.pipeline.stages:
                if self.random.random() < 0.1:
                    self._crash(stage, limit)
                if self.pipeline.step(stage, limit):
                    moved = True
                    if stage is self.pipeline.inventory:
                        self.audit()

    def _crash(self, stage: Stage, limit: int) -> None:
        """A step of which only some outputs landed, or all and the state of some partitions."""
        pipeline, random = self.pipeline, self.random
        outputs: Outputs = {}
        works = []
        for number in range(pipeline.settings.partitions):
            work = Work(pipeline.state[stage.name, number], outputs)
            if pipeline._absorb(stage, work, limit):
                works.append(work)
        for work in works:
            stage.finish(work)
        all_landed = random.random() < 0.5
        self._land({to: out for to, out in outputs.items() if all_landed or random.random() < 0.5})
        for work in works:
            if all_landed and random.random() < 0.3:
                work.partition.acknowledge(work.partition.cut("test", 0))
        for number in range(pipeline.settings.partitions):
            stage.closed(number)
            partition = pipeline.state[stage.name, number]
            if random.random() < 0.5:
                partition.undo()
            else:
                pipeline.state[stage.name, number] = partition = _recovered(partition)
            stage.opened(partition)

    def _land(self, outputs: Outputs) -> None:
        for (topic, number), records in outputs.items():
            log = self.pipeline.logs[topic, number]
            for key, value, headers in records:
                self.pipeline.clock += 1
                log.append(Record(key, value, number, len(log), self.pipeline.clock, headers))

    def audit(self) -> None:
        """Σ deltas of a row's ledger entries is what the row holds, in every bucket."""
        touched = set()
        for number in range(self.pipeline.settings.partitions):
            log = self.pipeline.logs[topics.INVENTORY_LEDGER, number]
            for record in log[self._audited[number] :]:
                for entry in decode(record.value):
                    place = entry.movement.sku, entry.movement.location
                    known = self.entries.setdefault((place, entry.version), entry)
                    if known is not entry:
                        assert known == entry, f"a rerun decided otherwise: {known} {entry}"
                        continue
                    self.sums[place].update(entry.deltas)
                    touched.add(place)
            self._audited[number] = len(log)
        for place in touched:
            held = self.bucket(place)
            told = {name: self.sums[place][name] for name in BUCKETS}
            assert told == held, f"conservation of {place}: ledger {told}, row {held}"

    def bucket(self, place: Place) -> dict[str, int]:
        pipeline = self.pipeline
        partition = pipeline.state["inventory", pipeline.routing.of(place[0])[1]]
        value = partition.encoded.get(rows.stock_key(*place))
        return (
            dict.fromkeys(BUCKETS, 0) if value is None else msgspec.structs.asdict(_balance(value))
        )


def _recovered(partition: Partition) -> Partition:
    """The partition as a new process reads it."""
    fresh = Partition(partition.number)
    fresh.load(Record(key.encode(), value, 0, 0, 0) for key, value in partition.encoded.items())
    partition.undo()
    fresh.position = partition.position
    fresh._acked_position = partition._acked_position
    fresh.end = partition.end
    fresh.recovered()
    return fresh


def differences(random: Random, pipeline: Pipeline) -> tuple[History, list[str]]:
    """Run a random history; where rows are not as the oracle says, in words.

    Raises AssertionError where the ledger does not explain a row.
    """
    told = history(random)
    run = Run(told, random, pipeline)
    run.run()
    found = []
    wanted = expected(told.facts)
    nothing = dict.fromkeys(BUCKETS, 0)
    for place in sorted({*wanted, *run.sums}):
        want = wanted.get(place, nothing)
        has = run.bucket(place)
        if want != has:
            off = {name: (want[name], has[name]) for name in BUCKETS if want[name] != has[name]}
            found.append(f"{place}: (expected, seen) {off}")
    return told, found
