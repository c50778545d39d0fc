"""A benchmark's probes leave on schedule, whatever the load meets."""

import asyncio
import itertools
import time

from benchmarks.sending import Probe, Record, Sending

ENOUGH = 3


class Held:
    """Takes nothing until enough probes were made."""

    def __init__(self) -> None:
        self.released = asyncio.Event()

    async def send(self, records: list[Record]) -> None:
        await self.released.wait()

    async def acknowledged(self) -> None:
        """All was taken."""


def test_a_load_that_is_held_up_holds_no_probe_up(monkeypatch):
    async def probes_of_a_held_load() -> int:
        sending = Sending("127.0.0.1:1", "http://127.0.0.1:1", "", 1)
        held = Held()
        made = itertools.count(1)

        async def probe() -> Probe:
            if next(made) == ENOUGH:
                held.released.set()
            return Probe(time.perf_counter(), 0.0, 0.0)

        monkeypatch.setattr(sending, "_load", held)
        monkeypatch.setattr(sending, "_other", held)
        monkeypatch.setattr(sending, "_probe", probe)
        async with asyncio.timeout(5):
            load = itertools.repeat(("topic", "key", b"value"))
            return len(await sending.at(1, 60, load, held.released))

    assert asyncio.run(probes_of_a_held_load()) == ENOUGH
