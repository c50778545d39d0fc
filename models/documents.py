"""Documents: advices, transfers and returns keep counters per line, and buckets derive.

A document's line keeps the facts that were told of it. What its counters came to after
each fact, in the facts' own time, is what it puts into the buckets of each location; a
fact moves the difference, at the time where there is one. So order does not matter, and
a correction is a new counter.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from msgspec import Struct

from models import rows
from models.instants import Instant
from models.movements import Advised, AdvisedReceipt, Arrived, Shipped
from models.outcomes import Outcome
from models.rows import Document, Row, Rows

MAX_FACTS: Final = 200
"""Facts per line of a document; more are refused."""

Buckets = dict[str, int]
Target = dict[str, Buckets]
"""Units by location and bucket that a document's counters come to."""

Move = tuple[Instant, str, str, int, bool]
"""When, at which location, in which bucket, how many units, and whether it takes one back."""


class Judged(NamedTuple):
    """A document's row after a movement, and what is to be moved because of it."""

    outcome: Outcome
    key: str
    row: Row
    moves: list[Move]
    flags: tuple[str, ...] = ()


Course = list[tuple[Instant, Target]]
"""What a document's counters came to after each of its facts, in their order."""


def moves_between(before: Course, after: Course) -> list[Move]:
    """What leads from one course of a document to another."""
    was, should = _steps(before), _steps(after)
    moves: list[Move] = []
    for place in sorted({*was, *should}):
        old, new = was.get(place, 0), should.get(place, 0)
        if old == new:
            continue
        if old:
            moves.append((*place, -old, True))
        if new:
            moves.append((*place, new, False))
    return moves


def _steps(course: Course) -> dict[tuple[Instant, str, str], int]:
    """What each fact added, by time, location and bucket."""
    steps: dict[tuple[Instant, str, str], int] = {}
    last: Target = {}
    for at, target in course:
        for location, bucket in _places((last, target)):
            added = target.get(location, {}).get(bucket, 0) - last.get(location, {}).get(bucket, 0)
            if added:
                place = at, location, bucket
                steps[place] = steps.get(place, 0) + added
        last = target
    return steps


def _places(targets: Iterable[Target]) -> set[tuple[str, str]]:
    return {(location, bucket) for one in targets for location in one for bucket in one[location]}


def add(target: Target, location: str, bucket: str, units: int) -> None:
    """Put `units` into a bucket of a target."""
    if units:
        buckets = target.setdefault(location, {})
        buckets[bucket] = buckets.get(bucket, 0) + units


class AdviceRow(Document, kw_only=True):
    """Units of one SKU announced by one advice, and what came of them.

    `stated` is when the standing revision was made (time, sequence); None if only
    receipts are known. `received` is by location and bucket.
    """

    sku: str
    advice: str
    location: str
    booked: Target = {}
    advised: int = 0
    expected: Instant | None = None
    stated: tuple[Instant, int] | None = None
    cancelled: bool = False
    final: bool = False
    received: Target = {}

    @property
    def came(self) -> int:
        """Units received, wherever and in whatever state."""
        return sum(units for buckets in self.received.values() for units in buckets.values())

    def is_over(self) -> bool:
        return self.incoming() == 0

    def incoming(self) -> int:
        """Units that are still to come."""
        if self.stated is None or self.cancelled or self.final:
            return 0
        return max(0, self.advised - self.came)


def advice_key(sku: str, advice: str) -> str:
    """The key of an advice's row for one SKU."""
    return rows.key("advice", sku, advice)


def _own_advice(store: Rows, said: Advised | AdvisedReceipt, version: int) -> AdviceRow:
    known = store.get(advice_key(said.sku, said.advice), AdviceRow)
    if known is None:
        return AdviceRow(version=version, sku=said.sku, advice=said.advice, location=said.location)
    own: AdviceRow = known.__copy__()  # type: ignore[attr-defined]
    own.version = version
    return own


def advise(store: Rows, said: Advised, version: int) -> Judged:
    """An advice states how many units are to come; the latest statement stands."""
    row = _own_advice(store, said, version)
    stated = (said.effective, said.sequence)
    if row.stated is not None and stated < row.stated:
        return _judged_advice(row, said.effective, Outcome.SUPERSEDED)
    row.stated, row.location = stated, said.location
    row.advised, row.expected, row.cancelled = said.quantity, said.expected, said.closed
    over = row.came > row.advised and not row.cancelled
    outcome = Outcome.OVER_RECEIPT if over else Outcome.APPLIED
    return _judged_advice(row, said.effective, outcome)


def receive(store: Rows, said: AdvisedReceipt, version: int) -> Judged:
    """Units of an advice came."""
    row = _own_advice(store, said, version)
    row.received = {location: dict(buckets) for location, buckets in row.received.items()}
    add(row.received, said.location, said.bucket, said.quantity)
    row.final = row.final or said.final
    outcome = Outcome.APPLIED
    flags: tuple[str, ...] = ()
    known = row.stated is not None and not row.cancelled
    if known and row.came > row.advised:
        outcome = Outcome.OVER_RECEIPT
    elif known and said.final and row.came < row.advised:
        outcome, flags = Outcome.RECEIVED_SHORT, (f"{row.advised - row.came} short",)
    return _judged_advice(row, said.effective, outcome, flags)


