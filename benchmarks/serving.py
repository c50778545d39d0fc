"""ASGI apps other than the front, each served by a process of its own."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import httpx

from local.processes import Process, free_port, listens, python, started, wait_until

WEB: Final = "benchmarks.peers.web"
UVICORN: Final = ("uvicorn", "--loop", "uvloop", "--http", "httptools", "--no-access-log")
GRANIAN: Final = ("granian", "--interface", "asgi", "--loop", "uvloop", "--no-ws")


def serve(
    name: str, server: Sequence[str], environ: Mapping[str, str], folder: Path, stack: ExitStack
) -> tuple[str, Process]:
    """Address and process of a server that is ready; `stack` ends it."""
    port = free_port()
    module, *options = server
    command = python(module, "--host", "127.0.0.1", "--port", str(port), *options)
    process = Process(name, command, folder / f"{port}.log", environ)
    stack.enter_context(started(process))
    url = f"http://127.0.0.1:{port}"
    wait_until(lambda: listens(port) and _is_ready(url), 60, f"{name} is ready", process)
    return url, process


def _is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=2).status_code == 200
    except httpx.HTTPError:
        return False
