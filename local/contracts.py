"""`python -m local.contracts`: write the contracts' documents under docs/."""

import json
from pathlib import Path
from typing import Any

from local.processes import ROOT
from models.contracts import asyncapi, schemas

VERSION = "0.1.0"


def documents() -> dict[Path, str]:
    """Every document by its path, as it should stand there."""
    docs = ROOT / "docs"
    found = {docs / "schemas" / f"{name}.json": _text(schema) for name, schema in schemas().items()}
    found[docs / "asyncapi.json"] = _text(asyncapi(VERSION))
    return found


def _text(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Write what is new, remove what is gone."""
    wanted = documents()
    folder = ROOT / "docs" / "schemas"
    folder.mkdir(exist_ok=True)
    for path in set(folder.glob("*.json")) - set(wanted):
        path.unlink()
    for path, text in wanted.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
