"""What of an event's CPU is library calls: a floor for anything in Python with these wire formats.

Both stages run in memory, without broker, framework or network, and are timed. Then the
calls into msgspec and aiokafka that they cannot do without are timed alone, over the same
bytes: records built and parsed, events and movements decoded, movements, ledger entries and
rows encoded. No rule is applied in these; a worker's rules, engine, sockets and interpreter
come on top.
"""

import gc
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from aiokafka import ConsumerRecord
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from tqdm import tqdm

from benchmarks.workload import Workload
from models import ledger, movements, rows, topics
from models.arrival import SourceRow
from models.decoding import Decoder
from models.native import PackedSource, PackedStock
from models.rows import Packed, Row
from models.stock import StockRow
from streams.engine.partition import Batch, Partition
from streams.engine.stage import Outputs, Stage, Work, absorb
from streams.intake import Intake
from streams.inventory import Inventory
from streams.routing import Routing
from streams.settings import Settings

STEP: Final = 4_000
"""Records of an input partition in a step; a worker takes up to 16,000 over all of them."""

_ROW_OF: Final[dict[type[Packed], type[Row]]] = {PackedStock: StockRow, PackedSource: SourceRow}
"""What would have to be unpacked, which changes it."""

_NOW_MS: Final = 1_793_606_400_000
_BATCH_BYTES: Final = 1024 * 1024

Runs = dict[tuple[str, int], list[ConsumerRecord]]


class Seen(NamedTuple):
    """What went through the stages."""

    inputs: dict[str, list[bytes]]
    outputs: dict[str, list[bytes]]
    rows: list[tuple[bytes, Row]]


def run(events: int, max_lines: int) -> dict[str, Any]:
    """Run the case; returns its figures."""
    workload = Workload(events, max_lines)
    routing = Routing(Settings())
    logs = _logs(workload, routing)
    seen = Seen(defaultdict(list), defaultdict(list), [])
    gc.disable()
    try:
        stages = _through(Intake(routing), logs, seen)
        logs = _log_of(seen.outputs[topics.INVENTORY_MOVEMENTS], routing)
        stages += _through(Inventory(routing), logs, seen)
        parts = {name: round(seconds / events * 1e6, 2) for name, seconds in _parts(seen)}
    finally:
        gc.enable()
    return {
        "case": "floor",
        "events": events,
        "lines": workload.lines,
        "stages_us_per_event": round(stages / events * 1e6, 2),
        "library_us_per_event": round(sum(parts.values()), 2),
        "parts": parts,
    }


def _logs(workload: Workload, routing: Routing) -> Runs:
    logs: Runs = defaultdict(list)
    for topic, source, value in tqdm(workload.records(), "events", workload.events, unit=""):
        key, number = routing.of(source)
        log = logs[topic, number]
        log.append(_record(topic, number, len(log), key, value))
    return logs


def _log_of(records: list[bytes], routing: Routing) -> Runs:
    """The movements where they belong: those of a record all have one partition."""
    logs: Runs = defaultdict(list)
    for value in records:
        number = routing.of(movements.decode(value)[0].sku)[1]
        log = logs[topics.INVENTORY_MOVEMENTS, number]
        log.append(_record(topics.INVENTORY_MOVEMENTS, number, len(log), None, value))
    return logs


def _record(
    topic: str, number: int, offset: int, key: bytes | None, value: bytes
) -> ConsumerRecord:
    return ConsumerRecord(topic, number, offset, _NOW_MS + offset, 0, key, value, None, 0, 0, ())


def _through(stage: Stage, logs: Runs, seen: Seen) -> float:
    """Take the logs through a stage, step by step; CPU seconds."""
    partitions = {number: Partition(number) for _, number in logs}
    for partition in partitions.values():
        stage.opened(partition)
    for (topic, _), log in logs.items():
        seen.inputs[topic] += [record.value for record in log]
    spent = 0.0
    for start in range(0, max(map(len, logs.values())), STEP):
        outputs: Outputs = {}
        begun = time.process_time()
        works = {number: Work(one, outputs) for number, one in partitions.items()}
        for (topic, number), log in sorted(logs.items()):
            work = works[number]
            work.turn_to(topic)
            absorb(stage, work, log[start : start + STEP])
            work.end()
        changed: list[tuple[list[Row | Packed], Batch]] = []
        for number, work in works.items():
            stage.finish(work)
            partition = partitions[number]
            kept = list(partition.changed.values())
            batch = partition.cut("floor", len(partitions))
            partition.acknowledge(batch)
            changed.append((kept, batch))
        spent += time.process_time() - begun
        for (topic, _), records in outputs.items():
            seen.outputs[topic] += [value or b"" for _, value, _ in records]
        for kept, batch in changed:
            values = zip(batch.rows.items(), kept, strict=True)
            seen.rows.extend((key.encode(), _row(one, value)) for (key, value), one in values)
    return spent


def _row(kept: Row | Packed, value: bytes) -> Row:
    """The row as it is without packing."""
    if isinstance(kept, Row):
        return kept
    kind = _ROW_OF.get(type(kept))
    return rows.decode(value, kind) if kind is not None else kept.unpacked()


def _parts(seen: Seen) -> Iterable[tuple[str, float]]:
    """Name and CPU seconds of each kind of call."""
    decoders = {topic: Decoder(topic).single for topic in topics.SOURCE_TOPICS}
    events = [
        (decoders[topic], value) for topic in topics.SOURCE_TOPICS for value in seen.inputs[topic]
    ]
    yield "decode events", _timed(lambda: [decode(value) for decode, value in events])
    packs = seen.outputs[topics.INVENTORY_MOVEMENTS]
    moved = [movements.decode(value) for value in packs]
    yield "encode movements", _timed(lambda: [movements.encode(pack) for pack in moved])
    yield "decode movements", _timed(lambda: [movements.decode(value) for value in packs])
    told = seen.outputs[topics.INVENTORY_LEDGER]
    entries = [ledger.decode(value) for value in told]
    yield "encode ledger", _timed(lambda: [ledger.encode(pack) for pack in entries])
    # The last state of a row stands for each of those that it had.
    yield "encode rows", _timed(lambda: [rows.encode(row) for _, row in seen.rows])
    taken = [(b"", value) for values in seen.inputs.values() for value in values]
    sent = [(b"", value) for value in (*packs, *told)]
    state = [(key, rows.encode(row)) for key, row in seen.rows]
    yield "build records", _timed(lambda: _built(sent) + _built(state))
    batches = _built(taken)
    yield "parse records", _timed(lambda: _parsed(batches))


def _timed(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def _built(records: list[tuple[bytes, bytes]]) -> list[bytes]:
    batches = []
    builder = _builder()
    for key, value in records:
        if builder.append(timestamp=None, key=key, value=value) is None:
            batches.append(_closed(builder))
            builder = _builder()
            builder.append(timestamp=None, key=key, value=value)
    batches.append(_closed(builder))
    return batches


def _builder() -> Any:
    return BatchBuilder(_BATCH_BYTES, 0)


def _closed(builder: Any) -> bytes:
    return bytes(builder._build())


def _parsed(batches: list[bytes]) -> int:
    number = 0
    for data in batches:
        records = MemoryRecords(data)
        while records.has_next():
            number += sum(1 for _ in records.next_batch())
    return number
