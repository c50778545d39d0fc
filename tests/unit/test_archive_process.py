"""The archive's process, as the front sees it."""

import asyncio
import contextlib
import socket
import subprocess

import pytest

from api.archive.process import STOP_SECONDS, ArchiveEndedError, filled
from api.archive.store import Archive, create
from local.processes import free_port, python

DEADLINE_SECONDS = 30


def test_an_archive_that_cannot_follow_ends_and_the_front_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("ONHAND_KAFKA", f"127.0.0.1:{free_port()}")

    async def case():
        async with filled(tmp_path / "archive.sqlite") as filler:
            await asyncio.wait_for(filler.ended, DEADLINE_SECONDS)

    with pytest.raises(ArchiveEndedError):
        asyncio.run(case())


@contextlib.contextmanager
def silent_broker(monkeypatch):
    """A broker that never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(DEADLINE_SECONDS)
        monkeypatch.setenv("ONHAND_KAFKA", f"127.0.0.1:{silent.getsockname()[1]}")
        yield silent


def test_what_the_archive_was_told_can_be_read_once_it_is_reached(tmp_path, monkeypatch):
    path = tmp_path / "archive.sqlite"
    create(path)
    large = [
        (b"return|%d" % number, b'{"version":1,"x":"%b"}' % (b"x" * 500)) for number in range(999)
    ]

    async def case():
        async with filled(path) as filler:
            archive = Archive(path, filler.show)
            await archive.start()
            try:
                assert await archive.reached(DEADLINE_SECONDS)
                await filler.take(
                    [(b"return|r", b'{"version":1}'), (b"return|s", b'{"version":1}')]
                )
                assert await archive.documents("return") == []
                assert await archive.reached(DEADLINE_SECONDS)
                assert await archive.documents("return", "r") == [("return|r", b'{"version":1}')]
                await filler.take(large)
                await filler.take([(b"return|r", b'{"version":2,"deleted":true}')])
                await filler.take([(b"return|r", b'{"version":1}')])
                assert await archive.reached(DEADLINE_SECONDS)
                assert await archive.documents("return", "r") == []
                assert len(await archive.documents("return")) == len(large) + 1
            finally:
                await archive.stop()

    with silent_broker(monkeypatch):
        asyncio.run(case())


def test_an_archive_ends_in_order_when_its_input_does_whatever_it_waits_for(tmp_path, monkeypatch):
    with silent_broker(monkeypatch) as silent:
        command = python("api.archive", str(tmp_path / "archive.sqlite"))
        with subprocess.Popen(command, stdin=subprocess.PIPE) as archive, silent.accept()[0]:
            archive.stdin.close()
            try:
                assert archive.wait(STOP_SECONDS) == 0
            finally:
                archive.kill()
