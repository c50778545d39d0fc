"""Connections to Kafka, as aiokafka makes them on uvloop."""

from typing import Any, Final

from aiokafka import conn
from aiokafka.errors import KafkaConnectionError

READER_BYTES: Final = 8 * 1024 * 1024
"""What a connection to Kafka takes in before it is told to wait.

aiokafka's 64 KiB make a large answer come in by as many turns of the loop, each as long as
whatever else is done in it: a reader that is behind, beside much else, falls back further.
"""

_send = conn.AIOKafkaConnection.send


def send(self: Any, request: Any, expect_response: bool = True) -> Any:
    """Send as aiokafka does; where uvloop raises RuntimeError, raise KafkaConnectionError.

    uvloop does so on a transport that was closed a moment ago. aiokafka expects an OSError: its
    task that keeps the metadata ended of it, and whoever looked for a coordinator, after
    a broker's restart, waited for new metadata for good.
    """
    try:
        return _send(self, request, expect_response)
    except RuntimeError as error:
        self.close(reason=conn.CloseReason.CONNECTION_BROKEN)
        raise KafkaConnectionError(f"Connection at {self.host}:{self.port} broken") from error
