"""Returns: the timeline of an RMA, and what stands still."""

import time
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request, Response

from api.availability import JSON
from api.paths import decoded
from api.problems import Problem
from api.state import state_of
from models.instants import SECOND, Instant, to_rfc3339
from models.returns import ReturnRow
from models.rows import decode

router = APIRouter(prefix="/v1/returns", tags=["returns"])


@router.get("")
async def stuck(
    request: Request,
    stuck_for: Annotated[
        float, Query(ge=0, description="seconds since the last stage of what is not finished")
    ] = 0,
    after: str = "",
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> Response:
    """Lines of returns that stand still; `next` is the `after` of the next page, or null."""
    state = state_of(request)
    await state.archive_reached_view()
    before = round((time.time() - stuck_for) * SECOND)
    shown: list[dict[str, Any]] = []
    while True:
        found = await state.archive.documents("return", after=after, limit=limit)
        for name, value in found:
            after = name
            row = decode(value, ReturnRow)
            waits = _waits_for(row)
            if waits is not None and row.timeline and _last(row) <= before:
                shown.append({**_line(row), "waits_for": waits})
            if len(shown) == limit:
                return _answer({"returns": shown, "next": after})
        if len(found) < limit:
            return _answer({"returns": shown, "next": None})


@router.get("/{rma}")
async def timeline(request: Request, rma: str) -> Response:
    """Every stage of every line, in the order in which they happened."""
    state = state_of(request)
    await state.archive_reached_view()
    name = decoded(rma)
    found = await state.archive.documents("return", name)
    if not found:
        raise Problem(404, "not_found", "no stage of this return was ever told")
    rows = [decode(value, ReturnRow) for _, value in found]
    told = sorted(
        ((one, row.line, row.sku) for row in rows for one in row.timeline),
        key=lambda stage: (stage[0].at, stage[1], stage[0].sequence),
    )
    stages = [
        {
            "at": to_rfc3339(one.at),
            "stage": one.stage,
            "line": line,
            "sku": sku,
            "quantity": one.quantity,
            "location": one.location,
            "disposition": one.disposition,
            "reason": one.reason,
            "source": one.source,
            "sequence": one.sequence,
        }
        for one, line, sku in told
    ]
    return _answer({"rma": name, "lines": [_line(row) for row in rows], "timeline": stages})


def _answer(document: dict[str, Any]) -> Response:
    return Response(msgspec.json.encode(document), media_type=JSON)


def _last(row: ReturnRow) -> Instant:
    return max(one.at for one in row.timeline)


def _line(row: ReturnRow) -> dict[str, Any]:
    now = row.now()
    return {
        "rma": row.rma,
        "line": row.line,
        "sku": row.sku,
        "sold_as": row.sold_as,
        "authorized": now.authorized,
        "under_way": now.under_way(),
        "received": now.received,
        "undecided": now.waiting(),
        "disposed": [
            {"disposition": one.disposition, "quantity": one.quantity, "location": one.location}
            for one in now.standing()
        ],
        "refunded": now.refunded,
        "credited": now.credited,
        "last_stage_at": to_rfc3339(_last(row)) if row.timeline else None,
    }


def _waits_for(row: ReturnRow) -> str | None:
    """The stage that is due next; None where the line is finished."""
    now = row.now()
    if now.waiting():
        return "disposed"
    if (now.authorized or 0) > sum(now.received.values()) and not now.dispositions:
        return "received"
    if now.dispositions and not (now.refunded or now.credited):
        return "refunded"
    return None
