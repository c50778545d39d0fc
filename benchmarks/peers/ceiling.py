"""The ceiling: aiokafka alone decodes every event and produces a record per line.

No state, no dedupe, no guarantees; only what no Python service over aiokafka can do without.
"""

import asyncio
import signal
from collections import defaultdict
from typing import Any

import orjson
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.partitioner import murmur2

from benchmarks import peers

OUTPUT = f"{peers.NAME}-movements"
COMMIT_MS = 200


async def relay(consumer: AIOKafkaConsumer, producer: AIOKafkaProducer) -> None:
    """Fetch, decode, append; one batch per partition and fetch."""
    places: dict[str, tuple[bytes, int]] = {}
    while True:
        fetched = await consumer.getmany(timeout_ms=100, max_records=20_000)
        batches: dict[int, Any] = defaultdict(producer.create_batch)
        for run in fetched.values():
            for record in run:
                event = orjson.loads(record.value)
                on_hand, quality_control = peers.PER_UNIT[event["type"]]
                for line in event["data"]["lines"]:
                    sku, units = line["sku"], line["quantity"]
                    known = places.get(sku)
                    if known is None:
                        key = sku.encode()
                        known = places[sku] = key, (murmur2(key) & 0x7FFFFFFF) % peers.PARTITIONS
                    key, number = known
                    value = b"%d %d" % (units * on_hand, units * quality_control)
                    if batches[number].append(key=key, value=value, timestamp=None) is None:
                        await producer.send_batch(batches.pop(number), OUTPUT, partition=number)
                        batches[number].append(key=key, value=value, timestamp=None)
        for number, batch in batches.items():
            batch.close()
            await producer.send_batch(batch, OUTPUT, partition=number)


async def main() -> None:
    """Relay until a signal comes."""
    consumer = AIOKafkaConsumer(
        *peers.INPUTS,
        bootstrap_servers=peers.KAFKA,
        group_id=peers.NAME,
        auto_offset_reset="earliest",
        auto_commit_interval_ms=COMMIT_MS,
        max_partition_fetch_bytes=4 * 1024 * 1024,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=peers.KAFKA,
        acks=1,
        max_batch_size=4 * 1024 * 1024,
        max_request_size=16 * 1024 * 1024,
    )
    await consumer.start()
    await producer.start()
    relaying = asyncio.create_task(relay(consumer, producer))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, relaying.cancel)
    try:
        await relaying
    except asyncio.CancelledError:
        pass
    finally:
        await producer.stop()
        await consumer.stop()


if __name__ == "__main__":
    uvloop.run(main())
