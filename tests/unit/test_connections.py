"""What a connection to Kafka says that is closed."""

import asyncio
from types import SimpleNamespace

import pytest
import uvloop
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError

from runtime.preparing import prepare

STRUCT = SimpleNamespace(
    encode=lambda: b"asked",
    build_request_header=lambda **told: SimpleNamespace(encode=lambda: b"head"),
)
REQUEST = SimpleNamespace(prepare=lambda versions: STRUCT)


def test_a_transport_that_was_closed_is_a_broken_connection():
    prepare()

    async def case():
        server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = AIOKafkaConnection("127.0.0.1", port, request_timeout_ms=1000)
        connection._reader, connection._writer = await asyncio.open_connection("127.0.0.1", port)
        connection._read_task = asyncio.create_task(connection._reader.read())
        connection._writer.transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(KafkaConnectionError):
            await connection.send(REQUEST)
        assert not connection.connected()
        server.close()

    uvloop.run(case())
