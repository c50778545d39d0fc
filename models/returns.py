"""Returns: counters per (RMA, line, SKU); the buckets derive from them.

A disposition implies its receipt. What stands is the latest dispositions, up to the
units authorized or received: a correction replaces, a second unit adds, whichever comes
first. Goods are where they were disposed of, wherever they came in.
"""

from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from models import rows
from models.documents import DocumentRow, Judged, Target, add
from models.instants import Instant
from models.movements import ReturnStage
from models.outcomes import Outcome
from models.rows import Rows

MAX_DISPOSITIONS: Final = 100
"""Dispositions kept per line of a return; the oldest is superseded beyond recall."""

MAX_TOLD: Final = 100
"""Stages told per line of a return, the latest."""

_BUCKET_OF_DISPOSITION: Final = {
    "restock": "on_hand",
    "quarantine": "quality_control",
    "refurbish": "quality_control",
    "vendor_return": "damaged",
    "write_off": None,
}


class Disposition(Struct, array_like=True, frozen=True, order=True):
    """What was decided of some units, in the order in which decisions stand."""

    at: Instant
    sequence: int
    source: str
    disposition: str
    quantity: int
    location: str


class Told(Struct, array_like=True, frozen=True):
    """A stage as it was told. `at` is when it happened, `received` when it was heard."""

    at: Instant
    stage: str
    quantity: int
    location: str
    source: str
    sequence: int
    disposition: str | None
    reason: str | None


class ReturnRow(DocumentRow, kw_only=True):
    """One line of one return. Quantities in base units; `received` is by location.

    `sold_as` is the SKU that was sold, where another one was in the parcel.
    """

    rma: str
    line: int
    sold_as: str | None = None
    authorized: int = 0
    authorized_at: tuple[Instant, int] | None = None
    shipped: int = 0
    received: dict[str, int] = {}
    refunded: int = 0
    credited: int = 0
    dispositions: list[Disposition] = []
    timeline: list[Told] = []

    def limit(self) -> int:
        """How many units can be disposed of; where nothing says so, the most of one decision."""
        known = max(self.authorized, sum(self.received.values()))
        return known or max((one.quantity for one in self.dispositions), default=0)

    def standing(self) -> list[Disposition]:
        """The dispositions that count, latest first, each cut to what is left of the limit."""
        left = self.limit()
        stands = []
        for one in sorted(self.dispositions, reverse=True):
            taken = min(left, one.quantity)
            if taken == one.quantity:
                stands.append(one)
            elif taken:
                stands.append(replace(one, quantity=taken))
            left -= taken
        return stands

    def waiting(self) -> int:
        """Units that came in and were not decided on."""
        disposed = sum(one.quantity for one in self.standing())
        return max(0, sum(self.received.values()) - disposed)

    def under_way(self) -> int:
        """Units in parcels that have not come in."""
        return max(0, self.shipped - sum(self.received.values()))

    def target(self) -> tuple[Target, bool]:
        """What the counters come to, and whether goods were disposed of elsewhere."""
        left = dict(self.received)
        target: Target = {}
        elsewhere = False
        stands = self.standing()
        for one in stands:
            bucket = _BUCKET_OF_DISPOSITION[one.disposition]
            if bucket is not None:
                add(target, one.location, bucket, one.quantity)
        if not left:
            return target, False
        for one in stands:
            here = min(one.quantity, left.get(one.location, 0))
            left[one.location] = left.get(one.location, 0) - here
            wanted = one.quantity - here
            for location in sorted(left):
                taken = min(wanted, left[location])
                left[location] -= taken
                wanted -= taken
                elsewhere = elsewhere or taken > 0
        for location, units in left.items():
            add(target, location, "quality_control", units)
        return target, elsewhere


def return_key(sku: str, rma: str, line: int) -> str:
    """The key of a return line's row."""
    return f"return|{rows.escape(rma)}|{line}|{rows.escape(sku)}"


def take(store: Rows, said: ReturnStage, version: int) -> Judged:
    """Apply one stage to its return line."""
    key = return_key(said.sku, said.rma, said.rma_line)
    known = store.get(key, ReturnRow)
    if known is None:
        row = ReturnRow(version=version, sku=said.sku, rma=said.rma, line=said.rma_line)
    else:
        row = known.__copy__()  # type: ignore[attr-defined]
        row.version = version
    row.sold_as = row.sold_as or said.sold_as
    told = Told(
        said.effective,
        said.stage,
        said.quantity,
        said.location,
        said.source,
        said.sequence,
        said.disposition,
        said.reason,
    )
    row.timeline = [*row.timeline, told][-MAX_TOLD:]
    outcome = _count(row, said)
    target, elsewhere = row.target()
    if said.stage == "disposed" and elsewhere and outcome is not Outcome.RETURN_EXCEEDS:
        outcome = Outcome.OTHER_LOCATION
    flags = (f"{said.sold_as} was sold",) if said.sold_as is not None else ()
    return Judged(outcome, key, row, target, flags)


def _count(row: ReturnRow, said: ReturnStage) -> Outcome:
    """Count a stage into `row`, a fresh copy."""
    if said.stage == "disposed":
        return _dispose(row, said)
    if said.stage == "received":
        return _receive(row, said)
    if said.stage == "authorized":
        stated = (said.effective, said.sequence)
        if row.authorized_at is not None and stated < row.authorized_at:
            return Outcome.SUPERSEDED
        row.authorized, row.authorized_at = said.quantity, stated
        came = sum(row.received.values())
        return Outcome.RETURN_EXCEEDS if came > row.authorized else Outcome.RECORDED
    if said.stage == "shipped":
        row.shipped += said.quantity
    elif said.stage == "refunded":
        row.refunded += said.quantity
    elif said.stage == "credited":
        row.credited += said.quantity
    return Outcome.RECORDED


def _receive(row: ReturnRow, said: ReturnStage) -> Outcome:
    received = dict(row.received)
    received[said.location] = received.get(said.location, 0) + said.quantity
    row.received = received
    if row.authorized_at is not None and sum(received.values()) > row.authorized:
        return Outcome.RETURN_EXCEEDS
    return Outcome.APPLIED_LATE if row.dispositions else Outcome.APPLIED


def _dispose(row: ReturnRow, said: ReturnStage) -> Outcome:
    first = not row.dispositions
    known = max(row.authorized, sum(row.received.values())) if row.received else row.authorized
    one = Disposition(
        said.effective,
        said.sequence,
        said.source,
        said.disposition or "quarantine",
        said.quantity,
        said.location,
    )
    if first:
        row.dispositions = [one]
        if known and said.quantity > known:
            return Outcome.RETURN_EXCEEDS
        return Outcome.APPLIED if row.received else Outcome.IMPLIED_RECEIPT
    before = sum(one.quantity for one in row.dispositions)
    row.dispositions = sorted([*row.dispositions, one])[-MAX_DISPOSITIONS:]
    if known and said.quantity > known:
        return Outcome.RETURN_EXCEEDS
    if row.dispositions[-1] != one:
        return Outcome.SUPERSEDED if before >= row.limit() else Outcome.APPLIED
    replaces = before + said.quantity > row.limit()
    return Outcome.RE_DISPOSED if replaces else Outcome.APPLIED
