# cython: language_level=3, boundscheck=False, wraparound=False
# The commonest movements, from the bytes of their record to rows and ledger entries.
#
# A plain movement is a delta of a row that is there, without a note, later than the row's last
# count, or the first that is heard of a return's line, where that says that it was decided on. What `models.inventory.transition` and `models.ledger` make of it, this makes too, to the
# byte; `tests/unit/test_native.py` holds one against the other. All else is left to those.

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy

from models.native.slots cimport field, is_small, number, place_of, set_field
from models.native.text cimport (
    Pack, Reader, Span, Text, equals, read_integer, read_text, size_of, skip_space, skip_value, take,
    text_of,
)

import msgspec

from models import returns, stock
from models.returns import ReturnRow, TimelineStage
from models.stock import HISTORY as _HISTORY
from models.stock import NO_CHANGES, HistoryRow, StockRow, file_recent

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, unsigned int highest)
    void* PyUnicode_DATA(object text)

cdef object Raw = msgspec.Raw

cdef enum:
    NO_STREAM = -1
    ROW_WEIGHT = 700  # bytes that a row without a book is taken to have beside names and deltas

cdef Py_ssize_t VERSION = place_of(StockRow, "version")
cdef Py_ssize_t ON_HAND = place_of(StockRow, "on_hand")
cdef Py_ssize_t RESERVED = place_of(StockRow, "reserved")
cdef Py_ssize_t QUALITY_CONTROL = place_of(StockRow, "quality_control")
cdef Py_ssize_t DAMAGED = place_of(StockRow, "damaged")
cdef Py_ssize_t IN_TRANSIT = place_of(StockRow, "in_transit")
cdef Py_ssize_t INCOMING = place_of(StockRow, "incoming")
cdef Py_ssize_t SAFETY_STOCK = place_of(StockRow, "safety_stock")
cdef Py_ssize_t VARIANCE = place_of(StockRow, "variance")
cdef Py_ssize_t OPENED = place_of(StockRow, "opened")
cdef Py_ssize_t BOOK = place_of(StockRow, "book")
cdef Py_ssize_t NEWEST = place_of(StockRow, "newest")
cdef Py_ssize_t COUNTED_AT = place_of(StockRow, "counted_at")
cdef Py_ssize_t THROUGH = place_of(StockRow, "through")
cdef Py_ssize_t OWED = place_of(StockRow, "owed")
cdef Py_ssize_t LATEST = place_of(StockRow, "recent")
cdef Py_ssize_t LATEST_SIZE = place_of(StockRow, "recent_size")
cdef Py_ssize_t FIRST_CHUNK = place_of(StockRow, "first_chunk")
cdef Py_ssize_t FIRST_NEWEST = place_of(StockRow, "first_newest")
cdef Py_ssize_t NEXT_CHUNK = place_of(StockRow, "next_chunk")
cdef Py_ssize_t BLOCKS = place_of(StockRow, "blocks")
cdef long long HISTORY = _HISTORY

cdef struct Delta:
    Span sku
    Span location
    long long topic
    long long partition
    long long ordinal
    Span source
    long long epoch
    long long sequence
    long long line
    long long effective
    Span arrival
    Span cause
    Span bucket
    long long quantity
    bint is_return
    Span rma
    long long rma_line
    Span disposition


cdef struct Units:
    # What a ledger entry tells of a row.
    long long on_hand
    long long reserved
    long long quality_control
    long long damaged
    long long in_transit
    long long incoming
    long long safety_stock
    long long variance


cdef dict BUCKET_OF_DISPOSITION = {
    name.encode(): bucket.encode()
    for name, bucket in returns.BUCKET_OF_DISPOSITION.items() if bucket is not None
}


