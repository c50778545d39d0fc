"""Orders: the settlement of reservations of one or several lines.

The owner of a reservation knows its lines, asks each SKU's owner, gathers the
decisions, compensates where one line fails, and settles on one outcome. Deadlines
pass by the records' own times, so that expiry against confirm is decided by the log.
"""

from typing import Final, Literal, NamedTuple

import msgspec
import xxhash
from msgspec import Struct

from models import rows
from models.events.orders import Requested
from models.instants import SECOND, Instant, to_rfc3339
from models.outcomes import Outcome
from models.rows import Document

UNKNOWN: Final = "unknown"
PENDING: Final = "pending"
HELD: Final = "held"
INSUFFICIENT: Final = "insufficient"
CONFIRMED: Final = "confirmed"
RELEASED: Final = "released"
EXPIRED: Final = "expired"
FULFILLED: Final = "fulfilled"

OPEN: Final = frozenset({PENDING, HELD, CONFIRMED})
FAILED: Final = frozenset({INSUFFICIENT, RELEASED, EXPIRED})

MAX_OUTCOMES: Final = 32
"""Commands and outcomes told in the row, the latest."""


class Line(Struct, gc=False):
    """One line. `outcome` is pending, held or insufficient."""

    line: int
    sku: str
    location: str
    quantity: int
    outcome: str = PENDING


class CommandOutcome(Struct, gc=False):
    """A command, what came of it, and when its record stood in the log (RFC 3339)."""

    command: str
    outcome: str
    at: str


class OrderRow(Document, kw_only=True):
    """One reservation. `deadline` is when the hold lapses unless it is confirmed."""

    reservation: str
    status: str
    order: str | None = None
    channel: str | None = None
    lines: list[Line] = []
    deadline: Instant = 0
    expires_at: str | None = None
    confirmed: bool = False
    content: int = 0
    outcomes: list[CommandOutcome] = []

    def settle(self) -> None:
        self.expires_at = to_rfc3339(self.deadline) if self.lines else None

    def is_over(self) -> bool:
        return self.status not in OPEN

    def lapses(self) -> bool:
        """Whether the deadline still matters."""
        return self.status in (PENDING, HELD) and not self.confirmed


class Command(NamedTuple):
    """What a SKU's owner is asked to do."""

    action: Literal["hold", "release", "pick", "fulfil"]
    line: Line


class Settled(NamedTuple):
    """The row after, what came of it, and what to ask of the SKUs' owners."""

    row: OrderRow
    outcome: Outcome
    commands: list[Command]


def order_key(reservation: str) -> str:
    """The key of a reservation's row."""
    return rows.key("order", reservation)


def blank(reservation: str, version: int) -> OrderRow:
    """The row of a reservation of which nothing is known yet."""
    return OrderRow(version=version, reservation=reservation, status=UNKNOWN)


def copy_of(row: OrderRow, version: int) -> OrderRow:
    """A copy that may be changed."""
    fresh: OrderRow = row.__copy__()  # type: ignore[attr-defined]
    fresh.version = version
    fresh.lines = [line.__copy__() for line in row.lines]  # type: ignore[attr-defined]
    fresh.outcomes = list(row.outcomes)
    return fresh


def tell(row: OrderRow, command: str, outcome: Outcome, now: Instant) -> None:
    """Note in `row` what came of a command."""
    told = CommandOutcome(command, outcome, to_rfc3339(now))
    row.outcomes = [*row.outcomes, told][-MAX_OUTCOMES:]


def content_hash(data: Requested) -> int:
    """63 bits over what is asked; the same request again is no conflict."""
    return xxhash.xxh3_64_intdigest(msgspec.json.encode(data)) >> 1


def request(row: OrderRow, data: Requested, now: Instant, ttl_seconds: int) -> Settled:
    """Ask for every line of a new reservation. The same request again gets the first answer."""
    content = content_hash(data)
    if row.lines:
        same = row.content == content
        return Settled(row, Outcome.ALREADY_DECIDED if same else Outcome.CONFLICT, [])
    row.order, row.channel, row.content = data.order, data.channel, content
    row.lines = [Line(one.line, one.sku, one.location, one.quantity) for one in data.lines]
    row.deadline = now + ttl_seconds * SECOND
    if row.status == RELEASED:
        return Settled(row, Outcome.ALREADY_RELEASED, [])
    row.status = PENDING
    return Settled(row, Outcome.PENDING, [Command("hold", line) for line in row.lines])


