"""Reading availability: one key, all locations of a SKU, many keys."""

import time
from collections.abc import Sequence
from typing import NamedTuple, Protocol

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.paths import decoded
from api.problems import Problem
from api.state import State, state_of
from api.views.base import Stock

router = APIRouter(prefix="/v1/availability", tags=["availability"])

JSON = "application/json"

_NO_ROW = {"description": "no row: nothing touched it, or not for long"}


class Availability(BaseModel):
    """One SKU at one location, in base units."""

    sku: str
    location: str
    on_hand: int
    reserved: int
    quality_control: int
    damaged: int
    in_transit: int
    incoming: int
    safety_stock: int
    available: int = Field(description="on_hand - reserved - safety_stock; may be negative")
    available_to_sell: int = Field(description="what channels see: never negative, 0 if unknown")
    shortfall: int = Field(description="reserved units that are not on hand")
    status: str = Field(description="known, unknown (never counted) or suspect")
    version: int
    as_of: str = Field(description="RFC 3339: time of the row's last movement")
    gaps: int = Field(description="open gaps of the sources that report on the location")


class Network(BaseModel):
    """One SKU at all its locations."""

    sku: str
    network_available: int
    locations: list[Availability]


class Key(BaseModel):
    """A SKU at a location."""

    sku: str
    location: str


class Query(BaseModel):
    """Keys to look up; the answer keeps their order."""

    items: list[Key]


class WantedKey(Protocol):
    """A SKU at a location."""

    @property
    def sku(self) -> str: ...
    @property
    def location(self) -> str: ...


class Wanted(Protocol):
    """Keys to look up."""

    @property
    def items(self) -> Sequence[WantedKey]: ...


class _Promise(msgspec.Struct):
    """What of an answer a network sums up."""

    available: int
    shortfall: int
    status: str


_promise_of = msgspec.json.Decoder(_Promise).decode


async def lag(state: State) -> dict[str, str]:
    """The header that says how old the view may be, in whole milliseconds."""
    matched_at = await state.view.matched_at()
    if matched_at is None:
        return {}
    return {"X-Onhand-Lag-Ms": str(max(0, round((time.time() - matched_at) * 1000)))}


class Answer(NamedTuple):
    """What a read comes to. The body is JSON; it is empty where the status is 304."""

    status: int
    headers: dict[str, str]
    body: bytes

    def response(self) -> Response:
        """The same, as a route returns it."""
        return Response(self.body, self.status, self.headers, JSON if self.body else None)


async def answer_one(state: State, sku: str, location: str, known_etag: str | None) -> Answer:
    """The answer for one key. Raises Problem where there is no row of it."""
    state.must_have_caught_up()
    (stock,) = await state.view.stocks([(sku, location)])
    headers = await lag(state)
    if stock is None:
        raise Problem(404, "not_found", "there is no row of this SKU at this location")
    headers["ETag"] = etag = f'"{stock.version}.{stock.gaps}"'
    if known_etag == etag:
        return Answer(304, headers, b"")
    return Answer(200, headers, stock.body())


async def answer_everywhere(state: State, sku: str) -> Answer:
    """The answer for all locations of a SKU. Raises Problem where there is no row of it."""
    state.must_have_caught_up()
    locations = await state.view.locations(sku)
    stocks = await state.view.stocks([(sku, location) for location in locations])
    headers = await lag(state)
    found = [stock for stock in stocks if stock is not None]
    if not found:
        raise Problem(404, "not_found", "there is no row of this SKU")
    body = b'{"sku":%b,"network_available":%d,"locations":[%b]}' % (
        msgspec.json.encode(sku),
        network_available(found),
        b",".join([stock.body() for stock in found]),
    )
    return Answer(200, headers, body)


async def answer_many(state: State, wanted: Wanted) -> Answer:
    """The answer for many keys. Raises Problem where they are too many."""
    if len(wanted.items) > state.settings.max_query:
        raise Problem(422, "too_many", f"at most {state.settings.max_query} items")
    state.must_have_caught_up()
    stocks = await state.view.stocks([(item.sku, item.location) for item in wanted.items])
    headers = await lag(state)
    items = [
        stock.body() if stock is not None else _miss(item)
        for item, stock in zip(wanted.items, stocks, strict=True)
    ]
    return Answer(200, headers, b'{"items":[%b]}' % b",".join(items))


# The routes document the reads, and answer what `api.reading` does not.


@router.get(
    "/{sku}/{location}",
    responses={
        200: {"model": Availability},
        404: _NO_ROW,
    },
)
async def one(request: Request, sku: str, location: str) -> Response:
    """What of a SKU is at a location, what can be promised, and how fresh that is."""
    etag = request.headers.get("if-none-match")
    answer = await answer_one(state_of(request), decoded(sku), decoded(location), etag)
    return answer.response()


@router.get(
    "/{sku}",
    responses={
        200: {"model": Network},
        404: _NO_ROW,
    },
)
async def everywhere(request: Request, sku: str) -> Response:
    """A SKU at all its locations, and what the network of them can promise."""
    return (await answer_everywhere(state_of(request), decoded(sku))).response()


@router.post("/query")
async def query(request: Request, wanted: Query) -> Response:
    """Many keys at once, answered in the order asked; a miss says so."""
    return (await answer_many(state_of(request), wanted)).response()


def _miss(item: WantedKey) -> bytes:
    return msgspec.json.encode({"sku": item.sku, "location": item.location, "status": "missing"})


def network_available(stocks: list[Stock]) -> int:
    """Σ max(0, available) - Σ shortfall over known rows, clamped last."""
    promised = 0
    for stock in stocks:
        row = _promise_of(stock.answer + b"}")
        if row.status == "known":
            promised += max(0, row.available) - row.shortfall
    return max(0, promised)
