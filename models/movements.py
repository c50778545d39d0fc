"""Movements: normalized changes at one SKU, as they stand in `inventory.movements`.

Private and compact: a movement is a JSON array, the kind first, fields only ever
appended; a record is an array of up to `MAX_PACKED` of them, all of one partition.
`topic`, `partition` and `ordinal` are the origin: the record that a stage emitted it
for. Ordinals of one origin stream (topic, partition) only grow, which is how the next
stage knows what it has absorbed.
"""

from typing import Final

import msgspec
from msgspec import Struct

from models.instants import Instant

PACK_BITS: Final = 8
MAX_PACKED: Final = 2**PACK_BITS
"""Movements per record: so many that a record's own cost no longer counts."""

INDEX_BITS: Final = 20
MAX_INDEX: Final = 2**INDEX_BITS - 1

UNSEQUENCED: Final = -1
"""In place of a sequence: the event has none, its id is its identity."""


class Note(Struct, array_like=True, gc=False, frozen=True):
    """What is worth telling of the event that a movement comes from.

    `time` is the time as sent where `why` says that it was corrected; `code` the line's
    code where it was an alias.
    """

    id: str
    time: str | None = None
    why: tuple[str, ...] = ()
    code: str | None = None
    business_day: str | None = None
    correlationid: str | None = None
    causationid: str | None = None
    traceparent: str | None = None


class Movement(Struct, array_like=True, gc=False):
    """What every movement has. `effective` is when it happened, corrected.

    Identity is (topic, source, epoch, sequence, line), without sequence the note's id; for
    a hold, `source` is the reservation and `line` its line.
    """

    sku: str
    location: str
    topic: int
    partition: int
    ordinal: int
    source: str
    epoch: int
    sequence: int
    line: int
    effective: Instant
    arrival: str
    note: Note | None


class Delta(Movement, tag="delta", gc=False):
    """A signed change of one bucket, for a cause: sale, void, till_return, receipt, adjustment."""

    cause: str
    bucket: str
    quantity: int


class Undone(Delta, tag="undone", gc=False):
    """A delta that takes an earlier one of its time back: it goes where that one went."""


class RecordedAdjustment(Movement, tag="recorded", gc=False):
    """An adjustment that a count already contains: told, not applied."""

    count: str
    quantity: int


class Departure(Movement, tag="departure", gc=False):
    """A sale line that picks up what a reservation holds."""

    quantity: int
    reservation: str
    reservation_line: int


class SafetyStockSet(Movement, tag="safety", gc=False):
    """The safety stock from now on; absolute."""

    quantity: int


class Counted(Movement, tag="count", gc=False):
    """What a count found on hand between `started` and `effective`, in one area or at all.

    Areas add up when the count is `final`. `shelf` counts leave out picked units.
    """

    count: str
    quantity: int
    started: Instant
    area: str | None
    final: bool
    shelf: bool


class CountClosed(Movement, tag="count_closed", gc=False):
    """A count is over, told to every partition: open areas take effect.

    `complete`: SKUs of the location that the count did not name were not there.
    """

    count: str
    started: Instant
    complete: bool
    shelf: bool


class Booked(Movement, tag="book", gc=False):
    """What an ERP's book says, that has read each source of `through` up to a sequence."""

    quantity: int
    through: dict[str, int]
    adopt: bool


class Advised(Movement, tag="advised", gc=False):
    """Units announced for `expected`; absolute, the latest statement stands."""

    advice: str
    quantity: int
    expected: Instant | None
    closed: bool


class AdvisedReceipt(Movement, tag="advised_receipt", gc=False):
    """Units of an advice that came; `final`: no more of it will."""

    advice: str
    bucket: str
    quantity: int
    final: bool


class Shipped(Movement, tag="shipped", gc=False):
    """A line of a transfer left `location`."""

    transfer: str
    transfer_line: int
    destination: str
    bucket: str
    quantity: int
    expected: Instant | None


class Arrived(Movement, tag="arrived", gc=False):
    """A line of a transfer came to `location`; `final`: no more of it will."""

    transfer: str
    transfer_line: int
    departed_from: str
    bucket: str
    quantity: int
    final: bool


class ReturnStage(Movement, tag="return", gc=False):
    """One of the seven stages of a line of a return."""

    rma: str
    rma_line: int
    stage: str
    quantity: int
    disposition: str | None
    sold_as: str | None
    reason: str | None


class Hold(Movement, tag="hold", gc=False):
    """A line of a reservation asks for units."""

    quantity: int


class Release(Movement, tag="release", gc=False):
    """A line of a reservation gives its units back."""

    quantity: int


class Pick(Movement, tag="pick", gc=False):
    """A line of a reservation was taken off the shelf, and waits to leave."""

    quantity: int


class Fulfil(Movement, tag="fulfil", gc=False):
    """A line of a reservation has left the location."""

    quantity: int


class ChannelRuleSet(Movement, tag="channel", gc=False):
    """A channel's rule, sent to every partition. `locations` None means all."""

    channel: str
    share: int
    buffer: int
    locations: list[str] | None
    rank: int


AnyMovement = (
    Delta
    | RecordedAdjustment
    | Departure
    | SafetyStockSet
    | Counted
    | CountClosed
    | Booked
    | Advised
    | AdvisedReceipt
    | Shipped
    | Arrived
    | ReturnStage
    | Hold
    | Release
    | Pick
    | Fulfil
    | ChannelRuleSet
    | Undone
)

encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(list[AnyMovement]).decode
"""A record's movements. Raises msgspec.MsgspecError where the bytes are none."""

decode_one = msgspec.json.Decoder(AnyMovement).decode
"""A movement on its own."""


def place(offset: int, index: int) -> int:
    """The place of a movement in its log: of the record, and of the movement in it."""
    return (offset << PACK_BITS) | index


def ordinal(offset: int, index: int) -> int:
    """The place of an emitted record: offset of its cause, and index among what it caused.

    Raises ValueError where one record causes more than a million.
    """
    if index > MAX_INDEX:
        raise ValueError(f"offset {offset} causes more than {MAX_INDEX} records")
    return (offset << INDEX_BITS) | index


def cause_of(place: int) -> int:
    """The offset of the record that an ordinal's record was emitted for."""
    return place >> INDEX_BITS
