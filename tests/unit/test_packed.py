"""Packed rows give way to the rows they stand for, wherever anything else touches those."""

import json
from itertools import product
from random import Random

import pytest

from local import native
from models import arrival, rows, topics
from models.native import PackedSource, PackedStock
from models.rows import stock_key
from models.stock import StockRow, empty
from streams.engine import partition as partitions
from tests import builders as b
from tests.both import Both
from tests.pipeline import Pipeline, received, topic_of, weighed

KEY = stock_key("S", "17")


@pytest.fixture(autouse=True)
def compiled():
    lacking = native.lacking()
    if lacking:
        pytest.skip(lacking)


def append(both, event):
    both.append(topic_of(event), event["source"], json.dumps(event).encode(), received(event))


def at(number):
    return f"{9 + number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"


def test_rows_of_all_names_are_found():
    both = Both()
    both.open("p")
    skus = ["S" * size for size in (1, 2, 15, 29, 30, 31, 32, 60)]
    locations = [str(number) for number in range(40)] + ["L" * 25]
    names = list(product(skus, locations)) * 2
    Random(1).shuffle(names)
    for sequence, (sku, location) in enumerate(names, start=2):
        append(both, b.sale("p", sequence, at(sequence), sku=sku, location=location))
    both.run(150)
    assert both.agree()
    assert both.taken()[1] >= len(names) // 2


