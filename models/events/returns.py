"""What returns desks say: the seven stages of a return, per line of its RMA."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from models.events.fields import MAX_LINES, Event, LineNumber, Location, Name, Positive, Sku, Uom

Disposal = Literal["restock", "refurbish", "vendor_return", "write_off", "quarantine"]


class StageLine(Struct, omit_defaults=True, gc=False):
    """`actual_sku`: what was in the parcel, where it is not what was sold."""

    line: LineNumber
    sku: Sku
    quantity: Positive
    uom: Uom = None
    actual_sku: Sku | None = None
    reason: Name | None = None


class DispositionLine(StageLine, omit_defaults=True, gc=False):
    disposition: Disposal | None = None


class Stage(Struct, omit_defaults=True, gc=False):
    rma: Name
    location: Location
    lines: Annotated[list[StageLine], Meta(min_length=1, max_length=MAX_LINES)]


class Disposed(Struct, omit_defaults=True, gc=False):
    """`disposition` holds for every line that has none of its own."""

    rma: Name
    location: Location
    lines: Annotated[list[DispositionLine], Meta(min_length=1, max_length=MAX_LINES)]
    disposition: Disposal | None = None


class ReturnAuthorized(Event, tag="returns.return.authorized.v1", gc=False):
    data: Stage


class ReturnShipped(Event, tag="returns.return.shipped.v1", gc=False):
    data: Stage


class ReturnReceived(Event, tag="returns.return.received.v1", gc=False):
    data: Stage


class ReturnInspected(Event, tag="returns.return.inspected.v1", gc=False):
    data: Stage


class ReturnDisposed(Event, tag="returns.return.disposed.v1", gc=False):
    data: Disposed


class ReturnRefunded(Event, tag="returns.return.refunded.v1", gc=False):
    data: Stage


class ReturnCredited(Event, tag="returns.return.credited.v1", gc=False):
    data: Stage
