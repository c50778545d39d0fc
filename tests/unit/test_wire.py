"""What goes over the wire is what aiokafka would send, and is read as aiokafka reads it."""

import io

import pytest
from aiokafka.protocol.fetch import FetchRequest, FetchResponse_v11
from aiokafka.protocol.produce import ProduceRequest, ProduceResponse_v7
from aiokafka.protocol.struct import Struct
from hypothesis import given
from hypothesis import strategies as st

from runtime import wire
from runtime.preparing import prepare

PRESENT_DAY = {FetchRequest.API_KEY: (4, 18), ProduceRequest.API_KEY: (3, 13)}
HEADER = b"\0\0\0\7"

small = st.integers(-(2**31), 2**31 - 1)
large = st.integers(-(2**63), 2**63 - 1)
code = st.integers(-(2**15), 2**15 - 1)
name = st.text(max_size=20)
some = st.binary(max_size=50)


def by_topic(partition):
    return st.lists(st.tuples(name, st.lists(partition, max_size=4)), max_size=4)


fetch_requests = st.builds(
    FetchRequest,
    small,
    small,
    small,
    st.sampled_from([0, 1]),
    by_topic(st.tuples(small, large, small)),
    name,
)
aborted = st.none() | st.lists(st.tuples(large, large), max_size=3)
fetch_responses = st.builds(
    FetchResponse_v11,
    small,
    code,
    small,
    by_topic(st.tuples(small, code, large, large, large, aborted, small, st.none() | some)),
)
produce_requests = st.builds(
    ProduceRequest,
    st.none() | name,
    code,
    small,
    by_topic(st.tuples(small, some | some.map(bytearray))),
)
produce_responses = st.builds(
    ProduceResponse_v7, by_topic(st.tuples(small, code, large, large, large)), small
)


@given(fetch_requests)
def test_a_fetch_request_is_sent_as_aiokafka_sends_it(request):
    struct = request.prepare(PRESENT_DAY)
    assert wire.fetch_request(struct) == Struct.encode(struct)


@given(fetch_requests | produce_requests, st.integers(0, 2**31 - 1), name)
def test_a_request_has_the_length_and_the_header_that_aiokafka_gives_it(request, number, client):
    struct = request.prepare(PRESENT_DAY)
    header = struct.build_request_header(correlation_id=number, client_id=client)
    message = header.encode() + Struct.encode(struct)
    assert type(struct) in wire.PACKED
    assert b"".join(wire.framed(struct, number, client)) == len(message).to_bytes(4) + message


@given(fetch_responses)
def test_a_fetch_response_is_read_as_aiokafka_reads_it(response):
    read_alike(wire.fetch_response, response)


@given(produce_responses)
def test_a_produce_response_is_read_as_aiokafka_reads_it(response):
    read_alike(wire.produce_response, response)


def read_alike(read, response):
    """It is read after a header, as aiokafka reads it; one that ends too soon is refused."""
    encoded = Struct.encode(response)
    assert read(type(response), after_header(encoded)) == response
    for end in range(len(encoded)):
        with pytest.raises(ValueError):
            read(type(response), after_header(encoded[:end]))


def after_header(encoded):
    data = io.BytesIO(HEADER + encoded)
    data.read(len(HEADER))
    return data


def test_a_client_of_a_present_day_broker_uses_them():
    prepare()
    fetch = FetchRequest(1, 2, 3, 0, [("a", [(0, 1, 2)])]).prepare(PRESENT_DAY)
    assert type(fetch).encode is wire.fetch_request
    assert fetch.RESPONSE_TYPE.decode.__func__ is wire.fetch_response
    produce = ProduceRequest(None, -1, 1, [("a", [(0, b"x")])]).prepare(PRESENT_DAY)
    assert produce.RESPONSE_TYPE.decode.__func__ is wire.produce_response
