"""What every process that reads from Kafka has aiokafka do, before it makes any client."""

from aiokafka import conn
from aiokafka.consumer import fetcher

from runtime import connections, wire
from runtime.records import AsParsed


def prepare() -> None:
    """Every client of this process, from now on, is as the modules of this package have it."""
    conn.READER_LIMIT = connections.READER_BYTES
    conn.AIOKafkaConnection.send = connections.send
    fetcher.PartitionRecords = AsParsed
    wire.install()
