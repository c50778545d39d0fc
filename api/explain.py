"""Why is this number 7? The ledger entries that make a row, and their sum."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from api.availability import JSON
from api.availability import Query as Keys
from api.paths import decoded
from api.problems import Problem
from api.state import State, state_of
from models.arrival import SourceRow
from models.clock import business_day
from models.explanation import explain, told
from models.holds import HoldRow
from models.instants import from_datetime, to_rfc3339
from models.ledger import LedgerEntry
from models.reading import zone_of
from models.reference import LocationFacts
from models.rows import decode, key, stock_key

router = APIRouter(prefix="/v1/availability", tags=["explain"])

WAIT_SECONDS = 2.0
"""How long an explanation waits for the ledger to reach the row that it explains."""

MANY_WAIT_SECONDS = 0.5
"""The same of many: some may be of entries that the archive had to let go of."""

_decode = msgspec.json.Decoder(LedgerEntry).decode


@router.get("/{sku}/{location}/explain")
async def explain_one(
    request: Request,
    sku: str,
    location: str,
    as_of: datetime | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> Response:
    """What makes the number: the last count, each entry since, holds, and what is missing.

    `as_of` is a moment of the past, by when things were received, within what is kept of
    the ledger. Of more than `limit` entries, the oldest are summed up in `start`.
    """
    state = state_of(request)
    sku, location = decoded(sku), decoded(location)
    if as_of is not None and as_of.tzinfo is None:
        raise Problem(422, "invalid", "as_of needs an offset")
    found = await _entries(state, sku, location, as_of)
    if not found:
        raise Problem(404, "not_found", "the ledger has nothing of this row")
    explanation = explain(found)
    last, shown = found[-1], explanation.entries[-limit:]
    dropped = explanation.entries[: len(explanation.entries) - len(shown)]
    start = explanation.start + sum(entry.deltas.get("on_hand", 0) for entry in dropped)
    base = explanation.base
    holds = await _holds(state, sku, location) if as_of is None else []
    sources = await _sources_that_lack(state, location)
    gaps = _gaps(sources)
    tell = _teller(state, location)
    total = start + sum(entry.deltas.get("on_hand", 0) for entry in shown)
    answer = {
        "sku": sku,
        "location": location,
        "version": last.version,
        "on_hand": last.on_hand,
        "reserved": last.reserved,
        "safety_stock": last.safety_stock,
        "quality_control": last.quality_control,
        "damaged": last.damaged,
        "in_transit": last.in_transit,
        "incoming": last.incoming,
        "variance": last.variance,
        "base": None if base is None else tell(base) | _provisional(base, gaps),
        "start": start,
        "summed_up": len(dropped),
        "entries": [tell(entry) for entry in shown],
        "sum": {
            "start": start,
            "deltas": total - start,
            "on_hand": total,
            "agrees": total == last.on_hand,
        },
        "holds": holds,
        "gaps": gaps,
        "held": [
            {"source": one.source, "topic": one.topic, "events": one.held}
            for one in sources
            if one.held
        ],
    }
    return Response(msgspec.json.encode(answer), media_type=JSON)


@router.post("/explain")
async def explain_many(request: Request, wanted: Keys) -> Response:
    """Whether the explanations of many rows sum up to their answers, in the order asked."""
    state = state_of(request)
    state.must_have_caught_up()
    if len(wanted.items) > state.settings.max_query:
        raise Problem(422, "too_many", f"at most {state.settings.max_query} items")
    keys = [(item.sku, item.location) for item in wanted.items]
    stocks = await state.view.stocks(keys)
    known = [
        (key, stock.version) for key, stock in zip(keys, stocks, strict=True) if stock is not None
    ]
    found = await state.archive.entries_of_many(
        [(stock_key(*key), version) for key, version in known], MANY_WAIT_SECONDS
    )
    items = [
        _summary(key, version, entries)
        for (key, version), entries in zip(known, found, strict=True)
    ]
    return Response(msgspec.json.encode({"items": items}), media_type=JSON)


def _summary(key: tuple[str, str], version: int, found: list[bytes] | None) -> dict[str, Any]:
    sku, location = key
    if not found:
        return {"sku": sku, "location": location, "version": version, "agrees": False}
    entries = [_decode(entry) for entry in found]
    explanation = explain(entries)
    return {
        "sku": sku,
        "location": location,
        "version": version,
        "start": explanation.start,
        "entries": len(explanation.entries),
        "on_hand": explanation.on_hand(),
        "agrees": explanation.on_hand() == entries[-1].on_hand,
    }


async def _version(state: State, sku: str, location: str) -> int:
    state.must_have_caught_up()
    (stock,) = await state.view.stocks([(sku, location)])
    if stock is None:
        raise Problem(404, "not_found", "there is no row of this SKU at this location")
    return stock.version


async def _entries(
    state: State, sku: str, location: str, as_of: datetime | None
) -> list[LedgerEntry]:
    stock = stock_key(sku, location)
    if as_of is not None:
        await state.archive_reached_view()
        found = await state.archive.entries(stock, from_datetime(as_of))
    else:
        version = await _version(state, sku, location)
        (explained,) = await state.archive.entries_of_many([(stock, version)], WAIT_SECONDS)
        if explained is None:
            detail = "the ledger has not been read up to this row's version yet"
            raise Problem(503, "catching_up", detail)
        found = explained
    return [_decode(entry) for entry in found]


def _teller(state: State, location: str) -> Callable[[LedgerEntry], dict[str, Any]]:
    """How entries of a location are told: with their business day, where its zone is known."""
    versions = state.catalog.versions("location", location)
    facts = versions[-1][1] if versions else None
    if not isinstance(facts, LocationFacts) or facts.zone is None:
        return told
    zone, starts = zone_of(facts.zone), facts.day_starts

    def tell(entry: LedgerEntry) -> dict[str, Any]:
        said = entry.movement
        stated = said.note.business_day if said.note is not None else None
        day = stated or business_day(said.effective, zone, starts)
        return told(entry) | {"business_day": day}

    return tell


async def _holds(state: State, sku: str, location: str) -> list[dict[str, Any]]:
    await state.archive_reached_view()
    rows = await state.archive.documents("hold", key("at", sku, location))
    holds = [decode(value, HoldRow) for _, value in rows]
    return [
        {"reservation": hold.reservation, "line": hold.line, "reserved": hold.reserved}
        for hold in holds
        if hold.reserved
    ]


async def _sources_that_lack(state: State, location: str) -> list[SourceRow]:
    """The sources that report on a location and have gaps, or events that wait."""
    await state.archive_reached_view()
    return [decode(value, SourceRow) for _, value in await state.archive.documents("gap", location)]


def _gaps(sources: list[SourceRow]) -> list[dict[str, Any]]:
    """What did not arrive of these sources."""
    return [
        {
            "source": source.source,
            "topic": source.topic,
            "epoch": epoch.epoch,
            "from": low,
            "to": high,
            "since": to_rfc3339(since),
        }
        for source in sources
        for epoch in source.epochs
        for low, high, since in epoch.gaps
    ]


def _provisional(base: LedgerEntry, gaps: list[dict[str, Any]]) -> dict[str, Any]:
    """A count is provisional while something from before it is missing."""
    counted = to_rfc3339(base.received)
    return {"provisional": any(gap["since"] <= counted for gap in gaps)}
