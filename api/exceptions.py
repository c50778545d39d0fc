"""Exceptions: what could not be taken, why, what to do about it, and taking it again."""

import time
from datetime import datetime
from typing import Annotated, Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from fastapi import APIRouter, Query, Request, Response

from api.availability import JSON
from api.paths import decoded
from api.problems import Problem
from api.responses import Answer
from api.state import State, state_of
from models import topics
from models.arrival import SourceRow
from models.instants import SECOND, from_datetime, to_rfc3339
from models.rows import decode, key

router = APIRouter(prefix="/v1/exceptions", tags=["exceptions"])

OPEN = "open"
HEALED = "healed"
_FETCH_MS = 2_000


@router.get("")
async def page(
    request: Request,
    code: str | None = None,
    source: str | None = None,
    location: str | None = None,
    owner: str | None = None,
    older_than_seconds: Annotated[float, Query(ge=0)] = 0,
    status: str | None = None,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """Dead letters by id; `next` is the `after` of the next page, or null.

    `owner` is who must act: service, source or person. `status` is open or healed.
    """
    state = state_of(request)
    asked = {"code": code, "source": source, "location": location, "owner": owner}
    filters = {name: value for name, value in asked.items() if value is not None}
    before = round((time.time() - older_than_seconds) * SECOND)
    shown: list[dict[str, Any]] = []
    await state.archive_reached_view()
    while True:
        found = await state.archive.letters(filters, before, after, limit)
        for name, received, times, letter in found:
            after = name
            document = await _told(state, name, received, times, letter)
            if status in (None, document["status"]):
                shown.append(document)
            if len(shown) == limit:
                return _answer({"exceptions": shown, "next": after})
        if len(found) < limit:
            return _answer({"exceptions": shown, "next": None})


@router.get("/{name}")
async def one(request: Request, name: str) -> Response:
    """One dead letter with its original bytes, in base64."""
    state = state_of(request)
    document = await _find(state, decoded(name))
    return _answer(document)


@router.post("/{name}/replay", status_code=202)
async def replay(request: Request, name: str) -> Response:
    """Append the original again, under its own key. Replayed twice, nothing doubles."""
    state = state_of(request)
    document = await _find(state, decoded(name))
    if document["original"] is None:
        raise Problem(409, "gone", "the original is no longer in its log")
    original = msgspec.json.decode(msgspec.json.encode(document["original"]), type=bytes)
    await state.producing.append([(document["topic"], document["key"], original)])
    return Answer({"id": document["id"], "appended_to": document["topic"]}, 202)


def _answer(document: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(document), media_type=JSON)


async def _find(state: State, name: str) -> dict[str, Any]:
    await state.archive_reached_view()
    found = await state.archive.letter(name)
    if found is None:
        raise Problem(404, "not_found", "no such exception")
    document = await _told(state, *found)
    if not document.pop("is_original"):
        document["movement"] = document["original"]
        document["original"] = await _original(state, document)
    return document


async def _told(
    state: State, name: str, received: int, times: int, letter: bytes
) -> dict[str, Any]:
    document: dict[str, Any] = {"id": name, **msgspec.json.decode(letter)}
    document["received_at"] = to_rfc3339(received)
    document["age_seconds"] = max(0, round(time.time() - received / SECOND))
    document["times"] = times
    document["heals_by_itself"] = bool(document["retry_when"])
    document["status"] = HEALED if await _is_healed(state, document) else OPEN
    return document


async def _is_healed(state: State, document: dict[str, Any]) -> bool:
    """Whether a later event under the same identity was taken whole."""
    identity = document["identity"]
    if not identity or not document["is_original"] or document["code"] in _FINAL:
        return False
    sequence = identity["sequence"]
    if not isinstance(sequence, int | str) or not str(sequence).isdigit():
        return False
    value = await state.view.row(key("source", document["topic"], document["source"]))
    if value is None:
        return False
    number = int(sequence)
    row = decode(value, SourceRow)
    if document["code"] == "suspected_reset":
        return any(from_sent(document) >= since for since, _ in row.opened)
    for epoch in row.epochs:
        if epoch.epoch == identity["epoch"] and epoch.first <= number <= epoch.last:
            missing = any(low <= number <= high for low, high, _ in epoch.gaps)
            return not missing and number not in epoch.open
    return False


_FINAL = frozenset({"conflict", "misrouted", "beyond_identity", "control_totals"})


def from_sent(document: dict[str, Any]) -> int:
    """The time that an original states, in microseconds; 0 where it states none."""
    try:
        event = msgspec.json.decode(
            msgspec.json.decode(msgspec.json.encode(document["original"]), type=bytes)
        )
        return from_datetime(datetime.fromisoformat(event["time"]))
    except (msgspec.MsgspecError, TypeError, ValueError, KeyError):
        return 0


async def _original(state: State, document: dict[str, Any]) -> str | None:
    """The bytes of the source's own record, as far as its log still has them, in base64."""
    if document["topic"] not in topics.INPUT_TOPICS:
        return None
    tp = TopicPartition(state.settings.topic(document["topic"]), document["partition"])
    consumer = AIOKafkaConsumer(bootstrap_servers=state.settings.kafka)
    await consumer.start()
    try:
        consumer.assign([tp])
        consumer.seek(tp, document["offset"])
        found = await consumer.getmany(tp, timeout_ms=_FETCH_MS, max_records=1)
        records = found.get(tp, [])
        if not records or records[0].offset != document["offset"]:
            return None
        value: str = msgspec.to_builtins(records[0].value or b"")
        return value
    finally:
        await consumer.stop()
