"""A connection to Kafka: what is sent, what answers it, and what it says that is closed."""

import asyncio
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    CorrelationIdError,
    IncompatibleBrokerVersion,
    KafkaConnectionError,
)
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v7
from aiokafka.protocol.struct import Struct

from runtime import connections, wire
from runtime.preparing import prepare

VERSIONS = {ProduceRequest.API_KEY: (3, 13)}
REQUEST = ProduceRequest(None, -1, 1, [("in", [(0, b"records")])])
ANSWER = ProduceResponse_v7([("in", [(0, 0, 7, -1, 0)])], 0)

STRUCT = SimpleNamespace(
    encode=lambda: b"asked",
    build_request_header=lambda **told: SimpleNamespace(encode=lambda: b"head"),
)
OTHER = SimpleNamespace(prepare=lambda versions: STRUCT)


@asynccontextmanager
async def connected(answer, seconds=5.0):
    """A connection to a server that answers a frame as `answer` has it, or not at all."""
    prepare()

    async def serve(reader, writer):
        while True:
            size = int.from_bytes(await reader.readexactly(4))
            for frame in answer(await reader.readexactly(size)):
                writer.write(len(frame).to_bytes(4) + frame)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    connection = AIOKafkaConnection(host, port, client_id="us", request_timeout_ms=seconds * 1_000)
    connection._versions = VERSIONS
    connection._reader, connection._writer = await asyncio.open_connection(host, port)
    connection._read_task = connection._create_reader_task()
    yield connection
    connection.close()
    server.close()


def test_an_answer_is_that_of_the_request_with_its_number():
    frames = []

    def answer(frame):
        frames.append(frame)
        yield frame[4:8] + Struct.encode(ANSWER)

    async def case():
        async with connected(answer) as connection:
            for _ in range(2):
                assert await connection.send(REQUEST) == ANSWER
            both = connection.send(REQUEST), connection.send(REQUEST)
            assert await asyncio.gather(*both) == [ANSWER, ANSWER]
        struct = REQUEST.prepare(VERSIONS)
        packed = [b"".join(wire.framed(struct, one, "us")) for one in range(1, 5)]
        assert frames == [frame[4:] for frame in packed]

    uvloop.run(case())


def test_an_answer_that_does_not_come_is_no_longer_waited_for():
    async def case():
        async with connected(lambda frame: [], seconds=0.01) as connection:
            with pytest.raises(TimeoutError):
                await connection.send(REQUEST)

    uvloop.run(case())


def test_an_answer_leaves_no_timer_behind():
    async def case():
        loop, timers = asyncio.get_running_loop(), []
        call_later = loop.call_later
        loop.call_later = lambda *told: timers.append(call_later(*told)) or timers[-1]
        answer = loop.create_future()
        answer.set_result("answered")
        assert await connections._within(60.0, answer) == "answered"
        assert [timer.cancelled() for timer in timers] == [True]

    asyncio.run(case())


def test_who_waits_no_longer_for_an_answer_is_passed():
    answered = []

    def answer(frame):
        answered.append(frame[4:8] + Struct.encode(ANSWER))
        if len(answered) == 2:
            yield from answered

    async def case():
        async with connected(answer) as connection:
            first = asyncio.ensure_future(connection.send(REQUEST))
            await asyncio.sleep(0)
            first.cancel()
            assert await connection.send(REQUEST) == ANSWER

    uvloop.run(case())


def test_an_answer_with_another_number_ends_the_connection():
    async def case():
        async with connected(lambda frame: [b"\0\0\0\x63" + Struct.encode(ANSWER)]) as connection:
            with pytest.raises(CorrelationIdError):
                await connection.send(REQUEST)
            assert not connection.connected()

    uvloop.run(case())


def test_a_version_that_the_broker_lacks_is_no_broken_connection():
    async def case():
        async with connected(lambda frame: []) as connection:
            connection._versions = {}
            with pytest.raises(IncompatibleBrokerVersion):
                await connection.send(REQUEST)
            assert connection.connected()

    uvloop.run(case())


@pytest.mark.parametrize("request_", [REQUEST, OTHER])
def test_a_transport_that_was_closed_is_a_broken_connection(request_):
    async def case():
        async with connected(lambda frame: []) as connection:
            connection._writer.transport.abort()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            with pytest.raises(KafkaConnectionError):
                await connection.send(request_)
            assert not connection.connected()
            with pytest.raises(KafkaConnectionError):
                await connection.send(request_)

    uvloop.run(case())