cdef bint read_movement(Reader* reader, Delta* delta) except -1:
    """A movement that may be plain, as the delta of a bucket."""
    cdef Span kind
    if not read_common(reader, &kind, delta):
        return 0
    delta.is_return = equals(kind, b"return", 6)
    if delta.is_return:
        return read_disposal(reader, delta)
    return equals(kind, b"delta", 5) and (
        read_text(reader, &delta.cause)
        and take(reader, c",") and read_text(reader, &delta.bucket)
        and take(reader, c",") and read_integer(reader, &delta.quantity)
        and take(reader, c"]")
    )


cdef bint read_common(Reader* reader, Span* kind, Delta* delta) noexcept nogil:
    """What every movement has, if it has no note, up to what its kind has of its own."""
    return (
        take(reader, c"[") and read_text(reader, kind)
        and take(reader, c",") and read_text(reader, &delta.sku)
        and take(reader, c",") and read_text(reader, &delta.location)
        and take(reader, c",") and read_integer(reader, &delta.topic)
        and take(reader, c",") and read_integer(reader, &delta.partition)
        and take(reader, c",") and read_integer(reader, &delta.ordinal)
        and take(reader, c",") and read_text(reader, &delta.source)
        and take(reader, c",") and read_integer(reader, &delta.epoch)
        and take(reader, c",") and read_integer(reader, &delta.sequence)
        and take(reader, c",") and read_integer(reader, &delta.line)
        and take(reader, c",") and read_integer(reader, &delta.effective)
        and take(reader, c",") and read_text(reader, &delta.arrival)
        and take(reader, c",") and read_null(reader)
        and take(reader, c",")
    )


cdef bint read_disposal(Reader* reader, Delta* delta) except -1:
    """A decision on units of a return, which go where they were decided on."""
    cdef Span stage
    if not (
        read_text(reader, &delta.rma)
        and take(reader, c",") and read_integer(reader, &delta.rma_line)
        and take(reader, c",") and read_text(reader, &stage) and equals(stage, b"disposed", 8)
        and take(reader, c",") and read_integer(reader, &delta.quantity)
        and take(reader, c",") and read_text(reader, &delta.disposition)
        and take(reader, c",") and read_null(reader)
        and take(reader, c",") and read_null(reader)
        and take(reader, c"]")
    ):
        return 0
    bucket = BUCKET_OF_DISPOSITION.get(delta.disposition.at[: delta.disposition.size])
    if bucket is None:
        return 0
    # The table keeps what is pointed to.
    delta.bucket = Span(PyBytes_AS_STRING(bucket), PyBytes_GET_SIZE(bucket))
    delta.cause = Span(b"return", 6)
    return 1


cdef bint read_null(Reader* reader) noexcept nogil:
    if reader.end - reader.at < 4 or not equals(Span(reader.at, 4), b"null", 4):
        return 0
    reader.at += 4
    return 1


