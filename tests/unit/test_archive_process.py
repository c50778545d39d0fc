"""The archive's process, as the front sees it."""

import asyncio
import contextlib
import socket
import subprocess
from types import SimpleNamespace

import msgspec
import pytest

from api.archive.process import (
    LENGTH_BYTES,
    PORTION,
    STOP_SECONDS,
    ArchiveEndedError,
    Filler,
    Message,
    filled,
)
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
                filler.take([(b"return|r", b'{"version":1}'), (b"return|s", b'{"version":1}')])
                assert await archive.documents("return") == []
                assert await archive.reached(DEADLINE_SECONDS)
                assert await archive.documents("return", "r") == [("return|r", b'{"version":1}')]
                filler.take(large)
                filler.take([(b"return|r", b'{"version":2,"deleted":true}')])
                filler.take([(b"return|r", b'{"version":1}')])
                assert await archive.reached(DEADLINE_SECONDS)
                assert await archive.documents("return", "r") == []
                assert len(await archive.documents("return")) == len(large) + 1
            finally:
                await archive.stop()

    with silent_broker(monkeypatch):
        asyncio.run(case())


class Pipe:
    """The process's input: as many messages as it takes, the last of them once `takes` says so."""

    transport = SimpleNamespace(set_write_buffer_limits=lambda high: None, abort=lambda: None)

    def __init__(self):
        self.messages = []
        self.takes = asyncio.Event()
        self._wrote = asyncio.Event()

    def write(self, told):
        length = int.from_bytes(told[:LENGTH_BYTES])
        self.messages.append(msgspec.msgpack.decode(told[LENGTH_BYTES:], type=Message))
        assert len(told) == LENGTH_BYTES + length
        self._wrote.set()

    async def until(self, is_so):
        while not is_so(self.messages):
            self._wrote.clear()
            await self._wrote.wait()

    async def drain(self):
        await self.takes.wait()

    def is_closing(self):
        return False


class Lives:
    """A process that ends when it is killed."""

    def __init__(self):
        self._killed = asyncio.Event()

    async def wait(self):
        await self._killed.wait()
        return 0

    def kill(self):
        self._killed.set()


@contextlib.asynccontextmanager
async def told_by(pipe):
    """What tells a process through `pipe`."""
    process = Lives()
    filler = Filler(process, pipe)
    try:
        yield filler
    finally:
        process.kill()
        await filler.stop()


def row(name, version):
    return name, b'{"version":%d}' % version


def test_who_tells_an_archive_that_is_late_waits_for_nothing_and_keeps_each_row_once():
    async def case():
        pipe = Pipe()
        async with told_by(pipe) as filler:
            filler.take([row(b"a", 1)])
            await asyncio.sleep(0)
            for version in range(2, 5_000):
                filler.take([row(b"a", version), row(b"b", 2 * version), row(b"c", 9)])
                filler.take([row(b"b", version)])
            await asyncio.sleep(0)
            assert pipe.messages == [([row(b"a", 1)], None)]
            assert len(filler._waiting) == 3
            pipe.takes.set()
            await pipe.until(lambda messages: len(messages) == 2)
            assert pipe.messages[1] == ([row(b"a", 4_999), row(b"b", 9_998), row(b"c", 9)], None)

    asyncio.run(case())


def test_an_archive_that_can_no_longer_be_told_is_told_of():
    async def case():
        pipe = Pipe()

        def write(told):
            raise RuntimeError("it cannot be written to")

        pipe.write = write
        async with told_by(pipe) as filler:
            filler.take([row(b"a", 1)])
            with pytest.raises(RuntimeError, match="written"):
                await asyncio.wait_for(filler.ended, DEADLINE_SECONDS)

    asyncio.run(case())


def test_a_number_is_seen_after_all_that_was_told_before_and_not_after_what_came_later():
    async def case():
        pipe = Pipe()
        async with told_by(pipe) as filler:
            filler.take([row(b"first", 1)])
            await asyncio.sleep(0)
            early = [row(b"early-%d" % number, 1) for number in range(PORTION + 1)]
            filler.take(early)
            assert filler.show() == 1
            late = [row(b"late-%d" % number, 1) for number in range(2 * PORTION)]
            filler.take([*late, row(b"early-0", 2)])
            assert filler.show() == 2
            pipe.takes.set()
            await pipe.until(lambda messages: messages[-1][1] == 2)
            taken = [one for rows, _ in pipe.messages for one in rows]
            assert taken == [row(b"first", 1), row(b"early-0", 2), *early[1:], *late]
            (seen,) = [place for place, (_, number) in enumerate(pipe.messages) if number == 1]
            sizes = [len(rows) for rows, _ in pipe.messages]
            assert sum(sizes[:seen]) < 1 + len(early) <= sum(sizes[: seen + 1])
            assert max(sizes) <= PORTION

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
