"""What every process that reads from Kafka has aiokafka do, before it makes any client."""

from aiokafka.consumer import fetcher

from runtime import connections, wire
from runtime.records import AsParsed, TakenAtOnce


def prepare() -> None:
    """Every client of this process, from now on, is as the modules of this package have it."""
    connections.install()
    fetcher.PartitionRecords = AsParsed
    fetcher.FetchResult = TakenAtOnce
    wire.install()
