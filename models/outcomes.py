"""What became of a line: how it arrived, what it did, and why it was refused.

Every code is part of the public contract: it stands in ledger entries, dead letters
and problem documents. Codes are added, never renamed.
"""

from enum import StrEnum
from typing import Final, NamedTuple


class Arrival(StrEnum):
    """How a sequence number came, seen against what its source had sent before."""

    IN_ORDER = "in_order"
    GAP_OPENED = "gap_opened"
    GAP_FILLED = "gap_filled"
    BELOW_FIRST = "below_first"
    LATE_EPOCH = "late_epoch"
    RESUBMITTED = "resubmitted"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    GAP_LIMIT = "gap_limit"


class Outcome(StrEnum):
    """What a line or a command did to its row."""

    APPLIED = "applied"
    ABSORBED_BY_COUNT = "absorbed_by_count"
    REBASED = "rebased"
    SUPERSEDED = "superseded"
    RECORDED = "recorded"
    COUNT_BEYOND_HISTORY = "count_beyond_history"
    BUCKET_NEGATIVE = "bucket_negative"
    IMPLIED_RECEIPT = "implied_receipt"
    RE_DISPOSED = "re_disposed"
    ALREADY_DISPOSED = "already_disposed"

    HELD = "held"
    INSUFFICIENT = "insufficient"
    ALREADY_DECIDED = "already_decided"
    RELEASED = "released"
    ALREADY_RELEASED = "already_released"
    RELEASED_BEFORE_REQUEST = "released_before_request"
    FULFILLED = "fulfilled"
    ALREADY_FULFILLED = "already_fulfilled"
    FULFILLED_WITHOUT_HOLD = "fulfilled_without_hold"
    ALREADY_DEPARTED = "already_departed"

    PENDING = "pending"
    REFUSED = "refused"
    CONFIRMED = "confirmed"
    CONFIRMED_BEFORE_DECISION = "confirmed_before_decision"
    ALREADY_CONFIRMED = "already_confirmed"
    EXPIRED = "expired"
    HOLD_EXPIRED = "hold_expired"
    UNKNOWN_RESERVATION = "unknown_reservation"
    CONFLICT = "conflict"


APPLIED: Final = Outcome.APPLIED
"""By far the commonest; reading an enum's member off its class is slow where it counts."""


class Code(StrEnum):
    """Why bytes became a dead letter."""

    INVALID = "invalid"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    NOT_SUPPORTED = "not_supported"
    TOO_LARGE = "too_large"
    MISROUTED = "misrouted"
    RESERVED_TYPE = "reserved_type"
    CONFLICT = "conflict"
    GAP_LIMIT = "gap_limit"
    BUCKET_NEGATIVE = "bucket_negative"
    COUNT_BEYOND_HISTORY = "count_beyond_history"
    UNKNOWN_RESERVATION = "unknown_reservation"


class Rejected(NamedTuple):
    """Bytes that could not be taken, and why.

    `place` is the element's place in a record that is an array, else 0; `original` is
    the record's exact bytes, or the element's own slice of them.
    """

    code: Code
    reason: str
    place: int
    original: bytes
