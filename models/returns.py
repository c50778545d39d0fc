"""Returns: counters per (RMA, line, SKU); the buckets derive from them.

A disposition implies its receipt. What stands is the latest dispositions, up to the
units that are known to have come: a correction replaces, more units add.
"""

from typing import Final

from models import rows
from models.instants import Instant
from models.movements import Disposed
from models.outcomes import Outcome
from models.rows import Row, Rows

MAX_DISPOSITIONS: Final = 100
"""Dispositions kept per line of a return; the oldest is superseded beyond recall."""

Disposition = tuple[Instant, int, str, str, int]
"""Effective time, sequence, source, what was decided, quantity."""


class ReturnRow(Row, kw_only=True):
    """One line of one return, at the location that reported it. `received` in base units."""

    rma: str
    line: int
    sku: str
    location: str
    received: int = 0
    dispositions: list[Disposition] = []

    def standing(self) -> list[tuple[str, int]]:
        """The dispositions that count, latest first, up to the units received."""
        left = self.received
        stands = []
        for *_, disposition, quantity in sorted(self.dispositions, reverse=True):
            taken = min(left, quantity)
            if taken:
                stands.append((disposition, taken))
                left -= taken
        return stands

    def buckets(self) -> tuple[int, int]:
        """What the return line adds to on_hand and to quality_control."""
        stands = self.standing()
        on_hand = sum(taken for disposition, taken in stands if disposition == "restock")
        gone = sum(taken for disposition, taken in stands if disposition == "write_off")
        return on_hand, self.received - on_hand - gone


def return_key(movement: Disposed) -> str:
    """The key of a return line's row."""
    return rows.key("return", movement.sku, movement.location, movement.rma, movement.rma_line)


def dispose(store: Rows, movement: Disposed, version: int) -> tuple[Outcome, int, int]:
    """Apply a disposition to its return line: outcome, change of on_hand, of quality_control."""
    key = return_key(movement)
    row = store.get(key, ReturnRow) or ReturnRow(
        version=version,
        rma=movement.rma,
        line=movement.rma_line,
        sku=movement.sku,
        location=movement.location,
    )
    on_hand, quality_control = row.buckets()
    disposition = (
        movement.effective,
        movement.sequence,
        movement.source,
        movement.disposition,
        movement.quantity,
    )
    kept = sorted([*row.dispositions, disposition])[-MAX_DISPOSITIONS:]
    fresh = ReturnRow(
        version=version,
        rma=row.rma,
        line=row.line,
        sku=row.sku,
        location=row.location,
        received=max(row.received, movement.quantity),
        dispositions=kept,
    )
    store.put(key, fresh)
    now_on_hand, now_quality_control = fresh.buckets()
    if not row.dispositions:
        outcome = Outcome.IMPLIED_RECEIPT
    elif kept[-1] == disposition:
        outcome = Outcome.RE_DISPOSED
    else:
        outcome = Outcome.SUPERSEDED
    return outcome, now_on_hand - on_hand, now_quality_control - quality_control
