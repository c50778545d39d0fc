"""The archive's process, as the front sees it."""

import asyncio

import pytest

from api.archive.process import ArchiveEndedError, filled
from local.processes import free_port

DEADLINE_SECONDS = 30


def test_an_archive_that_cannot_follow_ends_and_the_front_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("ONHAND_KAFKA", f"127.0.0.1:{free_port()}")

    async def case():
        async with filled(tmp_path / "archive.sqlite") as watching:
            await asyncio.wait_for(watching, DEADLINE_SECONDS)

    with pytest.raises(ArchiveEndedError):
        asyncio.run(case())
