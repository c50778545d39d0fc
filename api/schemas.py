"""The JSON Schemas of the events that may be sent."""

from functools import cache
from typing import Any

from fastapi import APIRouter, Request, Response

from api.paths import decoded
from api.problems import Problem
from api.responses import Answer
from models.contracts import asyncapi, schemas

router = APIRouter(prefix="/v1/schemas", tags=["contracts"])

_known = cache(schemas)


@router.get("")
async def names(request: Request) -> Response:
    """The event types that may be sent, and where their schemas are."""
    links = {name: f"/v1/schemas/{name}" for name in _known()}
    return Answer({"schemas": links, "asyncapi": "/v1/schemas/asyncapi"})


@router.get("/asyncapi")
async def topics(request: Request) -> Response:
    """The topics, as an AsyncAPI document."""
    return Answer(asyncapi(request.app.version))


@router.get("/{name}")
async def one(request: Request, name: str) -> Response:
    """The JSON Schema of one event type."""
    found: dict[str, Any] | None = _known().get(decoded(name))
    if found is None:
        raise Problem(404, "unknown_type", "no such event type")
    return Answer(found, media_type="application/schema+json")
