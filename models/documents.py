"""Documents: advices, transfers and returns keep counters per line, and buckets derive.

So order does not matter, and a correction is a new counter. A document's row holds what
its counters have put into each location's buckets; a change moves the difference.
"""

from typing import NamedTuple

from models import rows
from models.instants import Instant
from models.movements import Advised, AdvisedReceipt, Arrived, Shipped
from models.outcomes import Outcome
from models.rows import Row, Rows

Buckets = dict[str, int]
Target = dict[str, Buckets]
"""Units by location and bucket that a document's counters come to."""


class DocumentRow(Row, kw_only=True):
    """`booked` is what the document has put into the buckets so far."""

    sku: str
    booked: Target = {}


class Judged(NamedTuple):
    """A document's row after a movement, and what its counters come to now."""

    outcome: Outcome
    key: str
    row: DocumentRow
    target: Target
    flags: tuple[str, ...] = ()


def add(target: Target, location: str, bucket: str, units: int) -> None:
    """Put `units` into a bucket of a target."""
    if units:
        buckets = target.setdefault(location, {})
        buckets[bucket] = buckets.get(bucket, 0) + units


class AdviceRow(DocumentRow, kw_only=True):
    """Units of one SKU announced by one advice, and what came of them.

    `stated` is when the standing revision was made (time, sequence); None if only
    receipts are known. `received` is by location and bucket.
    """

    advice: str
    location: str
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
        return _judged_advice(row, Outcome.SUPERSEDED)
    row.stated, row.location = stated, said.location
    row.advised, row.expected, row.cancelled = said.quantity, said.expected, said.closed
    over = row.came > row.advised and not row.cancelled
    return _judged_advice(row, Outcome.OVER_RECEIPT if over else Outcome.APPLIED)


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
    return _judged_advice(row, outcome, flags)


def _judged_advice(row: AdviceRow, outcome: Outcome, flags: tuple[str, ...] = ()) -> Judged:
    target: Target = {location: dict(buckets) for location, buckets in row.received.items()}
    add(target, row.location, "incoming", row.incoming())
    return Judged(outcome, advice_key(row.sku, row.advice), row, target, flags)


class TransferRow(DocumentRow, kw_only=True):
    """One line of a transfer. `shipped` is None until its departure was told.

    `arrived` is by location and bucket. Units that were received have departed.
    """

    transfer: str
    line: int
    origin: str
    destination: str
    bucket: str = "on_hand"
    shipped: int | None = None
    expected: Instant | None = None
    arrived: Target = {}
    final: bool = False

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


def transfer_key(sku: str, transfer: str, line: int) -> str:
    """The key of a transfer line's row."""
    return rows.key("transfer", sku, transfer, line)


def ship(store: Rows, said: Shipped, version: int) -> Judged:
    """Units have left for another location."""
    key = transfer_key(said.sku, said.transfer, said.transfer_line)
    known = store.get(key, TransferRow)
    row = TransferRow(
        version=version,
        sku=said.sku,
        transfer=said.transfer,
        line=said.transfer_line,
        origin=said.location,
        destination=said.destination,
        bucket=said.bucket,
        shipped=said.quantity + ((known.shipped or 0) if known is not None else 0),
        expected=said.expected,
    )
    if known is not None:
        row.booked, row.arrived, row.final = known.booked, known.arrived, known.final
    return Judged(_outcome_of_transfer(row, Outcome.APPLIED), key, row, row.target(), _lost(row))


def arrive(store: Rows, said: Arrived, version: int) -> Judged:
    """Units have come. A receipt before its departure implies the departure at once."""
    key = transfer_key(said.sku, said.transfer, said.transfer_line)
    known = store.get(key, TransferRow)
    if known is None:
        row = TransferRow(
            version=version,
            sku=said.sku,
            transfer=said.transfer,
            line=said.transfer_line,
            origin=said.departed_from,
            destination=said.location,
        )
    else:
        row = known.__copy__()  # type: ignore[attr-defined]
        row.version = version
    row.arrived = {location: dict(buckets) for location, buckets in row.arrived.items()}
    add(row.arrived, said.location, said.bucket, said.quantity)
    row.final = row.final or said.final
    usual = Outcome.APPLIED if row.shipped is not None else Outcome.IMPLIED_DEPARTURE
    if row.shipped is not None and said.location != row.destination:
        usual = Outcome.DIVERTED
    return Judged(_outcome_of_transfer(row, usual), key, row, row.target(), _lost(row))


def _outcome_of_transfer(row: TransferRow, usual: Outcome) -> Outcome:
    if row.shipped is not None and row.came > row.shipped:
        return Outcome.OVER_RECEIPT
    if row.lost:
        return Outcome.LOST_IN_TRANSIT
    return usual


def _lost(row: TransferRow) -> tuple[str, ...]:
    return (f"{row.lost} lost in transit",) if row.lost else ()
