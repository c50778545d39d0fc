"""Fields that events share: names with bounds, quantities, times, and the envelope."""

from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

MAX_QUANTITY: Final = 10**9
MAX_LINES: Final = 10_000

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Sku = Annotated[str, Meta(min_length=1, max_length=128)]
Location = Annotated[str, Meta(min_length=1, max_length=128)]
LineNumber = Annotated[int, Meta(ge=1, le=1_000_000)]
Positive = Annotated[int, Meta(gt=0, le=MAX_QUANTITY)]
NotNegative = Annotated[int, Meta(ge=0, le=MAX_QUANTITY)]
Signed = Annotated[int, Meta(ge=-MAX_QUANTITY, le=MAX_QUANTITY)]
Number = Annotated[int, Meta(ge=0, le=2**53)]
Sequence = Number | Annotated[str, Meta(pattern=r"^[0-9]{1,15}$")] | None
Epoch = Annotated[int, Meta(ge=0, le=2**31)]
Moment = Annotated[datetime, Meta(tz=True)]
Local = datetime
"""A time with an offset, or local to the event's location where its source may say it so."""
Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
Uom = Annotated[str, Meta(min_length=1, max_length=32)] | None
"""Unit of measure: none or `each` is the base unit, others convert by the item's packs."""
Condition = Literal["sellable", "quality_control", "damaged"]
Bucket = Literal["on_hand", "quality_control", "damaged"]
Trace = Annotated[str, Meta(max_length=256)] | None


class Event(Struct, kw_only=True, tag_field="type", gc=False):
    """The envelope. `time` is when it happened; `sentat` the device's clock when sent.

    Without `sequence`, an event's identity is its source and `id`.
    """

    specversion: Literal["1.0"]
    id: Name
    source: Name
    time: Local
    sequence: Sequence = None
    epoch: Epoch = 0
    sentat: Moment | None = None
    correlationid: Trace = None
    causationid: Trace = None
    traceparent: Trace = None
