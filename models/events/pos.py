"""What registers say: sales, voids, returns at the till."""

from typing import Annotated

from msgspec import Meta, Struct

from models.events.fields import (
    MAX_LINES,
    Condition,
    Day,
    Event,
    LineNumber,
    Location,
    Name,
    Positive,
    Sku,
    Uom,
)


class ReservationLine(Struct, omit_defaults=True, gc=False):
    """The line of a reservation that a sale line picks up."""

    reservation: Name
    line: LineNumber


class SaleLine(Struct, omit_defaults=True, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Positive
    uom: Uom = None
    reservation: ReservationLine | None = None


class TillReturnLine(Struct, omit_defaults=True, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Positive
    uom: Uom = None
    condition: Condition = "quality_control"


class VoidLine(Struct, omit_defaults=True, gc=False):
    """A line of the sale that is taken back; without a quantity, all that is left of it."""

    line: LineNumber
    quantity: Positive | None = None


class Sale(Struct, omit_defaults=True, gc=False):
    transaction: Name
    location: Location
    lines: Annotated[list[SaleLine], Meta(min_length=1, max_length=MAX_LINES)]
    business_day: Day | None = None


class TillReturn(Struct, omit_defaults=True, gc=False):
    transaction: Name
    location: Location
    lines: Annotated[list[TillReturnLine], Meta(min_length=1, max_length=MAX_LINES)]
    business_day: Day | None = None


class Void(Struct, omit_defaults=True, gc=False):
    """Takes back lines of an earlier sale of the same source; without lines, all of it."""

    transaction: Name
    location: Location
    lines: Annotated[list[VoidLine], Meta(min_length=1, max_length=MAX_LINES)] | None = None


class SaleCompleted(Event, tag="pos.sale.completed.v1", gc=False):
    data: Sale


class SaleVoided(Event, tag="pos.sale.voided.v1", gc=False):
    data: Void


class SaleReturned(Event, tag="pos.sale.returned.v1", gc=False):
    data: TillReturn
