"""Fetch and Produce, nearly all of what goes over the wire, packed and unpacked at once.

aiokafka does it field by field: a fetch of sixteen partitions takes it as long as ten events
take a stage. What is sent is the same to the byte, what is read the same, for the versions that
a present-day broker speaks; others go aiokafka's way. The layout is Kafka's protocol guide's,
https://kafka.apache.org/protocol.
"""

from io import BytesIO
from struct import Struct, error
from typing import Any, Final

from aiokafka.protocol.fetch import FetchRequest_v11, FetchResponse_v11
from aiokafka.protocol.produce import ProduceRequest_v7, ProduceResponse_v7

NONE: Final = -1
"""The length of what is not there."""

PACKED: Final = frozenset({FetchRequest_v11, ProduceRequest_v7})

_SHORT: Final = Struct(">h")
_INTEGER: Final = Struct(">i")
_TWO: Final = Struct(">ii")

_FETCH: Final = Struct(">iiiibiii")
_ASKED: Final = Struct(">iiqqi")

_FETCHED: Final = Struct(">ihii")
_FETCHED_PARTITION: Final = Struct(">ihqqqiii")
"""With no aborted transactions between its number of them and what follows."""
_ABORTED: Final = Struct(">qq")

_HEADER: Final = Struct(">hhi")

_PRODUCE: Final = Struct(">hii")
_APPENDED: Final = Struct(">ihqqq")


def install() -> None:
    """Have aiokafka's clients use these, in this process."""
    FetchRequest_v11.encode = fetch_request
    FetchResponse_v11.decode = classmethod(fetch_response)
    ProduceResponse_v7.decode = classmethod(produce_response)


def framed(request: Any, correlation: int, client: str) -> list[bytes]:
    """A request as it goes over the wire: its length, a header of version 1, and itself.

    In pieces, so that what is appended need not be copied into one.
    """
    name = _text(client)
    appends = type(request) is ProduceRequest_v7
    body = _appending(request) if appends else [request.encode()]
    header = _HEADER.pack(request.API_KEY, request.API_VERSION, correlation)
    length = _INTEGER.pack(len(header) + len(name) + sum(map(len, body)))
    return [b"".join((length, header, name)), *body]


def correlation_of(frame: bytes) -> int:
    """The number of the request that a response answers, in a header of version 0."""
    (number,) = _INTEGER.unpack_from(frame)
    return int(number)


def response_in(frame: bytes, request: Any) -> Any:
    """What answers a request of PACKED, after a header of version 0."""
    data = BytesIO(frame)
    data.seek(_INTEGER.size)
    return request.RESPONSE_TYPE.decode(data)


def _text(text: str | None) -> bytes:
    if text is None:
        return _SHORT.pack(NONE)
    encoded = text.encode()
    return _SHORT.pack(len(encoded)) + encoded


def fetch_request(request: Any) -> bytes:
    """The bytes of a FetchRequest_v11."""
    packed = [
        _FETCH.pack(
            request.replica_id,
            request.max_wait_time,
            request.min_bytes,
            request.max_bytes,
            request.isolation_level,
            request.session_id,
            request.session_epoch,
            len(request.topics),
        )
    ]
    pack = _ASKED.pack
    for topic, partitions in request.topics:
        packed += [_text(topic), _INTEGER.pack(len(partitions))]
        packed += [pack(*asked) for asked in partitions]
    packed.append(_INTEGER.pack(len(request.forgotten_topics_data)))
    for topic, partitions in request.forgotten_topics_data:
        packed += [_text(topic), _INTEGER.pack(len(partitions)), *map(_INTEGER.pack, partitions)]
    packed.append(_text(request.rack_id))
    return b"".join(packed)


def fetch_response(kind: type, data: BytesIO) -> Any:
    """The FetchResponse_v11 that follows in `data`. Raises ValueError where it ends too soon."""
    value, at = data.getvalue(), data.tell()
    try:
        throttle, code, session, number = _FETCHED.unpack_from(value, at)
        at += _FETCHED.size
        topics = []
        for _ in range(number):
            topic, count, at = _topic(value, at)
            partitions = []
            for _ in range(count):
                found, at = _fetched(value, at)
                partitions.append(found)
            topics.append((topic, partitions))
    except error as found:
        raise ValueError(f"a fetch response of {len(value)} bytes: {found}") from found
    return kind(throttle, code, session, topics)


def _topic(value: bytes, at: int) -> tuple[str, int, int]:
    """A topic's name, how many partitions follow, and where."""
    (length,) = _SHORT.unpack_from(value, at)
    at += _SHORT.size
    end = at + length
    (count,) = _INTEGER.unpack_from(value, end)
    return value[at:end].decode(), count, end + _INTEGER.size


def _fetched(value: bytes, at: int) -> tuple[tuple[Any, ...], int]:
    """What was fetched of a partition, and where the next one begins."""
    unpack = _FETCHED_PARTITION.unpack_from
    partition, code, high, last, start, aborted, replica, length = unpack(value, at)
    transactions: list[tuple[int, ...]] | None = None if aborted < 0 else []
    if aborted > 0:
        begun = at + _FETCHED_PARTITION.size - _TWO.size
        at += aborted * _ABORTED.size
        end = at + _FETCHED_PARTITION.size - _TWO.size
        transactions = list(_ABORTED.iter_unpack(value[begun:end]))
        replica, length = _TWO.unpack_from(value, end)
    at += _FETCHED_PARTITION.size
    if length < 0:
        return (partition, code, high, last, start, transactions, replica, None), at
    end = at + length
    if end > len(value):
        raise ValueError(f"records of {length} bytes end after the response's {len(value)}")
    return (partition, code, high, last, start, transactions, replica, value[at:end]), end


def _appending(request: Any) -> list[bytes]:
    """The bytes of a ProduceRequest_v7, in pieces."""
    topics = request.topics
    told = _PRODUCE.pack(request.required_acks, request.timeout, len(topics))
    packed = [_text(request.transactional_id), told]
    for topic, partitions in topics:
        packed += [_text(topic), _INTEGER.pack(len(partitions))]
        for partition, records in partitions:
            packed += [_TWO.pack(partition, len(records)), records]
    return packed


def produce_response(kind: type, data: BytesIO) -> Any:
    """The ProduceResponse_v7 that follows in `data`. Raises ValueError where it ends too soon."""
    value, at = data.getvalue(), data.tell()
    try:
        (number,) = _INTEGER.unpack_from(value, at)
        at += _INTEGER.size
        topics = []
        for _ in range(number):
            topic, count, at = _topic(value, at)
            end = at + count * _APPENDED.size
            topics.append((topic, list(_APPENDED.iter_unpack(value[at:end]))))
            at = end
        (throttle,) = _INTEGER.unpack_from(value, at)
    except error as found:
        raise ValueError(f"a produce response of {len(value)} bytes: {found}") from found
    return kind(topics, throttle)
