"""Returns: counters per (RMA, line, SKU); the buckets derive from them.

A disposition implies its receipt. What stands is the latest dispositions, up to the
units authorized or received: a correction replaces, a second unit adds, whichever comes
first. Goods are where they were disposed of, wherever they came in.
"""

from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from models import rows
from models.documents import MAX_FACTS, Course, Judged, Target, add, moves_between
from models.instants import Instant
from models.movements import ReturnStage
from models.outcomes import Outcome
from models.rows import Document, Rows

_ADDED: Final = frozenset({"shipped", "refunded", "credited"})
BUCKET_OF_DISPOSITION: Final = {
    "restock": "on_hand",
    "quarantine": "quality_control",
    "refurbish": "quality_control",
    "vendor_return": "damaged",
    "write_off": None,
}


class Disposition(Struct, array_like=True, frozen=True, order=True, gc=False):
    """What was decided of some units, in the order in which decisions stand."""

    at: Instant
    sequence: int
    source: str
    disposition: str
    quantity: int
    location: str


class TimelineStage(Struct, array_like=True, frozen=True, gc=False):
    """A stage as it was told. `at` is when it happened."""

    at: Instant
    sequence: int
    source: str
    stage: str
    quantity: int
    location: str
    disposition: str | None
    reason: str | None


class Return:
    """One line of a return, as some of its stages have it. Quantities in base units.

    `received` is by location; `authorized` is None where nobody has said.
    """

    def __init__(self, stages: Iterable[TimelineStage]) -> None:
        self.authorized: int | None = None
        self.shipped = self.refunded = self.credited = 0
        self.received: dict[str, int] = {}
        self.dispositions: list[Disposition] = []
        for one in stages:
            if one.stage == "disposed":
                self.dispositions.append(
                    Disposition(
                        one.at,
                        one.sequence,
                        one.source,
                        one.disposition or "quarantine",
                        one.quantity,
                        one.location,
                    )
                )
            elif one.stage == "received":
                self.received[one.location] = self.received.get(one.location, 0) + one.quantity
            elif one.stage == "authorized":
                self.authorized = one.quantity
            elif one.stage in _ADDED:
                setattr(self, one.stage, getattr(self, one.stage) + one.quantity)

    def known(self) -> int:
        """Units that were authorized or came, as far as it was told."""
        return max(self.authorized or 0, sum(self.received.values()))

    def limit(self) -> int:
        """How many units can be disposed of; where nothing says so, the most of one decision."""
        return self.known() or max((one.quantity for one in self.dispositions), default=0)

    def standing(self) -> list[Disposition]:
        """The dispositions that count, latest first, each cut to what is left of the limit."""
        left = self.limit()
        stands = []
        latest_first = self.dispositions
        if len(latest_first) > 1:
            latest_first = sorted(latest_first, reverse=True)
        for one in latest_first:
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
            bucket = BUCKET_OF_DISPOSITION[one.disposition]
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


class ReturnRow(Document, kw_only=True):
    """One line of one return, and its stages in the order in which they happened.

    `sold_as` is the SKU that was sold, where another one was in the parcel.
    """

    rma: str
    line: int
    sku: str
    sold_as: str | None = None
    timeline: tuple[TimelineStage, ...] = ()

    def is_over(self) -> bool:
        now = self.now()
        return now.waiting() == 0 and now.under_way() == 0

    def now(self) -> Return:
        """What all its stages come to."""
        return Return(self.timeline)

    def course(self) -> Course:
        """What the counters came to after each stage."""
        return [
            (one.at, Return(self.timeline[: place + 1]).target()[0])
            for place, one in enumerate(self.timeline)
        ]


def return_key(sku: str, rma: str, line: int) -> str:
    """The key of a return line's row."""
    return f"return|{rows.escape(rma)}|{line}|{rows.escape(sku)}"


def take(store: Rows, said: ReturnStage, version: int) -> Judged:
    """Apply one stage to its return line."""
    key = return_key(said.sku, said.rma, said.rma_line)
    known = store.get(key, ReturnRow)
    stages = known.timeline if known is not None else ()
    if known is not None and len(stages) >= MAX_FACTS:
        return Judged(Outcome.DOCUMENT_LIMIT, key, known, [])
    told = TimelineStage(
        said.effective,
        said.sequence,
        said.source,
        said.stage,
        said.quantity,
        said.location,
        said.disposition,
        said.reason,
    )
    row = ReturnRow(
        version=version,
        rma=said.rma,
        line=said.rma_line,
        sku=said.sku,
        sold_as=(known.sold_as if known is not None else None) or said.sold_as,
        timeline=tuple(sorted((*stages, told), key=_when)) if stages else (told,),
    )
    flags = (f"{said.sold_as} was sold",) if said.sold_as is not None else ()
    if known is None and told.stage == "disposed":
        # The commonest, hence written out: what came in, and how much of it, is what it says.
        bucket = BUCKET_OF_DISPOSITION[told.disposition or "quarantine"]
        moves = [(told.at, told.location, bucket, told.quantity, False)] if bucket else []
        return Judged(Outcome.IMPLIED_RECEIPT, key, row, moves, flags)
    now = row.now()
    outcome = _outcome(Return(stages), now, row, told)
    if known is None:
        moves = [
            (told.at, location, bucket, units, False)
            for location, buckets in now.target()[0].items()
            for bucket, units in buckets.items()
        ]
        return Judged(outcome, key, row, moves, flags)
    return Judged(outcome, key, row, moves_between(known.course(), row.course()), flags)


def _when(one: TimelineStage) -> tuple[Instant, int, str]:
    return one.at, one.sequence, one.source


def _outcome(before: Return, now: Return, row: ReturnRow, told: TimelineStage) -> Outcome:
    if told.stage == "disposed":
        return _outcome_of_disposition(before, now, row, told)
    if told.stage == "received":
        if now.authorized is not None and sum(now.received.values()) > now.authorized:
            return Outcome.RETURN_EXCEEDS
        return Outcome.APPLIED_LATE if before.dispositions else Outcome.APPLIED
    if told.stage == "authorized":
        if now.authorized != told.quantity:
            return Outcome.SUPERSEDED
        exceeds = sum(now.received.values()) > now.authorized
        return Outcome.RETURN_EXCEEDS if exceeds else Outcome.RECORDED
    return Outcome.RECORDED


def _outcome_of_disposition(
    before: Return, now: Return, row: ReturnRow, told: TimelineStage
) -> Outcome:
    known = now.known()
    if known and told.quantity > known:
        return Outcome.RETURN_EXCEEDS
    if now.received and now.target()[1]:
        return Outcome.OTHER_LOCATION
    decided = sum(one.quantity for one in before.dispositions)
    if not decided:
        return Outcome.APPLIED if now.received else Outcome.IMPLIED_RECEIPT
    if _when(told) < _when(row.timeline[-1]) and any(
        one.stage == "disposed" and _when(one) > _when(told) for one in row.timeline
    ):
        return Outcome.SUPERSEDED if decided >= now.limit() else Outcome.APPLIED
    replaces = decided + told.quantity > now.limit()
    return Outcome.RE_DISPOSED if replaces else Outcome.APPLIED