cdef class PlainDeltas:
    """Applies the plain ones among a record's movements, and names those that are not.

    After `begin`, each call of `advance` applies plain movements up to one that is not: that is
    `element`, at `index`. It returns False once the record is done. `taken` counts the movements
    that were applied, `skipped` those whose origin was absorbed before.
    """

    cdef object _rows
    cdef dict _live
    cdef dict _changed
    cdef dict _origins
    cdef Pack _entries
    cdef Text _text
    cdef long long _stream
    cdef long long _absorbed
    cdef long long _weight
    cdef object _promise_moved
    cdef bytes _value
    cdef Reader _reader
    cdef Span _element
    cdef long long _base
    cdef long long _received
    cdef bint _trust_origins
    cdef long long _full
    cdef long long _most_chunks
    cdef readonly long long index
    cdef readonly long long taken
    cdef readonly long long skipped

    def __init__(self, bint trust_origins):
        self._trust_origins = trust_origins
        self._full, self._most_chunks = stock.RECENT, stock.MAX_CHUNKS
        self._text = Text()
        self.taken = self.skipped = 0

    def begin(
        self, bytes value, rows, Pack entries, long long base, long long received, promise_moved
    ):
        """Take a record's movements, which change `rows` from version `base` on.

        `promise_moved`, if any, is told each row whose promise changes, and its version. Raises ValueError where it holds no array.
        """
        self._rows, self._live, self._changed = rows, rows.live, rows.changed
        self._origins = rows.position.origins
        self._entries = entries
        self._promise_moved = promise_moved
        self._value = value
        self._reader.at = <const char*>value
        self._reader.end = self._reader.at + len(value)
        self._base, self._received = base, received
        self.index = -1
        if not take(&self._reader, c"["):
            raise ValueError("a record of movements is an array")

    def forget(self):
        """Let go of the rows of the last record."""
        self._rows = self._live = self._changed = self._origins = self._entries = None
        self._promise_moved = self._value = None
        self._element.size = 0

    @property
    def element(self):
        """The movement that is not plain, as it stands in the record."""
        return self._element.at[: self._element.size]

    def advance(self):
        """Apply what is plain; whether there is a movement that is not."""
        self._stream, self._weight = NO_STREAM, 0
        try:
            return self._advance()
        finally:
            self._note_origin()
            self._rows.weight += self._weight

    cdef bint _advance(self) except -1:
        cdef Reader reader
        cdef Delta delta
        while True:
            if self.index >= 0 and not take(&self._reader, c","):
                break
            if self.index < 0 and take(&self._reader, c"]"):
                return self._at_end()
            self.index += 1
            reader = self._reader
            self._element.at, self._element.size = reader.at, 0
            if read_movement(&reader, &delta):
                self._reader = reader
                self._element.size = reader.at - self._element.at
                if not self._apply(&delta):
                    return True
                continue
            if not skip_value(&self._reader):
                raise ValueError("a movement is an array")
            self._element.size = self._reader.at - self._element.at
            return True
        if not take(&self._reader, c"]"):
            raise ValueError("a record of movements does not end")
        return self._at_end()

    cdef bint _at_end(self) except -1:
        skip_space(&self._reader)
        if self._reader.at != self._reader.end:
            raise ValueError("a record of movements goes on after its end")
        return False

    cdef bint _apply(self, Delta* delta) except -1:
        """Whether the movement was plain; else nothing has changed."""
        cdef str key, document = None
        cdef object row, effective, changes = None
        cdef Units units
        cdef long long has, previous, promised, version, size
        cdef Py_ssize_t bucket
        cdef bint counts = equals(delta.bucket, b"on_hand", 7)
        cdef bint was_changed
        cdef bint is_new = self._is_new(delta)
        if self._trust_origins and not is_new:
            self.skipped += 1
            return True
        key = _stock_key(delta)
        if key is None:
            return False
        row = self._changed.get(key)
        was_changed = row is not None
        if row is None:
            row = self._live.get(key)
        if row is None:
            row = self._rows.get(key, StockRow)
        if type(row) is not StockRow or field(row, THROUGH) is not None:
            return False
        if delta.is_return:
            document = _return_key(delta)
            if document is None or self._rows.get(document, ReturnRow) is not None:
                return False
        if not _read_units(row, &units):
            return False
        if counts:
            if delta.effective <= number(row, COUNTED_AT):
                return False
            bucket = ON_HAND
            has = units.on_hand = units.on_hand + delta.quantity
            changes = self._appended(field(row, LATEST), delta)
            if changes is None:
                return False
        else:
            if equals(delta.bucket, b"damaged", 7):
                bucket = DAMAGED
                has = units.damaged = units.damaged + delta.quantity
            elif equals(delta.bucket, b"quality_control", 15):
                bucket = QUALITY_CONTROL
                has = units.quality_control = units.quality_control + delta.quantity
            else:
                return False
            if has < 0 or field(row, OWED):
                return False
        if is_new:
            self._absorbed = delta.ordinal
        if not was_changed:
            # What `put` does with a row that is there and stays.
            self._changed[key] = row
            self._weight += ROW_WEIGHT + len(key) + size_of(field(row, LATEST))
        version = self._base + self.index
        previous = number(row, VERSION)
        promised = _promise(row) if self._promise_moved is not None else 0
        effective = delta.effective
        set_field(row, VERSION, version)
        set_field(row, BOOK, number(row, BOOK) + 1)
        if delta.effective > number(row, NEWEST):
            set_field(row, NEWEST, effective)
        if counts:
            size = number(row, LATEST_SIZE) + 1
            set_field(row, LATEST, changes)
            set_field(row, LATEST_SIZE, size)
            if size >= self._full:
                self._file_recent(row, key)
        set_field(row, bucket, has)
        if document is not None:
            self._rows.put(document, _return_row(delta, version))
        self._tell(delta, &units, version, previous, counts)
        if self._promise_moved is not None and _promise(row) != promised:
            self._promise_moved(row, version)
        self.taken += 1
        return True

    cdef int _file_recent(self, row, str key) except -1:
        """What `models.stock.file_recent` does; where older rows have to go, that does it."""
        cdef long long first = number(row, FIRST_CHUNK), last = number(row, NEXT_CHUNK)
        cdef bint may_be_old = number(row, FIRST_NEWEST) < number(row, NEWEST) - HISTORY
        cdef bint are_many = last + 1 - first > self._most_chunks
        if field(row, BLOCKS) or are_many or (first < last and may_be_old):
            file_recent(self._rows, row)
            return 0
        filed = HistoryRow(version=field(row, VERSION), links=field(row, LATEST))
        self._rows.put(f"history{key[5:]}|{last}", filed)
        set_field(row, NEXT_CHUNK, last + 1)
        set_field(row, LATEST, NO_CHANGES)
        set_field(row, LATEST_SIZE, 0)
        return 0

    cdef object _appended(self, kept, Delta* delta):
        """What `models.stock.appended` gives; None where that has to change the form."""
        cdef Text text = self._text
        cdef Py_buffer held
        cdef Py_ssize_t before
        cdef char* at
        cdef bytes written
        text.size = 0
        text.put_one(c"[")
        text.put_integer(delta.effective)
        text.put_one(c",")
        text.put_integer(delta.quantity)
        text.put(b',"', 2)
        text.put_span(delta.source)
        text.put(b'",', 2)
        text.put_integer(delta.epoch)
        text.put_one(c",")
        text.put_integer(delta.sequence)
        text.put(b"]]", 2)
        PyObject_GetBuffer(kept, &held, PyBUF_SIMPLE)
        try:
            at = <char*>held.buf
            before = held.len - 1
            if before < 1 or (before > 1 and at[1] != c"["):
                return None
            written = PyBytes_FromStringAndSize(NULL, before + (before > 1) + text.size)
            memcpy(PyBytes_AS_STRING(written), at, before)
        finally:
            PyBuffer_Release(&held)
        at = PyBytes_AS_STRING(written) + before
        if before > 1:
            at[0] = c","
            at += 1
        memcpy(at, text.start, text.size)
        return Raw(written)

    cdef bint _is_new(self, Delta* delta) except -1:
        cdef long long stream = (delta.topic << 16) | delta.partition
        if stream != self._stream:
            self._note_origin()
            self._stream = stream
            self._absorbed = self._origins.get(stream, -1)
        return delta.ordinal > self._absorbed

    cdef int _note_origin(self) except -1:
        """Tell the position what was absorbed of the origin stream at hand."""
        if self._stream != NO_STREAM and self._absorbed >= 0:
            self._origins[self._stream] = self._absorbed
        return 0

    cdef int _tell(
        self, Delta* delta, Units* units, long long version, long long previous, bint counts
    ) except -1:
        """The ledger entry of a delta that was applied."""
        cdef Text entry = self._entries.next()
        entry.put_one(c"[")
        entry.put_integer(version)
        entry.put_one(c",")
        entry.put_integer(previous)
        entry.put(b',"', 2)
        entry.put_span(delta.cause)
        if delta.is_return:
            entry.put(b'","implied_receipt",', 20)
        else:
            entry.put(b'","applied",', 12)
        entry.put_integer(self._received)
        if counts or delta.quantity:
            entry.put(b',{"', 3)
            entry.put_span(delta.bucket)
            entry.put(b'":', 2)
            entry.put_integer(delta.quantity)
            entry.put(b"},", 2)
        else:
            entry.put(b",{},", 4)
        entry.put_integer(units.on_hand)
        entry.put_one(c",")
        entry.put_integer(units.reserved)
        entry.put_one(c",")
        entry.put_integer(units.quality_control)
        entry.put_one(c",")
        entry.put_integer(units.damaged)
        entry.put_one(c",")
        entry.put_integer(units.in_transit)
        entry.put_one(c",")
        entry.put_integer(units.incoming)
        entry.put_one(c",")
        entry.put_integer(units.safety_stock)
        entry.put_one(c",")
        entry.put_integer(units.variance)
        entry.put_one(c",")
        entry.put_span(self._element)
        return entry.put(b",[]]", 4)


