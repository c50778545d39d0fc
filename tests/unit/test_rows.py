"""Keys, versions, and moments."""

from hypothesis import given
from hypothesis import strategies as st

from models import rows
from models.instants import from_datetime, to_datetime, to_rfc3339
from models.movements import MAX_PACKED, place

texts = st.text(max_size=20)


@given(texts, texts)
def test_a_key_gives_its_parts_back(sku, location):
    assert rows.parts(rows.key("stock", sku, location)) == ["stock", sku, location]
    assert rows.stock_key(sku, location) == rows.key("stock", sku, location)


@given(texts, texts, texts, texts)
def test_other_parts_make_another_key(a, b, c, d):
    assert (rows.key("x", a, b) == rows.key("x", c, d)) == ((a, b) == (c, d))


@given(st.integers(0, 2**36 - 2), st.integers(0, MAX_PACKED - 1), st.integers(0, 510))
def test_versions_grow_with_index_offset_and_generation_and_stay_exact_in_json(
    offset, index, generation
):
    version = rows.version(generation, place(offset, index))
    assert version < rows.version(generation, place(offset + 1, 0))
    assert version < rows.version(generation + 1, 0) < 2**53


@given(st.integers(946_684_800_000_000, 7_258_118_400_000_000))
def test_instants_keep_every_microsecond(instant):
    assert from_datetime(to_datetime(instant)) == instant
    assert to_rfc3339(instant).endswith("Z")
