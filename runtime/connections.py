"""Connections to Kafka, as aiokafka makes them on uvloop."""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Final

from aiokafka import conn
from aiokafka.errors import KafkaConnectionError

from runtime import wire

READER_BYTES: Final = 8 * 1024 * 1024
"""What a connection to Kafka takes in before it is told to wait.

aiokafka's 64 KiB make a large answer come in by as many turns of the loop, each as long as
whatever else is done in it: a reader that is behind, beside much else, falls back further.
"""

_send = conn.AIOKafkaConnection.send
_handle_frame = conn.AIOKafkaConnection._handle_frame


def install() -> None:
    """Have aiokafka's connections use these, in this process."""
    conn.READER_LIMIT = READER_BYTES
    conn.AIOKafkaConnection.send = send
    conn.AIOKafkaConnection._handle_frame = handle_frame


def send(self: Any, request: Any, expect_response: bool = True) -> Any:
    """Send as aiokafka does; where uvloop raises RuntimeError, raise KafkaConnectionError.

    uvloop does so on a transport that was closed a moment ago. aiokafka expects an OSError: its
    task that keeps the metadata ended of it, and whoever looked for a coordinator, after
    a broker's restart, waited for new metadata for good.

    What is sent most is not copied, and a timer is all that awaits its answer.
    """
    struct = request.prepare(self._versions) if self._writer is not None else None
    try:
        if type(struct) in wire.PACKED and expect_response:
            return _send_packed(self, struct)
        return _send(self, request, expect_response)
    except (RuntimeError, OSError) as error:
        self.close(reason=conn.CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken") from error


def _send_packed(self: Any, struct: Any) -> Coroutine[Any, Any, Any]:
    number = self._next_correlation_id()
    self._writer.writelines(wire.framed(struct, number, self._client_id))
    answer = self._loop.create_future()
    self._requests.append((number, struct, answer))
    return _within(self._request_timeout, answer)


async def _within(seconds: float, answer: "asyncio.Future[Any]") -> Any:
    """The answer. Raises TimeoutError where it is not there in time."""
    timer = asyncio.get_running_loop().call_later(seconds, _fail, answer)
    try:
        return await answer
    finally:
        timer.cancel()


def _fail(answer: "asyncio.Future[Any]") -> None:
    if not answer.done():
        answer.set_exception(TimeoutError())


def handle_frame(self: Any, frame: bytes) -> None:
    """Take a response as aiokafka does."""
    number, request, answer = self._requests[0]
    if type(request) not in wire.PACKED or wire.correlation_of(frame) != number:
        _handle_frame(self, frame)
        return
    if not answer.done():
        answer.set_result(wire.response_in(frame, request))
    self._last_action = time.monotonic()
    self._requests.popleft()
