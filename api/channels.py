"""Channels: their rules, their allocations, and a live stream of changes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Annotated
from uuid import uuid4

import msgspec
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, Field
from sse_starlette import EventSourceResponse, ServerSentEvent

from api.allocation_feed import from_id
from api.availability import JSON, lag
from api.events import decoder
from api.paths import decoded
from api.problems import Problem
from api.responses import Answer
from api.state import State, state_of
from models import topics
from models.channels import ChannelRow, channel_key
from models.events import MAX_QUANTITY
from models.rows import decode

router = APIRouter(prefix="/v1/channels", tags=["channels"])


class Rule(BaseModel):
    """What a channel may claim. Channels with the same locations divide one pool."""

    share: int = Field(ge=0, le=100, description="percent of what the locations can promise")
    buffer: int = Field(0, ge=0, le=MAX_QUANTITY, description="units kept back from the channel")
    locations: list[str] | None = Field(
        None, min_length=1, max_length=10_000, description="the location group; none is all"
    )
    rank: int = Field(0, ge=0, description="ties go to the lower rank, then by name")


@router.put("/{channel}", status_code=202)
async def put_rule(request: Request, channel: str, rule: Rule) -> Response:
    """Set a channel's rule; it takes effect at its place in the log, in every partition."""
    state = state_of(request)
    name = decoded(channel)
    if len(name) > 256:
        raise Problem(422, "invalid", "a channel's name has at most 256 characters")
    event = {
        "specversion": "1.0",
        "id": str(uuid4()),
        "source": "onhand",
        "type": "onhand.channel.v1",
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "data": {"channel": name, **rule.model_dump()},
    }
    value = msgspec.json.encode(event)
    (element,) = decoder(topics.ORDERS_RESERVATIONS).elements(value)
    if element.rejected:
        raise Problem(422, element.rejected[0].code, element.rejected[0].reason)
    await state.producing.append([(topics.ORDERS_RESERVATIONS, name, value)])
    return Answer({"channel": name, **rule.model_dump()}, status_code=202)


@router.get("/{channel}")
async def get_rule(request: Request, channel: str) -> Response:
    """The rule in force."""
    state = state_of(request)
    state.must_have_caught_up()
    row = await _rule(state, decoded(channel))
    document = {name: getattr(row, name) for name in ("channel", *Rule.model_fields)}
    return Answer(document, headers=await lag(state))


@router.get("/{channel}/allocations")
async def allocations(
    request: Request,
    channel: str,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1_000,
) -> Response:
    """What the channel may sell, by SKU; `next` is the `after` of the next page, or null."""
    state = state_of(request)
    state.must_have_caught_up()
    name = decoded(channel)
    rows = state.feed.page(name, after, limit)
    if not rows:
        await _rule(state, name)
    more = rows[-1].sku if len(rows) == limit else None
    body = msgspec.json.encode({"channel": name, "allocations": rows, "next": more})
    return Response(body, media_type=JSON, headers=await lag(state))


@router.get("/{channel}/stream")
async def stream(
    request: Request, channel: str, last_event_id: Annotated[str, Header()] = ""
) -> EventSourceResponse:
    """Server-sent events: every allocation, then each change. Resumes after `Last-Event-ID`."""
    state = state_of(request)
    state.must_have_caught_up()
    try:
        since = from_id(last_event_id)
    except ValueError as error:
        raise Problem(422, "invalid", "Last-Event-ID is not one of ours") from error

    async def events() -> AsyncIterator[ServerSentEvent]:
        async for place, allocation in state.feed.stream(decoded(channel), since):
            yield ServerSentEvent(allocation.json().decode(), event="allocation", id=place)

    return EventSourceResponse(events())


async def _rule(state: State, channel: str) -> ChannelRow:
    value = await state.view.row(channel_key(0, channel))
    if value is None:
        raise Problem(404, "not_found", "the channel has no rule")
    return decode(value, ChannelRow)