def _judged_advice(
    row: AdviceRow, at: Instant, outcome: Outcome, flags: tuple[str, ...] = ()
) -> Judged:
    target: Target = {location: dict(buckets) for location, buckets in row.received.items()}
    add(target, row.location, "incoming", row.incoming())
    moves = moves_between([(at, row.booked)], [(at, target)])
    row.booked = target
    return Judged(outcome, advice_key(row.sku, row.advice), row, moves, flags)


class TransferFact(Struct, array_like=True, frozen=True, order=True, gc=False):
    """A departure from, or an arrival at, `location`; `other` is the transfer's other end."""

    at: Instant
    sequence: int
    source: str
    arrived: bool
    location: str
    other: str
    bucket: str
    quantity: int
    final: bool
    expected: Instant = 0


class Transfer:
    """One line of a transfer, as some facts have it. Units that were received have departed."""

    def __init__(self, facts: Iterable[TransferFact]) -> None:
        self.origin = self.destination = ""
        self.bucket = "on_hand"
        self.shipped: int | None = None
        self.arrived: Target = {}
        self.final = False
        for fact in facts:
            if fact.arrived:
                add(self.arrived, fact.location, fact.bucket, fact.quantity)
                self.final = self.final or fact.final
                if self.shipped is None:
                    self.origin, self.destination = fact.other, fact.location
            else:
                self.shipped = (self.shipped or 0) + fact.quantity
                self.origin, self.destination = fact.location, fact.other
                self.bucket = fact.bucket

    @property
    def came(self) -> int:
        """Units received, wherever and in whatever state."""
        return sum(units for buckets in self.arrived.values() for units in buckets.values())

    @property
    def lost(self) -> int:
        """Units that left and will not come."""
        return max(0, (self.shipped or 0) - self.came) if self.final else 0

    def target(self) -> Target:
        """What the counters come to."""
        target: Target = {location: dict(buckets) for location, buckets in self.arrived.items()}
        departed = max(self.shipped or 0, self.came)
        add(target, self.origin, self.bucket, -departed)
        if not self.final:
            add(target, self.destination, "in_transit", departed - self.came)
        return target


class TransferRow(Document, kw_only=True):
    """One line of a transfer, and what was told of it in the order in which it happened."""

    sku: str
    transfer: str
    line: int
    facts: list[TransferFact] = []

    def is_over(self) -> bool:
        now = Transfer(self.facts)
        return now.final or now.came >= (now.shipped or 0)

    def course(self) -> Course:
        """What the counters came to after each fact."""
        return [
            (fact.at, Transfer(self.facts[: place + 1]).target())
            for place, fact in enumerate(self.facts)
        ]


def transfer_key(sku: str, transfer: str, line: int) -> str:
    """The key of a transfer line's row."""
    return rows.key("transfer", sku, transfer, line)


def ship(store: Rows, said: Shipped, version: int) -> Judged:
    """Units have left for another location."""
    fact = TransferFact(
        said.effective,
        said.sequence,
        said.source,
        False,
        said.location,
        said.destination,
        said.bucket,
        said.quantity,
        False,
        said.expected or 0,
    )
    return _take(store, said, fact, version)


def arrive(store: Rows, said: Arrived, version: int) -> Judged:
    """Units have come. A receipt before its departure implies the departure at once."""
    fact = TransferFact(
        said.effective,
        said.sequence,
        said.source,
        True,
        said.location,
        said.departed_from,
        said.bucket,
        said.quantity,
        said.final,
    )
    return _take(store, said, fact, version)


def _take(store: Rows, said: Shipped | Arrived, fact: TransferFact, version: int) -> Judged:
    key = transfer_key(said.sku, said.transfer, said.transfer_line)
    known = store.get(key, TransferRow)
    before = (
        known
        if known is not None
        else TransferRow(
            version=version, sku=said.sku, transfer=said.transfer, line=said.transfer_line
        )
    )
    if len(before.facts) >= MAX_FACTS:
        return Judged(Outcome.DOCUMENT_LIMIT, key, before, [])
    row = TransferRow(
        version=version,
        sku=said.sku,
        transfer=said.transfer,
        line=said.transfer_line,
        facts=sorted([*before.facts, fact]),
    )
    now = Transfer(row.facts)
    outcome = _outcome_of_transfer(now, fact)
    flags = (f"{now.lost} lost in transit",) if now.lost else ()
    return Judged(outcome, key, row, moves_between(before.course(), row.course()), flags)


def _outcome_of_transfer(now: Transfer, fact: TransferFact) -> Outcome:
    if now.shipped is None:
        return Outcome.IMPLIED_DEPARTURE
    if now.came > now.shipped:
        return Outcome.OVER_RECEIPT
    if now.lost:
        return Outcome.LOST_IN_TRANSIT
    if fact.arrived and fact.location != now.destination:
        return Outcome.DIVERTED
    return Outcome.APPLIED
