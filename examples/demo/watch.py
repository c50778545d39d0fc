"""Following two channels live, as a marketplace feed and a web shop would."""

import contextlib
import json
import threading

import httpx


class Watcher:
    """Reads one channel's stream of server-sent events in a thread, and keeps the latest."""

    def __init__(self, url: str, channel: str) -> None:
        self.channel = channel
        self.changes = 0
        self.latest: dict[str, int] = {}
        self._url = f"{url}/v1/channels/{channel}/stream"
        self._client = httpx.Client(timeout=None)
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(httpx.HTTPError), self._client.stream("GET", self._url) as stream:
            for line in stream.iter_lines():
                if line.startswith("data: "):
                    allocation = json.loads(line.removeprefix("data: "))
                    self.latest[allocation["sku"]] = allocation["quantity"]
                    self.changes += 1