@pytest.mark.parametrize("limit", [1, 3, 40])
@pytest.mark.parametrize("most", [0, 3, partitions.MAX_LIVE])
def test_what_is_plain_and_what_is_not_take_turns(monkeypatch, limit, most):
    monkeypatch.setattr(partitions, "MAX_LIVE", most)
    both, dice = Both(), Random(limit)
    both.open("p")
    for sequence in range(2, 300):
        sku = dice.choice(["S", "T", "U", "V", "W"])
        when = at(sequence)
        append(both, b.sale("p", sequence, when, sku=sku))
        if dice.random() < 0.2:
            append(both, b.count("p-hh", sequence, at(sequence // 4), dice.randrange(90), sku=sku))
        if dice.random() < 0.2:
            append(both, b.safety_stock("p-wms", sequence, when, dice.randrange(9), sku=sku))
    both.run(limit)
    assert both.agree()
    assert both.taken()[1] > 150


@pytest.mark.parametrize("limit", [1, 3, 40])
@pytest.mark.parametrize("most", [0, partitions.MAX_LIVE])
def test_returns_of_which_more_is_told_are_what_they_would_have_been(monkeypatch, limit, most):
    monkeypatch.setattr(partitions, "MAX_LIVE", most)
    both, dice = Both(), Random(limit)
    both.open("p")
    for sequence in range(2, 200):
        said = {"rma": f"R{dice.randrange(80)}", "sku": dice.choice("ST")}
        if dice.random() < 0.8:
            disposition = dice.choice(["restock", "quarantine", "vendor_return"])
            event = b.disposed(
                "p-desk", sequence, at(sequence), dice.randint(1, 3), disposition, **said
            )
        else:
            stage = dice.choice(["authorized", "received"])
            event = b.returned(stage, "p-desk", sequence, at(sequence // 2), 2, **said)
        append(both, event)
    both.run(limit)
    assert both.agree()
    assert both.taken()[1] > 80


def test_what_is_filed_does_not_stay_decoded():
    pipeline = Pipeline(partitions=1)
    pipeline.send(b.receipt("p-wms", 1, "08:00", 500), b.sale("p", 1, "08:00"))
    pipeline.send(*(b.sale("p", sequence, at(sequence)) for sequence in range(2, 25)))
    pipeline.send(b.disposed("p-desk", 1, "09:00", 1, "restock"))
    partition = pipeline.state["inventory", 0]
    assert {key for key in partition.encoded if key.startswith(("history|", "return|"))} == {
        "history|S|17|0",
        "return|R1|1|S",
    }
    assert list(partition.live) == [KEY]


def sold(pipeline, sequence):
    pipeline.send(b.sale("p", sequence, at(sequence)))


@pytest.fixture
def pipeline():
    pipeline = Pipeline(partitions=1)
    pipeline.send(b.receipt("p-wms", 1, "08:00", 500), b.sale("p", 1, "08:00"))
    sold(pipeline, 2)
    return pipeline


@pytest.fixture
def partition(pipeline):
    return pipeline.state["inventory", 0]


def test_a_row_that_is_asked_for_is_a_row_again(pipeline, partition):
    assert not isinstance(partition.live[KEY], StockRow)
    row = partition.get(KEY, StockRow)
    assert row is partition.live[KEY]
    assert rows.encode(row) == partition.encoded[KEY]
    assert (row.on_hand, row.book, row.recent_size) == (498, 3, 3)


def test_a_row_that_is_put_unasked_is_what_counts(pipeline, partition):
    partition.put(KEY, empty("S", "17", 7, 0))
    sold(pipeline, 3)
    assert pipeline.stock_row().on_hand == -1


def test_a_step_that_is_undone_has_changed_nothing(pipeline, partition):
    kept = dict(partition.encoded)
    inputs = partition.position.offsets.copy()
    acknowledge = partition.acknowledge
    partition.acknowledge = lambda batch: None
    sold(pipeline, 3)
    assert partition.encoded == kept
    partition.undo()
    partition.acknowledge = acknowledge
    assert partition.position.offsets == inputs
    pipeline.run()
    assert (pipeline.stock_row().on_hand, pipeline.stock_row().book) == (497, 4)


def test_a_stage_that_is_opened_again_goes_on_with_rows_that_are_packed(pipeline, partition):
    for sequence in range(3, 10):
        pipeline.inventory.opened(partition)
        sold(pipeline, sequence)
    assert (pipeline.stock_row().on_hand, pipeline.stock_row().book) == (491, 10)
    assert pipeline.inventory._plain.taken == 10


def test_sums_that_are_too_old_are_forgotten_the_same():
    both = Both()
    both.open("p")
    for pipeline in (both.compiled, both.general):
        row = pipeline.stock_row()
        row.blocks = (1,)
        pipeline.keep(row)
    both.send(*(b.sale("p", sequence, at(sequence)) for sequence in range(2, 22)))
    assert both.compiled.stock_row().blocks == ()
    assert both.agree()


@pytest.mark.parametrize("most", [0, 3, partitions.MAX_LIVE])
def test_sources_whose_events_are_not_all_plain_keep_the_same(monkeypatch, most):
    monkeypatch.setattr(partitions, "MAX_LIVE", most)
    both, dice = Both(), Random(3)
    both.open("p", "q", "r")
    numbers = dict.fromkeys("pqr", 1)
    for number in range(2, 500):
        source = dice.choice("pqr")
        sequence = numbers[source] = numbers[source] + dice.choice([1] * 12 + [2, 5])
        location = str(17 + dice.randrange(2) * dice.randrange(80))
        sale = b.sale(source, sequence, at(number), location=location, sentat=None)
        append(both, sale)
        if dice.random() < 0.1:
            append(both, sale)
        if dice.random() < 0.1:
            late = dice.randrange(2, sequence + 1)
            append(both, b.sale(source, late, at(number)))
        if dice.random() < 0.1:
            append(both, b.sale(source, sequence, at(number), sku="T"))
        if dice.random() < 0.05:
            numbers[source] = sequence = sequence + 1
            append(both, b.voided(source, sequence, at(number), sale["data"]["transaction"]))
    both.run(7)
    assert both.agree()
    assert both.taken()[0] > 250


@pytest.mark.parametrize("most", [1, 3, arrival.MAX_CHUNKS])
def test_hashes_of_sources_make_room_the_same(monkeypatch, most):
    monkeypatch.setattr(arrival, "MAX_CHUNKS", most)
    both = Both()
    both.open("p")
    sequences = [*range(2, 40), *range(45, 150), *range(40, 45), *range(150, 200)]
    for number, sequence in enumerate(sequences):
        append(both, b.sale("p", sequence, at(number)))
        if number % 9 == 0:
            append(both, b.sale("p", max(2, sequence - 20), at(number)))
    both.run(13)
    assert both.agree()
    assert both.taken()[0] > 100


def test_a_source_that_is_asked_for_is_its_row_again():
    pipeline = Pipeline(partitions=1)
    for sequence in range(1, 5):
        sold(pipeline, sequence)
    partition, key = pipeline.state["intake", 0], arrival.source_key(topics.POS_SALES, "p")
    assert not isinstance(partition.live[key], arrival.SourceRow)
    row = partition.get(key, arrival.SourceRow)
    assert row is partition.live[key]
    assert rows.encode(row) == partition.encoded[key]


def test_a_packed_source_of_a_stage_that_is_opened_again_is_saved():
    pipeline = Pipeline(partitions=1)
    partition = pipeline.state["intake", 0]
    for sequence in range(1, 9):
        pipeline.intake.closed(0)
        pipeline.intake.opened(partition)
        sold(pipeline, sequence)
    assert pipeline.source("p").epochs[-1].last == 8


def test_a_step_of_sources_that_is_undone_has_changed_nothing(pipeline):
    partition = pipeline.state["intake", 0]
    acknowledge = partition.acknowledge
    partition.acknowledge = lambda batch: None
    logs = {place: list(log) for place, log in pipeline.logs.items()}
    sold(pipeline, 3)
    partition.undo()
    partition.acknowledge = acknowledge
    pipeline.logs.update((place, log) for place, log in logs.items() if "movements" in place[0])
    pipeline.run()
    epoch = pipeline.source("p").epochs[-1]
    assert (epoch.last, epoch.units, sorted(epoch.recent)) == (3, 3, [1, 2, 3])


def test_what_waits_for_a_sale_is_let_go_by_it():
    both = Both()
    both.open("p")
    both.send(
        b.voided("p", 2, "09:01", "T4"),
        b.sale("p", 3, "09:02"),
        b.sale("p", 4, "09:00"),
        b.sale("p", 5, "09:03"),
    )
    assert both.compiled.source("p").held == 0
    assert both.agree()


def test_events_of_an_epoch_that_was_opened_are_of_it():
    both = Both()
    both.open("p")
    both.send(
        b.control("epoch.opened", "p", "08:30", epoch=1),
        b.sale("p", 2, "08:10"),
        b.sale("p", 1, "09:00"),
        b.sale("p", 2, "09:01"),
        b.sale("p", 3, "08:11"),
    )
    assert [(one.epoch, one.last) for one in both.compiled.source("p").epochs] == [(0, 3), (1, 2)]
    assert both.agree()


def test_an_epoch_that_was_opened_has_the_next_number_of_the_one_before():
    both = Both()
    both.open("p")
    both.send(b.control("epoch.opened", "p", "08:30", epoch=1), b.sale("p", 2, "09:00"))
    assert [(one.epoch, one.last) for one in both.compiled.source("p").epochs] == [(0, 1), (1, 2)]
    assert both.agree()


def test_what_was_owed_of_another_bucket_leaves_sales_plain():
    both = Both()
    both.open("p")
    for pipeline in (both.compiled, both.general):
        row = pipeline.stock_row()
        row.owed = {"damaged": 3}
        pipeline.keep(row)
    before = both.taken()[1]
    both.send(b.sale("p", 2, "09:00"), b.receipt("p-wms", 2, "09:01", 2, condition="damaged"))
    assert both.taken()[1] == before + 1
    assert both.compiled.stock_row().owed == {"damaged": 1}
    assert both.agree()


def test_a_row_of_which_nothing_is_plain_stays_a_row(pipeline, partition):
    row = pipeline.stock_row()
    row.through = {"p": 1}
    pipeline.keep(row)
    sold(pipeline, 3)
    assert isinstance(partition.live[KEY], StockRow)


def test_the_weight_of_a_row_has_what_its_count_says():
    pipeline = Pipeline(partitions=1)
    sizes = weighed(pipeline.state["inventory", 0])
    pipeline.send(b.receipt("p-wms", 1, "08:00", 500), b.sale("p", 1, "08:00"))
    row = pipeline.stock_row()
    row.count, row.counted_by = "c" * 256, ("s" * 256, 0, 1)
    pipeline.keep(row)
    sizes.clear()
    sold(pipeline, 2)
    assert [size <= weight for size, weight in sizes] == [True]


def test_rows_are_packed_by_who_has_them():
    for kind in (PackedStock, PackedSource):
        with pytest.raises(TypeError, match="packed by"):
            kind()


@pytest.mark.parametrize("length", [1, 60])
def test_plain_changes_weigh_what_they_may_add(length):
    pipeline = Pipeline(partitions=1)
    sizes = weighed(pipeline.state["inventory", 0])
    source, sku, location = "p" * length, "S" * length, "1" * length
    place = {"sku": sku, "location": location}
    pipeline.send(b.receipt("p-wms", 1, "08:00", 500, **place), b.sale(source, 1, "08:00", **place))
    sequences = iter(range(2, 100))
    for number in (1, 41):
        pipeline.send(*(b.sale(source, next(sequences), "09:00", **place) for _ in range(number)))
    decided = {"quantity": 1, "disposition": "restock", **place}
    pipeline.send(
        *(
            b.disposed("p-desk", n, "09:00", rma=f"{n}{'r' * length}", **decided)
            for n in range(1, 9)
        )
    )
    assert all(size <= weight for size, weight in sizes), sizes
    (_, alone), (_, many), _ = sizes[-3:]
    filed = 3 * partitions._GROWTH
    assert many - alone <= filed + 40 * (50 + length)
    assert pipeline.inventory._plain.taken >= 50
