"""Reading availability: one key, all locations of a SKU, many keys."""

import time

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from api.paths import decoded
from api.problems import Problem
from api.state import State, state_of
from api.views.base import Stock

router = APIRouter(prefix="/v1/availability", tags=["availability"])

JSON = "application/json"


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


@router.get(
    "/{sku}/{location}",
    responses={200: {"model": Availability}, 404: {"description": "never touched"}},
)
async def one(request: Request, sku: str, location: str) -> Response:
    """What of a SKU is at a location, what can be promised, and how fresh that is."""
    state = state_of(request)
    sku, location = decoded(sku), decoded(location)
    (stock,) = await state.view.stocks([(sku, location)])
    headers = await lag(state)
    if stock is None:
        raise Problem(404, "not_found", "nothing ever touched this SKU at this location")
    headers["ETag"] = etag = f'"{stock.version}.{stock.gaps}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers=headers)
    return Response(stock.body(), media_type=JSON, headers=headers)


@router.get("/{sku}", responses={200: {"model": Network}, 404: {"description": "never touched"}})
async def everywhere(request: Request, sku: str) -> Response:
    """A SKU at all its locations, and what the network of them can promise."""
    state = state_of(request)
    sku = decoded(sku)
    locations = await state.view.locations(sku)
    stocks = await state.view.stocks([(sku, location) for location in locations])
    headers = await lag(state)
    found = [stock for stock in stocks if stock is not None]
    if not found:
        raise Problem(404, "not_found", "nothing ever touched this SKU")
    body = b'{"sku":%b,"network_available":%d,"locations":[%b]}' % (
        msgspec.json.encode(sku),
        network_available(found),
        b",".join(stock.body() for stock in found),
    )
    return Response(body, media_type=JSON, headers=headers)


@router.post("/query")
async def query(request: Request, wanted: Query) -> Response:
    """Many keys at once, answered in the order asked; a miss says so."""
    state = state_of(request)
    if len(wanted.items) > state.settings.max_query:
        raise Problem(422, "too_many", f"at most {state.settings.max_query} items")
    stocks = await state.view.stocks([(item.sku, item.location) for item in wanted.items])
    headers = await lag(state)
    items = [
        stock.body() if stock is not None else _miss(item)
        for item, stock in zip(wanted.items, stocks, strict=True)
    ]
    return Response(b'{"items":[%b]}' % b",".join(items), media_type=JSON, headers=headers)


def _miss(item: Key) -> bytes:
    return msgspec.json.encode({"sku": item.sku, "location": item.location, "status": "missing"})


def network_available(stocks: list[Stock]) -> int:
    """Σ max(0, available) - Σ shortfall over known rows, clamped last."""
    promised = 0
    for stock in stocks:
        row = _promise_of(stock.answer + b"}")
        if row.status == "known":
            promised += max(0, row.available) - row.shortfall
    return max(0, promised)