def decide(row: OrderRow, number: int, outcome: str) -> Settled:
    """Take the decision of one line's SKU owner."""
    line = next((one for one in row.lines if one.line == number), None)
    if line is None or line.outcome != PENDING:
        return Settled(row, Outcome.ALREADY_DECIDED, [])
    line.outcome = outcome
    if row.status in FAILED:
        late = [Command("release", line)] if outcome == HELD else []
        return Settled(row, Outcome.RELEASED, late)
    if row.status != PENDING:
        return Settled(row, Outcome.ALREADY_DECIDED, [])
    if outcome == INSUFFICIENT:
        return Settled(row, Outcome.INSUFFICIENT, close(row, INSUFFICIENT))
    if any(one.outcome == PENDING for one in row.lines):
        return Settled(row, Outcome.PENDING, [])
    row.status = CONFIRMED if row.confirmed else HELD
    return Settled(row, Outcome.HELD, [])


def confirm(row: OrderRow) -> Settled:
    """The order is placed: the hold no longer lapses."""
    if row.status == PENDING and not row.confirmed:
        row.confirmed = True
        return Settled(row, Outcome.CONFIRMED_BEFORE_DECISION, [])
    if row.status == HELD:
        row.confirmed, row.status = True, CONFIRMED
        return Settled(row, Outcome.CONFIRMED, [])
    outcome = {
        UNKNOWN: Outcome.UNKNOWN_RESERVATION,
        PENDING: Outcome.ALREADY_CONFIRMED,
        CONFIRMED: Outcome.ALREADY_CONFIRMED,
        FULFILLED: Outcome.ALREADY_FULFILLED,
        EXPIRED: Outcome.HOLD_EXPIRED,
    }.get(row.status, Outcome.REFUSED)
    return Settled(row, outcome, [])


def release(row: OrderRow) -> Settled:
    """The order is off. A release before its request is remembered."""
    if row.status == UNKNOWN:
        row.status = RELEASED
        return Settled(row, Outcome.RELEASED_BEFORE_REQUEST, [])
    if row.status in OPEN:
        return Settled(row, Outcome.RELEASED, close(row, RELEASED))
    fulfilled = row.status == FULFILLED
    return Settled(row, Outcome.ALREADY_FULFILLED if fulfilled else Outcome.ALREADY_RELEASED, [])


def pick(row: OrderRow) -> Settled:
    """The goods were taken off the shelf, and wait to leave."""
    if row.status in OPEN:
        return Settled(row, Outcome.PICKED, [Command("pick", line) for line in row.lines])
    outcome = {
        UNKNOWN: Outcome.UNKNOWN_RESERVATION,
        FULFILLED: Outcome.ALREADY_FULFILLED,
    }.get(row.status, Outcome.REFUSED)
    return Settled(row, outcome, [])


def fulfil(row: OrderRow) -> Settled:
    """The goods have left: a fact, whatever became of the hold."""
    if not row.lines:
        return Settled(row, Outcome.UNKNOWN_RESERVATION, [])
    if row.status == FULFILLED:
        return Settled(row, Outcome.ALREADY_FULFILLED, [])
    held = row.status in OPEN
    row.status = FULFILLED
    outcome = Outcome.FULFILLED if held else Outcome.FULFILLED_WITHOUT_HOLD
    return Settled(row, outcome, [Command("fulfil", line) for line in row.lines])


def expire(row: OrderRow) -> Settled:
    """The deadline has passed."""
    return Settled(row, Outcome.EXPIRED, close(row, EXPIRED))


def close(row: OrderRow, status: str) -> list[Command]:
    """End a reservation: held lines are released now, pending ones when they are decided."""
    row.status = status
    return [Command("release", line) for line in row.lines if line.outcome == HELD]
