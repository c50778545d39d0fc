"""Voids: lines of a sale taken back, never more than was sold."""

from models.arrival import SoldLine
from models.events.pos import SaleVoided

Back = tuple[int, str, int]
"""A sale's line, its SKU, and the units that come back."""


def judge(sold: list[SoldLine], event: SaleVoided) -> tuple[list[Back], list[int]]:
    """What comes back by a void, and the line numbers that exceed what was sold."""
    left = {line: (sku, units - voided) for line, sku, units, voided in sold}
    if event.data.lines is None:
        back = [(line, sku, units) for line, (sku, units) in left.items() if units]
        return back, [] if back else [0]
    back, exceeding = [], []
    for line in event.data.lines:
        sku, units = left.get(line.line, ("", 0))
        wanted = units if line.quantity is None else line.quantity
        if 0 < wanted <= units:
            back.append((line.line, sku, wanted))
        else:
            exceeding.append(line.line)
    return back, exceeding


def take(sold: list[SoldLine], back: list[Back]) -> list[SoldLine]:
    """The lines of a sale after a void."""
    taken = {line: units for line, _, units in back}
    return [(line, sku, units, voided + taken.get(line, 0)) for line, sku, units, voided in sold]
