"""Reference data: what the service is told about locations, items and sources."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfoNotFoundError

import msgspec
from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field, field_validator

from api.availability import JSON
from api.paths import decoded
from api.problems import Problem
from api.responses import Answer
from api.state import State, state_of
from models import topics
from models.instants import from_datetime, to_datetime
from models.reading import zone_of
from models.reference import (
    DEFAULT_CADENCE,
    TOPIC_OF_KIND,
    Facts,
    ItemFacts,
    LocationFacts,
    SourceFacts,
    reference_key,
    stated,
    statements,
)

router = APIRouter(prefix="/v1/reference", tags=["reference"])

REFERENCE = "reference"
"""What is watched for reference data to be read."""

ClockTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Weekday = Literal["0", "1", "2", "3", "4", "5", "6"]


class Location(BaseModel):
    """A store, warehouse or desk."""

    zone: str | None = Field(None, description="IANA time zone, such as Europe/Berlin")
    groups: list[str] = Field([], max_length=100)
    hours: dict[Weekday, tuple[ClockTime, ClockTime]] = Field(
        {}, description="opening and closing time by weekday, 0 is Monday; none is always open"
    )
    day_starts: ClockTime = Field("00:00", description="when a business day begins, local time")
    authority: str | None = Field(None, max_length=256, description="whose book is followed")

    @field_validator("zone")
    @classmethod
    def _exists(cls, zone: str | None) -> str | None:
        if zone is not None:
            try:
                zone_of(zone)
            except (ZoneInfoNotFoundError, ValueError, OSError) as error:
                raise ValueError(f"{zone} is no IANA time zone") from error
        return zone


class Alias(BaseModel):
    """Another code of the item."""

    code: str = Field(min_length=1, max_length=128)
    since: AwareDatetime | None = Field(None, description="its own for what happened from then")


class Pack(BaseModel):
    """A unit that is several base units."""

    uom: str = Field(min_length=1, max_length=32)
    units: int = Field(gt=0, le=10**6, description="base units in one")
    since: AwareDatetime | None = Field(None, description="holds for what happened from then")


class Item(BaseModel):
    """A SKU."""

    aliases: list[Alias] = Field([], max_length=1_000)
    packs: list[Pack] = Field([], max_length=1_000)


class Source(BaseModel):
    """A register, WMS, returns desk: one sequence of facts."""

    cadence_seconds: int = Field(
        DEFAULT_CADENCE, gt=0, description="seconds within which it is heard while it is open"
    )
    unknown_items: Literal["pass", "hold"] = Field("pass", description="items never stated")
    local_time: bool = Field(False, description="times without offset are its location's")


@router.put("/locations/{name}", status_code=202)
async def put_location(request: Request, name: str, location: Location) -> Response:
    """State what is known of a location; the whole of it is replaced."""
    facts = msgspec.convert(location.model_dump(), LocationFacts)
    return await _put(request, "location", name, facts)


@router.put("/items/{name}", status_code=202)
async def put_item(request: Request, name: str, item: Item) -> Response:
    """State what is known of an item; a code that was another item's goes over to it."""
    facts = msgspec.convert(_plain(item.model_dump()), ItemFacts)
    return await _put(request, "item", name, facts)


@router.put("/sources/{name}", status_code=202)
async def put_source(request: Request, name: str, source: Source) -> Response:
    """State what is known of a source; the whole of it is replaced."""
    facts = msgspec.convert(source.model_dump(), SourceFacts)
    return await _put(request, "source", name, facts)


@router.get("/status")
async def status(request: Request) -> Response:
    """How far reference data was written, and from where on each input log uses it."""
    state = state_of(request)
    ends = state.catalog.ends
    using: list[dict[str, Any]] = [
        {"topic": topic, "partition": partition, "offsets": offsets}
        for partition, used in sorted(state.reference_use.items())
        for topic, offsets in sorted(used.items())
    ]
    wanted = {topic: end for topic, end in ends.items() if end}
    complete = {one["topic"] for one in using} >= set(topics.SOURCE_TOPICS)
    current = complete and all(
        one["offsets"].get(topic, 0) >= end for one in using for topic, end in wanted.items()
    )
    return Answer({"written": ends, "in_use": using, "current": current or not wanted})


@router.get("/{kind}")
async def names(
    request: Request,
    kind: Literal["locations", "items", "sources"],
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> Response:
    """What is stated of, by name; `next` is the `after` of the next page, or null."""
    state = state_of(request)
    found = [name for name in state.catalog.names(kind[:-1]) if name > after][:limit]
    return Answer({"names": found, "next": found[-1] if len(found) == limit else None})


@router.get("/{kind}/{name}")
async def one(
    request: Request, kind: Literal["locations", "items", "sources"], name: str
) -> Response:
    """What is stated, and where it stands in its topic."""
    state = state_of(request)
    versions = state.catalog.versions(kind[:-1], decoded(name))
    if not versions:
        raise Problem(404, "not_found", "nothing was stated of this name")
    offset, facts = versions[-1]
    answer = {"name": decoded(name), "offset": offset, **_told(facts)}
    return Response(msgspec.json.encode(answer), media_type=JSON)


async def _put(request: Request, kind: str, name: str, facts: Facts) -> Response:
    state = state_of(request)
    name = decoded(name)
    if len(name) > 256:
        raise Problem(422, "invalid", "a name has at most 256 characters")
    try:
        async with state.reference_lock:
            offset = await _state(state, kind, name, facts)
    except TimeoutError as error:
        raise Problem(503, "catching_up", "written, but not read back in time") from error
    where = {"topic": TOPIC_OF_KIND[kind], "offset": offset}
    return Answer({"name": name, **where}, status_code=202)


async def _state(state: State, kind: str, name: str, facts: Facts) -> int:
    """Append the records of a statement, and wait until this process has read them."""
    made = statements(state.catalog, kind, name, facts)
    records = [
        (
            TOPIC_OF_KIND[one],
            reference_key(one, called),
            stated(value, state.catalog.versions(one, called)),
        )
        for one, called, value in made
    ]
    places = await state.producing.append(records)
    first: int = places[0].offset
    last = {topic: place.offset for (topic, *_), place in zip(records, places, strict=True)}
    async with asyncio.timeout(state.settings.decision_seconds):
        while True:
            read = state.watching.next_change(REFERENCE)
            if all(state.catalog.ends[topic] > offset for topic, offset in last.items()):
                return first
            await read


def _plain(value: Any) -> Any:
    """Times as they are kept: in microseconds."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return from_datetime(value.astimezone(UTC)) if isinstance(value, datetime) else value


def _told(facts: Facts) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(facts)
    for name in ("aliases", "packs"):
        for one in document.get(name, []):
            if one.get("since") is not None:
                one["since"] = to_datetime(one["since"]).isoformat()
    return document
