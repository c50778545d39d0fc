"""Answers in JSON, encoded by orjson."""

from typing import Any

import orjson
from fastapi.responses import JSONResponse


class Answer(JSONResponse):
    """One whose content is what orjson encodes."""

    def render(self, content: Any) -> bytes:
        """Its bytes."""
        return orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS)
