"""Whether the process lives, and whether its answers are complete."""

from fastapi import APIRouter, Request, Response

from api.responses import Answer
from api.state import state_of

router = APIRouter(tags=["operations"])


@router.get("/healthz")
async def healthz() -> Response:
    """The process answers."""
    return Answer({"status": "ok"})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """The view has everything that stood in the logs when the process started."""
    state_of(request).must_have_caught_up()
    return Answer({"status": "ready"})
