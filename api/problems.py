"""Errors as RFC 9457 problem documents; `code` is stable, `title` and `detail` are prose."""

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.responses import Answer
from api.views.base import ViewUnavailableError

MEDIA_TYPE = "application/problem+json"

_CODES = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "too_large"}
"""Where the code is not the status's own name."""


class Problem(Exception):
    """Answers the request with a problem document."""

    def __init__(self, status: int, code: str, detail: str, **extra: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.extra = extra

    def response(self) -> Response:
        """The document."""
        return Answer(
            {
                "type": "about:blank",
                "title": HTTPStatus(self.status).phrase,
                "status": self.status,
                "code": self.code,
                "detail": self.detail,
                **self.extra,
            },
            status_code=self.status,
            media_type=MEDIA_TYPE,
        )


def install(app: FastAPI) -> None:
    """Make every error of `app` a problem document."""

    @app.exception_handler(Problem)
    async def problem(request: Request, error: Problem) -> Response:
        return error.response()

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        status = HTTPStatus(error.status_code)
        code = _CODES.get(status) or status.phrase.lower().replace(" ", "_")
        return Problem(error.status_code, code, str(error.detail)).response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        errors = [
            {"where": "/".join(str(part) for part in one["loc"]), "reason": one["msg"]}
            for one in error.errors()
        ]
        return Problem(422, "invalid", "the request is not valid", errors=errors).response()

    @app.exception_handler(UnicodeEncodeError)
    @app.exception_handler(RecursionError)
    async def unreadable(request: Request, error: Exception) -> Response:
        return Problem(422, "invalid", "text that is not Unicode, or nested too deep").response()

    @app.exception_handler(ViewUnavailableError)
    async def unavailable(request: Request, error: ViewUnavailableError) -> Response:
        return Problem(503, "view_unavailable", str(error)).response()

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        return Problem(500, "internal", "an unexpected error; it is in the log").response()
