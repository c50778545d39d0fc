"""Large batches are compressed beside the loop, small ones in it; none where that is unwanted."""

import asyncio
import threading

import pytest
from aiokafka.record.memory_records import MemoryRecords

from runtime import batches
from streams.engine.failpoints import Failpoints
from streams.engine.sender import BESIDE_BYTES, Sender

PLAIN, LZ4 = 0, 3
LARGE = b"a word and another " * (BESIDE_BYTES // 10)
SMALL = b"a word and another " * 100
TINY = b"a word"


class Landing:
    """Takes batches as they are to be sent."""

    def __init__(self):
        self.codecs = []

    def append(self, batch, topic, partition):
        sent = MemoryRecords(batch._build()).next_batch()
        self.codecs.append((topic, partition, sent.compression_type))
        landed = asyncio.get_running_loop().create_future()
        landed.set_result(7)
        return landed


def sent(compression, *values):
    """The codec of each value, a batch of its own, sent as state and as outputs."""

    async def work():
        sender = Sender("nowhere:1", "test", Failpoints(), compression)
        sender._appending = Landing()
        records = {("topic", place): [("key", one, [])] for place, one in enumerate(values)}
        landed = await sender.send_state(records)
        assert landed == dict.fromkeys(records, 7)
        await sender.send_outputs(records)
        sender._helper.shutdown()
        return sender._appending.codecs

    return asyncio.run(work())


@pytest.fixture
def threads(monkeypatch):
    """Where something was compressed."""
    seen, lz4 = [], batches._lz4

    def noted(records):
        seen.append(threading.current_thread() is threading.main_thread())
        return lz4(records)

    monkeypatch.setattr(batches, "_lz4", noted)
    return seen


def test_what_is_small_is_compressed_in_the_loop(threads):
    assert sent("lz4", SMALL, TINY) == 2 * [("topic", 0, LZ4), ("topic", 1, PLAIN)]
    assert threads == [True, True]


def test_what_is_large_is_compressed_beside_the_loop(threads):
    assert sent("lz4", LARGE, SMALL) == 2 * [("topic", 0, LZ4), ("topic", 1, LZ4)]
    assert threads == [False] * 4


def test_nothing_is_compressed_where_that_is_not_wanted(threads):
    assert sent("none", LARGE, SMALL) == 2 * [("topic", 0, PLAIN), ("topic", 1, PLAIN)]
    assert threads == []
