"""Reservations over HTTP: commands go into the log, answers come from its owner's decision."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.availability import lag
from api.events import decoder
from api.paths import decoded
from api.problems import Problem
from api.responses import Answer
from api.state import State, state_of
from models import orders, topics
from models.events import MAX_QUANTITY, MAX_RESERVATION_LINES
from models.orders import OrderRow, order_key
from models.outcomes import Outcome
from models.rows import PLACE_BITS, decode

router = APIRouter(prefix="/v1/reservations", tags=["reservations"])

_REQUESTED = "orders.reservation.requested.v1"
_REFUSED = {
    Outcome.CONFLICT,
    Outcome.HOLD_EXPIRED,
    Outcome.REFUSED,
    Outcome.RELEASED_BEFORE_REQUEST,
}


class Line(BaseModel):
    """One SKU at one location. Quantity in base units."""

    line: int = Field(ge=1)
    sku: str = Field(min_length=1, max_length=128)
    quantity: int = Field(gt=0, le=MAX_QUANTITY)
    location: str = Field(min_length=1, max_length=128)


class Asked(BaseModel):
    """A reservation of all its lines or none. Without a name it is given one."""

    reservation: str | None = Field(None, min_length=1, max_length=256)
    order: str | None = Field(None, min_length=1, max_length=256)
    channel: str | None = Field(None, min_length=1, max_length=256)
    ttl_seconds: int | None = Field(
        None, gt=0, description="until the hold lapses unless confirmed; the service has a maximum"
    )
    lines: Annotated[list[Line], Field(min_length=1, max_length=MAX_RESERVATION_LINES)]


class Told(BaseModel):
    """Why a command is given."""

    reason: str | None = Field(None, min_length=1, max_length=256)


@router.post("", status_code=201)
async def request_hold(request: Request, asked: Asked) -> Response:
    """Hold every line or none: 201 held, 409 with what is short, 202 if not decided in time."""
    state = state_of(request)
    reservation = asked.reservation or str(uuid4())
    data = {**asked.model_dump(exclude_none=True), "reservation": reservation, "policy": "all"}
    row = await _command(state, reservation, _REQUESTED, data)
    where = {"Location": f"/v1/reservations/{reservation}", **await lag(state)}
    if row is None or row.status in (orders.PENDING, orders.UNKNOWN):
        waiting = {"reservation": reservation, "status": orders.PENDING}
        return Answer(waiting, status_code=202, headers=where)
    _refuse(row, _REQUESTED)
    if row.status == orders.INSUFFICIENT:
        short = [line for line in public(row)["lines"] if line["outcome"] == orders.INSUFFICIENT]
        detail = "not every line can be held; none is"
        raise Problem(409, "insufficient", detail, reservation=reservation, short=short)
    return Answer(public(row), status_code=201, headers=where)


@router.get("/{reservation}")
async def one(request: Request, reservation: str) -> Response:
    """A reservation as its owner last decided it."""
    state = state_of(request)
    state.must_have_caught_up()
    row = await _row(state, decoded(reservation))
    if row is None or row.status == orders.UNKNOWN:
        raise Problem(404, "not_found", "no such reservation was requested")
    return Answer(public(row), headers=await lag(state))


@router.post("/{reservation}/confirm")
async def confirm(request: Request, reservation: str) -> Response:
    """The order is placed: the hold no longer lapses."""
    return await _follow_up(request, reservation, "orders.reservation.confirmed.v1", None)


@router.post("/{reservation}/release")
async def release(request: Request, reservation: str, told: Told | None = None) -> Response:
    """Give the units back."""
    reason = told.reason if told is not None else None
    return await _follow_up(request, reservation, "orders.reservation.released.v1", reason)


@router.post("/{reservation}/fulfil")
async def fulfil(request: Request, reservation: str) -> Response:
    """The units have left the location."""
    return await _follow_up(request, reservation, "orders.reservation.fulfilled.v1", None)


async def _follow_up(
    request: Request, reservation: str, command: str, reason: str | None
) -> Response:
    state = state_of(request)
    name = decoded(reservation)
    data = {"reservation": name, **({"reason": reason} if reason else {})}
    row = await _command(state, name, command, data)
    headers = await lag(state)
    if row is None:
        waiting = {"reservation": name, "status": orders.PENDING}
        return Answer(waiting, status_code=202, headers=headers)
    _refuse(row, command)
    return Answer(public(row), headers=headers)


async def _command(
    state: State, reservation: str, command: str, data: dict[str, Any]
) -> OrderRow | None:
    """Append a command and wait, within bounds, for what came of it; None if it did not."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "api",
        "type": command,
        "time": now,
        "data": data,
    }
    value = msgspec.json.encode(event)
    (element,) = decoder(topics.ORDERS_RESERVATIONS).elements(value)
    if element.rejected:
        raise Problem(422, element.rejected[0].code, element.rejected[0].reason)
    (place,) = await state.producing.append([(topics.ORDERS_RESERVATIONS, reservation, value)])
    until_decided = command == _REQUESTED
    try:
        async with asyncio.timeout(state.settings.decision_seconds):
            while True:
                changed = state.watching.next_change(order_key(reservation))
                row = await _row(state, reservation)
                if row is not None and _absorbed(row, place.offset):
                    waits = until_decided and row.status == orders.PENDING
                    if not waits:
                        changed.cancel()
                        return row
                await changed
    except TimeoutError:
        return None


def _absorbed(row: OrderRow, offset: int) -> bool:
    return row.version & ((1 << PLACE_BITS) - 1) >= offset


async def _row(state: State, reservation: str) -> OrderRow | None:
    value = await state.view.row(order_key(reservation))
    return None if value is None else decode(value, OrderRow)


def _refuse(row: OrderRow, command: str) -> None:
    """Raise a problem where the command was refused."""
    told = next((one for one in reversed(row.outcomes) if one.command == command), None)
    if told is None:
        return
    if told.outcome == Outcome.UNKNOWN_RESERVATION:
        raise Problem(404, told.outcome, "no such reservation was requested")
    if told.outcome in _REFUSED:
        detail = f"the reservation is {row.status}"
        raise Problem(409, told.outcome, detail, reservation=row.reservation)


def public(row: OrderRow) -> dict[str, Any]:
    """A reservation as readers see it."""
    fields = ("reservation", "status", "order", "channel", "lines", "expires_at", "outcomes")
    document: dict[str, Any] = msgspec.to_builtins({name: getattr(row, name) for name in fields})
    return {**document, "version": row.version}
