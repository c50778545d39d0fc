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
    SUSPECTED_RESET = "suspected_reset"
    UNSEQUENCED = "unsequenced"
    BEYOND_IDENTITY = "beyond_identity"
    IDENTITY_LIMIT = "identity_limit"


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
    APPLIED_LATE = "applied_late"
    RETURN_EXCEEDS = "return_exceeds"
    OTHER_LOCATION = "other_location"
    IMPLIED_DEPARTURE = "implied_departure"
    DIVERTED = "diverted"
    DOCUMENT_LIMIT = "document_limit"
    OVER_RECEIPT = "over_receipt"
    RECEIVED_SHORT = "received_short"
    LOST_IN_TRANSIT = "lost_in_transit"
    COMPARED = "compared"
    ADOPTED = "adopted"
    SNAPSHOT_BEYOND_HISTORY = "snapshot_beyond_history"
    PICKED = "picked"

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
    SUSPECTED_RESET = "suspected_reset"
    BEYOND_IDENTITY = "beyond_identity"
    IDENTITY_LIMIT = "identity_limit"
    UNKNOWN_ITEM = "unknown_item"
    UNKNOWN_UNIT = "unknown_unit"
    OFFSET_MISSING = "offset_missing"
    HELD_FOR_SALE = "held_for_sale"
    VOID_EXCEEDS_SALE = "void_exceeds_sale"
    CONTROL_TOTALS = "control_totals"
    OVER_RECEIPT = "over_receipt"
    RETURN_EXCEEDS = "return_exceeds"
    SNAPSHOT_BEYOND_HISTORY = "snapshot_beyond_history"
    DOCUMENT_LIMIT = "document_limit"


class Rejected(NamedTuple):
    """Bytes that could not be taken, and why.

    `place` is the element's place in a record that is an array, else 0; `original` is
    the record's exact bytes, or the element's own slice of them.
    """

    code: Code
    reason: str
    place: int
    original: bytes


class Remedy(NamedTuple):
    """What helps against a refusal: who must act (`service`, `source`, `person`), and how.

    `retry_when` is what makes the service itself append the original again, else empty.
    """

    owner: str
    action: str
    retry_when: str = ""


_RESEND: Final = Remedy("source", "correct the event and send it again")
_LOOK: Final = Remedy("person", "compare with the shelf and the document; adjust or count")

REMEDIES: Final[dict[Code, Remedy]] = {
    Code.INVALID: _RESEND,
    Code.UNKNOWN_TYPE: Remedy("source", "send a type and version that the service knows"),
    Code.WRONG_TOPIC: Remedy("source", "append to the topic of the type"),
    Code.NOT_SUPPORTED: Remedy("person", "book what the event says by an adjustment"),
    Code.TOO_LARGE: Remedy("source", "send smaller records"),
    Code.MISROUTED: Remedy("source", "let the record's key be the source or the reservation"),
    Code.RESERVED_TYPE: Remedy("source", "do not write the service's own types"),
    Code.CONFLICT: Remedy("person", "decide which is right; adjust if the first was wrong"),
    Code.GAP_LIMIT: Remedy("source", "mend the source's counter; open an epoch"),
    Code.BUCKET_NEGATIVE: _LOOK,
    Code.COUNT_BEYOND_HISTORY: Remedy("person", "count again"),
    Code.UNKNOWN_RESERVATION: Remedy("source", "request the reservation first"),
    Code.SUSPECTED_RESET: Remedy(
        "person", "if the register started anew, open an epoch", "an epoch is opened"
    ),
    Code.BEYOND_IDENTITY: Remedy("person", "it may be a repeat; if it is none, adjust"),
    Code.IDENTITY_LIMIT: Remedy("source", "number the events: too many are without sequence"),
    Code.UNKNOWN_ITEM: Remedy("person", "state the item or alias", "the item or alias is stated"),
    Code.UNKNOWN_UNIT: Remedy("person", "state the item's pack size", "the pack is stated"),
    Code.OFFSET_MISSING: Remedy(
        "person",
        "state the location's zone and that the source may send local times",
        "both are stated",
    ),
    Code.HELD_FOR_SALE: Remedy("service", "wait for the sale", "the sale arrives"),
    Code.VOID_EXCEEDS_SALE: _LOOK,
    Code.CONTROL_TOTALS: Remedy("person", "compare the register's journal with its events"),
    Code.OVER_RECEIPT: _LOOK,
    Code.RETURN_EXCEEDS: _LOOK,
    Code.DOCUMENT_LIMIT: Remedy("person", "adjust: the document's line has too many facts"),
    Code.SNAPSHOT_BEYOND_HISTORY: Remedy("source", "take a newer snapshot"),
}
