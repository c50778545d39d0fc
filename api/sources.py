"""Reading sources: what was seen of each, and what is missing."""

import msgspec
from fastapi import APIRouter, Request, Response

from api.availability import JSON, lag
from api.paths import decoded
from api.problems import Problem
from api.state import state_of
from models.arrival import SourceRow
from models.instants import to_rfc3339
from models.rows import decode

router = APIRouter(prefix="/v1/sources", tags=["sources"])


@router.get("/{source}")
async def one(request: Request, source: str, topic: str | None = None) -> Response:
    """Sequence intervals seen and missing, per epoch; `gaps_since` is when each gap opened.

    A source that writes to several topics is answered for `topic`, by default the one
    it was last seen in.
    """
    state = state_of(request)
    rows = [decode(value, SourceRow) for value in await state.view.source(decoded(source))]
    rows = [row for row in rows if topic in (None, row.topic)]
    if not rows:
        raise Problem(404, "not_found", "nothing was ever seen of this source")
    row = max(rows, key=lambda one: one.now)
    answer = {
        "source": row.source,
        "topic": row.topic,
        "locations": row.locations,
        "epochs": [
            {
                "epoch": epoch.epoch,
                "seen": epoch.seen(),
                "gaps": [(low, high) for low, high, _ in epoch.gaps],
                "gaps_since": [to_rfc3339(since) for *_, since in epoch.gaps],
            }
            for epoch in row.epochs
        ],
        "duplicates": row.duplicates,
        "conflicts": row.conflicts,
        "last_seen": row.last_seen,
    }
    return Response(msgspec.json.encode(answer), media_type=JSON, headers=await lag(state))
