"""Plain Faust: two agents, two tables, nothing of ours."""

from typing import Any

import faust

from benchmarks import peers

app = faust.App(
    peers.NAME,
    broker=[f"kafka://{server}" for server in peers.KAFKA.split(",")],
    store="memory://",
    datadir=peers.FOLDER,
    topic_partitions=peers.PARTITIONS,
    topic_disable_leader=True,
    web_enabled=False,
    broker_commit_interval=0.5,
    broker_max_poll_records=1_000,
    producer_linger=0.02,
    worker_redirect_stdouts=False,
)
inputs = app.topic(*peers.INPUTS, key_type=str, value_type=bytes, value_serializer="json")
movements = app.topic(f"{peers.NAME}-movements", key_type=str, value_serializer="json")
sources = app.Table("sources", default=int)
stock = app.Table("stock")


@app.agent(inputs)  # type: ignore[untyped-decorator]
async def dedupe(events: Any) -> None:
    """Let each sequence of a source pass once, as movements of its lines."""
    async for event in events:
        source = event["source"]
        if event["sequence"] <= sources[source]:
            continue
        sources[source] = event["sequence"]
        on_hand, quality_control = peers.PER_UNIT[event["type"]]
        location = event["data"]["location"]
        for line in event["data"]["lines"]:
            units = line["quantity"]
            movement = [units * on_hand, units * quality_control]
            await movements.send(key=f"{line['sku']}|{location}", value=movement)


@app.agent(movements)  # type: ignore[untyped-decorator]
async def aggregate(stream: Any) -> None:
    """Add each movement to its row."""
    async for key, (on_hand, quality_control) in stream.items():
        known = stock.get(key) or (0, 0)
        stock[key] = known[0] + on_hand, known[1] + quality_control


if __name__ == "__main__":
    app.main()
