"""What order systems ask: reservations and what becomes of them."""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from models.events.fields import Event, LineNumber, Location, Name, Positive, Sku

MAX_RESERVATION_LINES: Final = 200


class RequestedLine(Struct, omit_defaults=True, gc=False):
    line: LineNumber
    sku: Sku
    quantity: Positive
    location: Location


class Requested(Struct, omit_defaults=True, gc=False):
    """`ttl_seconds` bounds and default are settings of the service."""

    reservation: Name
    lines: Annotated[list[RequestedLine], Meta(min_length=1, max_length=MAX_RESERVATION_LINES)]
    order: Name | None = None
    channel: Name | None = None
    policy: Literal["all"] = "all"
    ttl_seconds: Annotated[int, Meta(gt=0, le=31_536_000)] | None = None


class Reservation(Struct, omit_defaults=True, gc=False):
    """What confirm, pick, release and fulfil say of a reservation: all of its lines."""

    reservation: Name
    reason: Name | None = None


class ReservationRequested(Event, tag="orders.reservation.requested.v1", gc=False):
    data: Requested


class ReservationConfirmed(Event, tag="orders.reservation.confirmed.v1", gc=False):
    data: Reservation


class ReservationReleased(Event, tag="orders.reservation.released.v1", gc=False):
    data: Reservation


class ReservationPicked(Event, tag="orders.reservation.picked.v1", gc=False):
    data: Reservation


class ReservationFulfilled(Event, tag="orders.reservation.fulfilled.v1", gc=False):
    data: Reservation
