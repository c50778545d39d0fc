"""Reading sources: what was seen of each, what is missing, who is silent."""

import time
from collections.abc import Callable
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

import msgspec
from fastapi import APIRouter, Query, Request, Response

from api.availability import JSON, lag
from api.paths import decoded
from api.problems import Problem
from api.state import State, state_of
from models.arrival import SourceRow
from models.instants import SECOND, to_rfc3339
from models.reading import zone_of
from models.reference import LocationFacts, SourceFacts
from models.rows import decode
from models.silence import silent_since

router = APIRouter(prefix="/v1/sources", tags=["sources"])

_UTC: Final = ZoneInfo("UTC")
_TROUBLES: Final[dict[str, Callable[[dict[str, Any]], bool]]] = {
    "gaps": lambda told: told["missing"] > 0,
    "silence": lambda told: told["silent_since"] is not None,
    "skew": lambda told: told["skew_seconds"] != 0,
    "duplicates": lambda told: told["duplicates"] > 0,
    "conflicts": lambda told: told["conflicts"] > 0,
    "held": lambda told: told["held"] > 0,
}


@router.get("")
async def page(
    request: Request,
    trouble: Literal["gaps", "silence", "skew", "duplicates", "conflicts", "held"] | None = None,
    location: str | None = None,
    topic: str | None = None,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """Sources by topic and name; `next` is the `after` of the next page, or null."""
    state = state_of(request)
    await state.archive_reached_view()
    shown: list[dict[str, Any]] = []
    while True:
        found = await state.archive.documents("source", after=after, limit=limit)
        for name, value in found:
            after = name
            row = decode(value, SourceRow)
            told = _summary(state, row)
            if (
                (trouble is None or _TROUBLES[trouble](told))
                and (location is None or location in row.locations)
                and topic in (None, row.topic)
            ):
                shown.append(told)
            if len(shown) == limit:
                return await _answer(state, {"sources": shown, "next": after})
        if len(found) < limit:
            return await _answer(state, {"sources": shown, "next": None})


@router.get("/{source}")
async def one(request: Request, source: str, topic: str | None = None) -> Response:
    """Sequence intervals seen and missing, per epoch; `gaps_since` is when each gap opened.

    A source that writes to several topics is answered for `topic`, by default the one
    it was last seen in.
    """
    state = state_of(request)
    state.must_have_caught_up()
    rows = [decode(value, SourceRow) for value in await state.view.source(decoded(source))]
    rows = [row for row in rows if topic in (None, row.topic)]
    if not rows:
        raise Problem(404, "not_found", "nothing was ever seen of this source")
    row = max(rows, key=lambda one: one.now)
    epochs = [
        {
            "epoch": epoch.epoch,
            "seen": epoch.seen(),
            "gaps": [(low, high) for low, high, _ in epoch.gaps],
            "gaps_since": [to_rfc3339(since) for *_, since in epoch.gaps],
            "open": epoch.open,
        }
        for epoch in row.epochs
    ]
    return await _answer(state, {**_summary(state, row), "epochs": epochs, "totals": row.totals})


async def _answer(state: State, document: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(document), media_type=JSON, headers=await lag(state))


def _summary(state: State, row: SourceRow) -> dict[str, Any]:
    silent = _silent_since(state, row)
    skew = row.skew.correction() if row.skew is not None else 0
    return {
        "source": row.source,
        "topic": row.topic,
        "locations": row.locations,
        "missing": sum(high - low + 1 for one in row.epochs for low, high, _ in one.gaps),
        "duplicates": row.duplicates,
        "conflicts": row.conflicts,
        "held": row.held,
        "unsequenced": row.unsequenced,
        "skew_seconds": skew / SECOND,
        "silent_since": silent,
        "last_seen": row.last_seen,
    }


def _silent_since(state: State, row: SourceRow) -> str | None:
    versions = state.catalog.versions("source", row.source)
    facts = versions[-1][1] if versions else None
    cadence = (facts if isinstance(facts, SourceFacts) else SourceFacts()).cadence_seconds
    located = state.catalog.versions("location", row.locations[-1]) if row.locations else []
    place = located[-1][1] if located else None
    location = place if isinstance(place, LocationFacts) else LocationFacts()
    zone = zone_of(location.zone) if location.zone is not None else _UTC
    now = time.time_ns() // 1_000
    since = silent_since(row.now, now, cadence, location.hours, zone)
    return None if since is None else to_rfc3339(since)
