"""Writing events: validated, appended with the right key, acknowledged before the answer."""

from functools import cache
from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response

from api.problems import Problem
from api.responses import Answer
from api.state import State, state_of
from models import topics
from models.arrival import SourceRow
from models.decoding import Decoder
from models.events import SERVICE_PREFIX, TOPIC_OF_TYPE, TYPES_OF_ANY_TOPIC
from models.outcomes import Code
from models.rows import decode
from models.topics import SOURCE_TOPICS

router = APIRouter(prefix="/v1/events", tags=["events"])

Record = tuple[str, str, bytes]


class _Head(msgspec.Struct):
    type: str
    source: str = ""
    subject: str | None = None


_head_of = msgspec.json.Decoder(_Head).decode


@cache
def decoder(topic: str) -> Decoder:
    """The decoder of an input topic."""
    return Decoder(topic)


@router.post("", status_code=202)
async def accept(request: Request) -> Response:
    """Take one CloudEvent or an array of them. All are appended, or none."""
    state = state_of(request)
    elements = _elements(await request.body())
    records: list[Record] = []
    errors: list[dict[str, Any]] = []
    for index, element in enumerate(elements):
        taken = await _record_of(state, element, index)
        if isinstance(taken, dict):
            errors.append(taken)
        else:
            records.append(taken)
    if errors:
        detail = f"{len(errors)} of {len(elements)} events are not valid; none was taken"
        raise Problem(422, str(errors[0]["code"]), detail, errors=errors)
    await state.producing.append(records)
    return Answer({"accepted": len(records)}, status_code=202)


def _elements(body: bytes) -> list[bytes]:
    try:
        if body.lstrip().startswith(b"["):
            elements = [bytes(raw) for raw in msgspec.json.decode(body, type=list[msgspec.Raw])]
        else:
            elements = [body]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(422, Code.INVALID, str(error)) from error
    if not elements:
        raise Problem(422, Code.INVALID, "the array is empty")
    return elements


async def _record_of(state: State, element: bytes, index: int) -> Record | dict[str, Any]:
    try:
        head = _head_of(element)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        return _error(index, Code.INVALID, str(error))
    kind = head.type
    if kind.startswith(SERVICE_PREFIX):
        return _error(index, Code.RESERVED_TYPE, f"{kind} is the service's own")
    topic = TOPIC_OF_TYPE.get(kind)
    if kind in TYPES_OF_ANY_TOPIC:
        topic = await _topic_of_control(state, head)
        if topic is None:
            reason = "name the topic as `subject`: the source is not known in exactly one"
            return _error(index, Code.WRONG_TOPIC, reason)
    if topic is None:
        return _error(index, Code.UNKNOWN_TYPE, kind)
    (decoded,) = decoder(topic).elements(element)
    if decoded.rejected:
        code, reason, *_ = decoded.rejected[0]
        return _error(index, code, reason)
    event: Any = decoded.event
    key = event.data.reservation if topic == topics.ORDERS_RESERVATIONS else event.source
    return topic, key, element


async def _topic_of_control(state: State, head: _Head) -> str | None:
    """The topic of a source's control: its subject, or the one that the source writes to."""
    if head.subject in SOURCE_TOPICS:
        return head.subject
    known = [decode(value, SourceRow).topic for value in await state.view.source(head.source)]
    return known[0] if len(known) == 1 else None


def _error(index: int, code: Code, reason: str) -> dict[str, Any]:
    return {"index": index, "code": code.value, "reason": reason}
