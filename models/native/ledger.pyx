# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# The beginnings of ledger entries, from the bytes of their record.
#
# What `models.ledger` finds in a record, this finds too; `tests/unit/test_native.py` holds one
# against the other. A record with an entry that is not plain is left to it.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memchr

from models.native.text cimport (
    Reader, Span, Text, equals, leave, read_integer, read_text, skip_space, skip_value,
    take,
)

cdef enum:
    BUCKETS = 8

cdef struct Entry:
    Span whole
    long long version
    Span outcome
    long long received
    Span sku
    Span location
    long long effective


cdef bint read_moved(Reader* reader, Entry* entry) noexcept nogil:
    """A movement up to its effective time; the reader is in it then."""
    cdef Span text
    cdef long long number
    cdef int place
    if not (
        take(reader, c"[") and read_text(reader, &text)
        and take(reader, c",") and read_text(reader, &entry.sku)
        and take(reader, c",") and read_text(reader, &entry.location)
    ):
        return 0
    for place in range(3):  # where it stood in its log
        if not (take(reader, c",") and read_integer(reader, &number)):
            return 0
    if not (take(reader, c",") and read_text(reader, &text)):
        return 0
    for place in range(3):  # epoch, sequence, line
        if not (take(reader, c",") and read_integer(reader, &number)):
            return 0
    return take(reader, c",") and read_integer(reader, &entry.effective)


cdef bint read_entry(Reader* reader, Entry* entry) noexcept nogil:
    """An entry, passed to its end."""
    cdef Span text
    cdef long long number
    cdef int place
    skip_space(reader)
    entry.whole.at = reader.at
    if not (
        take(reader, c"[") and read_integer(reader, &entry.version)
        and take(reader, c",") and read_integer(reader, &number)
        and take(reader, c",") and read_text(reader, &text)
        and take(reader, c",") and read_text(reader, &entry.outcome)
        and take(reader, c",") and read_integer(reader, &entry.received)
        and take(reader, c",") and skip_value(reader)
    ):
        return 0
    for place in range(BUCKETS):
        if not (take(reader, c",") and read_integer(reader, &number)):
            return 0
    if not (take(reader, c",") and read_moved(reader, entry) and leave(reader, 2)):
        return 0
    entry.whole.size = reader.at - entry.whole.at
    return 1


cdef bint is_escaped(Span part) noexcept nogil:
    """Whether a part stands in a key otherwise than it is."""
    return memchr(part.at, c"|", part.size) != NULL or memchr(part.at, c"%", part.size) != NULL


def heads(bytes record not None):
    """What `models.ledger.heads` returns, or None where that must be asked."""
    cdef Entry entry
    cdef Reader reader
    cdef Text stock = Text()
    cdef bint sets
    cdef list found = []
    reader.at = PyBytes_AS_STRING(record)
    reader.end = reader.at + PyBytes_GET_SIZE(record)
    if not take(&reader, c"["):
        return None
    while True:
        if not read_entry(&reader, &entry) or is_escaped(entry.sku) or is_escaped(entry.location):
            return None
        stock.put(b"stock|", 6)
        stock.put_span(entry.sku)
        stock.put_one(c"|")
        stock.put_span(entry.location)
        sets = equals(entry.outcome, b"rebased", 7) or equals(entry.outcome, b"adopted", 7)
        found.append((
            stock.taken().decode("ascii"), entry.version, entry.received, entry.effective, sets,
            PyBytes_FromStringAndSize(entry.whole.at, entry.whole.size),
        ))
        if take(&reader, c"]"):
            return found if reader.at == reader.end else None
        if not take(&reader, c","):
            return None
