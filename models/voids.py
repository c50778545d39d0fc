"""Voids: lines of a sale taken back, never more than was sold.

A void of all that is left takes less where an earlier void of a part comes late: the part
comes back at its own time, and the rest gives it up.
"""

from collections.abc import Collection
from typing import NamedTuple

from models.arrival import Rest, Sold, SoldLine
from models.events.pos import SaleVoided, VoidLine
from models.instants import Instant

Back = tuple[int, str, int, Instant]
"""A sale's line, its SKU, the units that come back (or go again, below 0), and when."""


class Taken(NamedTuple):
    """What a void takes back, the line numbers that exceed the sale, and the sale after."""

    back: list[Back]
    exceeding: list[int]
    sold: Sold


def take(sold: Sold, event: SaleVoided, at: Instant, only: Collection[int] | None) -> Taken:
    """Take back what a void of `at` says; `only` these of its lines, where it was held."""
    asked = event.data.lines
    if asked is None:
        asked = [VoidLine(line) for line, _, units, voided in sold.lines if units > voided]
    back: list[Back] = []
    exceeding = [] if asked else [0]
    rests = list(sold.rests)
    known = {line[0]: line for line in sold.lines}
    for one in asked:
        if only is not None and one.line not in only:
            continue
        found = _take_line(known.get(one.line), one, at, rests)
        if not found:
            exceeding.append(one.line)
        back += found
    lines = [_voided(line, back) for line in sold.lines]
    return Taken(back, exceeding, Sold(sold.transaction, lines, rests))


def _take_line(
    sold: SoldLine | None, asked: VoidLine, at: Instant, rests: list[Rest]
) -> list[Back]:
    """What comes back of one line; nothing where it is more than was sold."""
    line, sku, units, voided = sold or (asked.line, "", 0, 0)
    left = units - voided
    if asked.quantity is None:
        if left:
            rests.append((line, at, left))
        return [(line, sku, left, at)] if left else []
    missing = asked.quantity - left
    later = [rest for rest in rests if rest[0] == line and rest[1] > at]
    if missing > sum(rest[2] for rest in later):
        return []
    back: list[Back] = [(line, sku, asked.quantity, at)]
    for rest in later:
        given = min(max(0, missing), rest[2])
        if given:
            missing -= given
            rests[rests.index(rest)] = (line, rest[1], rest[2] - given)
            back.append((line, sku, -given, rest[1]))
    return back


def _voided(line: SoldLine, back: list[Back]) -> SoldLine:
    number, sku, units, voided = line
    return number, sku, units, voided + sum(one[2] for one in back if one[0] == number)
