"""Holds: the lines of reservations, at the SKU that they hold.

Identity is the reservation and its line, not a sequence. What has left is a counter
per way of telling it (a sale that names the hold, a `fulfilled`), and the larger one
counts: the two are one departure, whichever comes first.
"""

from models import rows
from models.outcomes import Outcome
from models.rows import Document, Rows
from models.stock import StockRow

HELD = "held"
INSUFFICIENT = "insufficient"
RELEASED = "released"
FULFILLED = "fulfilled"
NONE = "none"


class HoldRow(Document, kw_only=True):
    """One line of one reservation. Quantities in base units."""

    sku: str
    location: str
    reservation: str
    line: int
    state: str
    quantity: int = 0
    sold: int = 0
    fulfilled: int = 0
    picked: int = 0

    def is_over(self) -> bool:
        return self.state != HELD

    @property
    def waits(self) -> int:
        """Units off the shelf that have not left."""
        return max(0, min(self.picked, self.quantity) - self.departed) if self.state == HELD else 0

    @property
    def departed(self) -> int:
        """Units that have left, however they were told."""
        return max(self.sold, self.fulfilled)

    @property
    def reserved(self) -> int:
        """Units that the hold still keeps from others."""
        return max(0, self.quantity - self.departed) if self.state == HELD else 0


def hold_key(sku: str, location: str, reservation: str, line: int) -> str:
    """The key of a hold's row."""
    return rows.key("hold", sku, location, reservation, line)


def _open(
    store: Rows, stock: StockRow, reservation: str, line: int
) -> tuple[str, HoldRow, HoldRow | None]:
    key = hold_key(stock.sku, stock.location, reservation, line)
    known = store.get(key, HoldRow)
    if known is None:
        fresh = HoldRow(
            version=stock.version,
            sku=stock.sku,
            location=stock.location,
            reservation=reservation,
            line=line,
            state=NONE,
        )
    else:
        fresh = known.__copy__()  # type: ignore[attr-defined]
        fresh.version = stock.version
    return key, fresh, known


def hold(store: Rows, stock: StockRow, reservation: str, line: int, quantity: int) -> Outcome:
    """Ask for `quantity` of `stock`, a fresh copy; all of it or nothing.

    The same line again gets its first answer.
    """
    key, row, known = _open(store, stock, reservation, line)
    if known is not None and known.state != NONE:
        return Outcome.INSUFFICIENT if known.state == INSUFFICIENT else Outcome.HELD
    stock_available = stock.on_hand - stock.reserved - stock.safety_stock
    enough = stock.opened and stock_available >= quantity
    row.quantity = quantity
    row.state = HELD if enough else INSUFFICIENT
    if enough:
        stock.reserved += row.reserved
    store.put(key, row)
    return Outcome.HELD if enough else Outcome.INSUFFICIENT


def release(store: Rows, stock: StockRow, reservation: str, line: int) -> Outcome:
    """Give back what the hold still keeps."""
    key, row, known = _open(store, stock, reservation, line)
    if known is None or known.state != HELD:
        return Outcome.ALREADY_RELEASED
    stock.reserved -= known.reserved
    stock.picked -= known.waits
    row.state = FULFILLED if row.departed >= row.quantity else RELEASED
    store.put(key, row)
    return Outcome.RELEASED if row.state == RELEASED else Outcome.ALREADY_FULFILLED


def pick(store: Rows, stock: StockRow, reservation: str, line: int, quantity: int) -> Outcome:
    """Units of the hold were taken off the shelf, and wait to leave."""
    key, row, known = _open(store, stock, reservation, line)
    row.picked = max(row.picked, quantity)
    stock.picked += row.waits - (known.waits if known is not None else 0)
    store.put(key, row)
    return Outcome.PICKED


def fulfil(
    store: Rows, stock: StockRow, reservation: str, line: int, quantity: int
) -> tuple[Outcome, int]:
    """The order system says that the line's units have left; returns the units it added."""
    key, row, known = _open(store, stock, reservation, line)
    row.fulfilled = max(row.fulfilled, quantity)
    return _depart(store, stock, key, row, known)


def sell(
    store: Rows, stock: StockRow, reservation: str, line: int, quantity: int
) -> tuple[Outcome, int]:
    """A sale line picks up the hold's units; returns the units that left by it."""
    key, row, known = _open(store, stock, reservation, line)
    row.sold += quantity
    return _depart(store, stock, key, row, known)


def _depart(
    store: Rows, stock: StockRow, key: str, row: HoldRow, known: HoldRow | None
) -> tuple[Outcome, int]:
    was_reserved = known.reserved if known is not None else 0
    was_departed = known.departed if known is not None else 0
    waited = known.waits if known is not None else 0
    was_held = row.state == HELD
    left = row.departed - was_departed
    stock.reserved += row.reserved - was_reserved
    if was_held and row.departed >= row.quantity:
        row.state = FULFILLED
    stock.picked += row.waits - waited
    store.put(key, row)
    if not left:
        return Outcome.ALREADY_DEPARTED, 0
    return (Outcome.FULFILLED if was_held else Outcome.FULFILLED_WITHOUT_HOLD), left
