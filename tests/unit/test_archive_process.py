"""The archive's process, as the front sees it."""

import asyncio
import socket
import subprocess

import pytest

from api.archive.process import STOP_SECONDS, ArchiveEndedError, filled
from local.processes import free_port, python

DEADLINE_SECONDS = 30


def test_an_archive_that_cannot_follow_ends_and_the_front_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("ONHAND_KAFKA", f"127.0.0.1:{free_port()}")

    async def case():
        async with filled(tmp_path / "archive.sqlite") as watching:
            await asyncio.wait_for(watching, DEADLINE_SECONDS)

    with pytest.raises(ArchiveEndedError):
        asyncio.run(case())


def test_an_archive_ends_in_order_when_its_input_does_whatever_it_waits_for(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE_SECONDS)
        monkeypatch.setenv("ONHAND_KAFKA", f"127.0.0.1:{silent.getsockname()[1]}")
        command = python("api.archive", str(tmp_path / "archive.sqlite"))
        with subprocess.Popen(command, stdin=subprocess.PIPE) as archive, silent.accept()[0]:
            archive.stdin.close()
            try:
                assert archive.wait(STOP_SECONDS) == 0
            finally:
                archive.kill()
