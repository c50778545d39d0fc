"""Voids: lines of a sale taken back, never more than was sold."""

from models.arrival import Sold
from models.events.pos import SaleVoided

Back = tuple[int, str, int]
"""A sale's line, its SKU, and the units that come back."""


def judge(sold: Sold, event: SaleVoided) -> tuple[list[Back], list[int]]:
    """What comes back by a void, and the line numbers that exceed what was sold."""
    left = {one.line: (one.sku, one.quantity - one.voided) for one in sold.lines}
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


def take(sold: Sold, back: list[Back]) -> None:
    """Remember in `sold` what came back."""
    units = {line: taken for line, _, taken in back}
    for one in sold.lines:
        one.voided += units.get(one.line, 0)