cdef bint _read_units(row, Units* units) except -1:
    """Whether they can all be counted on with."""
    units.on_hand, units.reserved = number(row, ON_HAND), number(row, RESERVED)
    units.quality_control, units.damaged = number(row, QUALITY_CONTROL), number(row, DAMAGED)
    units.in_transit, units.incoming = number(row, IN_TRANSIT), number(row, INCOMING)
    units.safety_stock, units.variance = number(row, SAFETY_STOCK), number(row, VARIANCE)
    return (
        is_small(units.on_hand) and is_small(units.reserved)
        and is_small(units.quality_control) and is_small(units.damaged)
        and is_small(units.in_transit) and is_small(units.incoming)
        and is_small(units.safety_stock) and is_small(units.variance)
    )


cdef long long _promise(row) except? -1:
    """What `models.stock.StockRow.promise` gives."""
    cdef long long on_hand = number(row, ON_HAND), reserved = number(row, RESERVED)
    if field(row, OPENED) is not True:
        return 0
    return max(0, on_hand - reserved - number(row, SAFETY_STOCK)) - max(
        0, reserved - max(0, on_hand)
    )


cdef str _stock_key(Delta* delta):
    """What `models.rows.stock_key` gives; None where a part of it needs to be escaped."""
    cdef Py_ssize_t sku = delta.sku.size, location = delta.location.size
    cdef char* at
    if not sku or not _is_whole(delta.sku) or not _is_whole(delta.location):
        return None
    key = PyUnicode_New(7 + sku + location, 127)
    at = <char*>PyUnicode_DATA(key)
    memcpy(at, <const char*>b"stock|", 6)
    memcpy(at + 6, delta.sku.at, sku)
    at[6 + sku] = c"|"
    memcpy(at + 7 + sku, delta.location.at, location)
    return <str>key


cdef str _return_key(Delta* delta):
    """What `models.returns.return_key` gives; None where a part of it needs to be escaped."""
    if not _is_whole(delta.rma) or not _is_whole(delta.sku):
        return None
    return f"return|{text_of(delta.rma)}|{delta.rma_line}|{text_of(delta.sku)}"


cdef object _return_row(Delta* delta, long long version):
    """The row of a return's line of which nothing else is known."""
    told = TimelineStage(
        delta.effective, delta.sequence, text_of(delta.source), "disposed", delta.quantity,
        text_of(delta.location), text_of(delta.disposition), None,
    )
    return ReturnRow(
        version=version, rma=text_of(delta.rma), line=delta.rma_line, sku=text_of(delta.sku),
        timeline=(told,),
    )


cdef bint _is_whole(Span span) noexcept nogil:
    cdef Py_ssize_t place
    for place in range(span.size):
        if span.at[place] == c"|" or span.at[place] == c"%":
            return 0
    return 1

