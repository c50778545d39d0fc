# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# The commonest movements, from the bytes of their record to rows and ledger entries.
#
# A plain movement is a delta, without a note, later than the last count of a row that is there or begins,
# or the first that is heard of a return's line, where that says that it was decided on. What
# `models.inventory.transition` and `models.ledger` make of it, this makes too, to the byte;
# `tests/unit/test_native.py` holds one against the other. All else is left to those.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc

from models.native.stock cimport PackedStock, filed, is_countable, put_recent
from models.native.stock_table cimport StockTable, hash_of, is_whole
from models.native.sums cimport find_newest
from models.native.text cimport (
    Pack, Reader, Span, Text, equals, read_integer, read_text, skip_space, skip_value, take,
    text_of,
)
from models.native.written cimport WrittenDocument

from models import returns, stock
from models.returns import ReturnRow, TimelineStage
from models.stock import HISTORY as _HISTORY
from models.native.sums import by_minute
from models.stock import file_recent

cdef enum:
    NO_STREAM = -1
    FORESEEN = 3  # movements before a row's own in which the processor fetches it

cdef long long HISTORY = _HISTORY

if ReturnRow.__struct_fields__ != (
    "version", "day", "rma", "line", "sku", "sold_as", "timeline",
) or TimelineStage.__struct_fields__ != (
    "at", "sequence", "source", "stage", "quantity", "location", "disposition", "reason",
):
    raise ImportError("the fields of a return's row are others than those compiled")

cdef struct Delta:
    Span element
    bint may_be_plain
    unsigned long long hash
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

    A record is read first, and its rows are fetched by the processor while those before them change.
    After `begin`, each call of `advance` applies plain movements up to one that is not: that is
    `element`, at `index`. It returns False once the record is done. `taken` counts the movements
    that were applied, `skipped` those whose origin was absorbed before. The partition's weight has
    what they may add to rows.
    """

    cdef object _rows
    cdef StockTable _packed
    cdef dict _origins
    cdef Pack _entries
    cdef Text _text
    cdef long long _stream
    cdef long long _absorbed
    cdef long long _weight
    cdef object _promise_moved
    cdef bytes _value
    cdef Delta* _deltas
    cdef Py_ssize_t _number
    cdef Py_ssize_t _room
    cdef Span _element
    cdef long long _base
    cdef long long _received
    cdef bint _trust_origins
    cdef long long _full
    cdef long long _most_chunks
    cdef readonly long long index
    cdef readonly long long taken
    cdef readonly long long skipped

    def __cinit__(self):
        self._deltas = NULL
        self._number = self._room = 0

    def __dealloc__(self):
        PyMem_Free(self._deltas)

    def __init__(self, bint trust_origins):
        self._trust_origins = trust_origins
        self._full, self._most_chunks = stock.RECENT, stock.MAX_CHUNKS
        self._text = Text()
        self.taken = self.skipped = 0

    def begin(
        self, bytes value, StockTable packed, Pack entries, long long base, long long received,
        promise_moved,
    ):
        """Take a record's movements, which change the rows of a partition from version `base` on.

        `promise_moved`, if any, is told of each row whose promise changes: its SKU and location,
        what it promises now, and its version. Raises ValueError where `value` is no array of arrays.
        """
        packed.turn_to()
        self._packed, self._rows = packed, packed.rows
        self._origins = self._rows.position.origins
        self._entries = entries
        self._promise_moved = promise_moved
        self._value = value
        self._base, self._received = base, received
        self.index = -1
        self._read(value)

    cdef int _read(self, bytes value) except -1:
        cdef Reader reader
        cdef Delta* delta
        cdef const char* start
        reader.at = <const char*>value
        reader.end = reader.at + len(value)
        self._number = 0
        if not take(&reader, c"["):
            raise ValueError("a record of movements is an array")
        while self._number or not take(&reader, c"]"):
            delta = self._next_delta()
            start = reader.at
            delta.may_be_plain = read_movement(&reader, delta)
            if delta.may_be_plain:
                delta.hash = hash_of(delta.sku, delta.location)
                self._packed.foresee_place(delta.hash)
            else:
                reader.at = start
                if not skip_value(&reader):
                    raise ValueError("a movement is an array")
            delta.element = Span(start, reader.at - start)
            if take(&reader, c"]"):
                break
            if not take(&reader, c","):
                raise ValueError("a record of movements does not end")
        skip_space(&reader)
        if reader.at != reader.end:
            raise ValueError("a record of movements goes on after its end")
        return 0

    cdef Delta* _next_delta(self) except NULL:
        cdef Delta* deltas
        if self._number == self._room:
            deltas = <Delta*>PyMem_Realloc(self._deltas, (2 * self._room + 64) * sizeof(Delta))
            if deltas == NULL:
                raise MemoryError
            self._deltas, self._room = deltas, 2 * self._room + 64
        self._number += 1
        return self._deltas + self._number - 1

    def forget(self):
        """Let go of the rows of the last record."""
        self._rows = self._packed = self._origins = self._entries = None
        self._promise_moved = self._value = None
        self._number = self._element.size = 0

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
        cdef Delta* delta
        while self.index + 1 < self._number:
            self.index += 1
            delta = self._deltas + self.index
            self._foresee(delta)
            self._element = delta.element
            if not delta.may_be_plain or not self._apply(delta):
                return True
        return False

    cdef void _foresee(self, Delta* delta) noexcept:
        cdef Py_ssize_t left = self._number - 1 - self.index
        if left >= FORESEEN and delta[FORESEEN].may_be_plain:
            self._packed.foresee_row(delta[FORESEEN].hash)
        if left and delta[1].may_be_plain:
            self._packed.foresee_changes(delta[1].hash)

    cdef bint _apply(self, Delta* delta) except -1:
        """Whether the movement was plain; else nothing has changed."""
        cdef str document = None
        cdef PackedStock row
        cdef long long has, previous, promised, version
        cdef bint counts = equals(delta.bucket, b"on_hand", 7), is_damaged = False
        cdef bint is_new = self._is_new(delta), is_begun = False
        if self._trust_origins and not is_new:
            self.skipped += 1
            return True
        row = self._packed.find(delta.sku, delta.location, delta.hash)
        if row is None and self._promise_moved is None:
            version = self._base + self.index
            row = self._packed.begin(delta.sku, delta.location, version, delta.effective)
            is_begun = row is not None
        if row is None:
            return False
        if delta.is_return:
            document = _return_key(delta)
            if document is None or self._is_known(document):
                return False
        if counts:
            if delta.effective <= row.counted_at:
                return False
            has = row.on_hand + delta.quantity
        else:
            is_damaged = equals(delta.bucket, b"damaged", 7)
            if is_damaged:
                has = row.damaged + delta.quantity
            elif equals(delta.bucket, b"quality_control", 15):
                has = row.quality_control + delta.quantity
            else:
                return False
            if has < 0 or row.owes:
                return False
        if not is_countable(has):
            return False
        if is_new:
            self._absorbed = delta.ordinal
        if is_begun:
            self._packed.enter(row, delta.hash)
        self._weight += self._packed.note_change(row)
        version, previous = self._base + self.index, row.version
        promised = _promise(row) if self._promise_moved is not None else 0
        row.version = version
        row.book += 1
        row.newest = max(row.newest, delta.effective)
        if counts:
            row.on_hand = has
            self._append(row, delta)
        elif is_damaged:
            row.damaged = has
        else:
            row.quality_control = has
        self._tell(delta, row, version, previous, counts)
        has = _promise(row)
        if row.recent_size >= self._full:
            self._file_recent(row)
        if document is not None:
            # The key has some of it again.
            self._weight += self._add_document(document, delta, version) + 2 * delta.element.size
        if self._promise_moved is not None and has != promised:
            self._promise_moved(text_of(delta.sku), text_of(delta.location), has, version)
        self.taken += 1
        return True

    cdef bint _is_known(self, str document) except -1:
        """Whether there is a return's line of that key; hardly ever, so it is looked up first."""
        if document not in self._packed.live and document not in self._rows.encoded:
            return False
        return self._rows.get(document, ReturnRow) is not None

    cdef long long _add_document(self, str key, Delta* delta, long long version) except -1:
        cdef WrittenDocument row = _return_row(self._text, delta, version)
        self._rows.documents.note(key, row)
        return self._packed.file(key, row)

    cdef int _file_recent(self, PackedStock row) except -1:
        """What `models.stock.file_recent` does; where older rows have to go, that does it."""
        cdef long long horizon = row.newest - HISTORY, newest = row.first_newest
        cdef bint are_many = row.next_chunk + 1 - row.first_chunk > self._most_chunks
        cdef bint is_first = row.first_chunk == row.next_chunk
        cdef bint is_known = newest >= horizon
        if is_first:
            # Their array has no end yet.
            is_known = find_newest(Reader(row.recent + 1, row.recent + row.recent_bytes), &newest)
        if not is_known or are_many or row.sums_end < horizon:
            file_recent(self._rows, self._packed.unpack(row), by_minute)
            return 0
        row.first_newest = newest
        self._weight += self._packed.file(f"history{row.key[5:]}|{row.next_chunk}", filed(row))
        row.next_chunk += 1
        row.recent_bytes, row.recent_size = 1, 0
        return 0

    cdef int _append(self, PackedStock row, Delta* delta) except -1:
        """Keep the change, as `models.stock.appended` does."""
        cdef Text text = self._text
        text.size = 0
        if row.recent_bytes > 1:
            text.put_one(c",")
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
        text.put_one(c"]")
        put_recent(row, text.start, text.size)
        self._weight += text.size
        row.recent_size += 1
        return 0

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
        self, Delta* delta, PackedStock row, long long version, long long previous, bint counts
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
        entry.put_integer(row.on_hand)
        entry.put_one(c",")
        entry.put_integer(row.reserved)
        entry.put_one(c",")
        entry.put_integer(row.quality_control)
        entry.put_one(c",")
        entry.put_integer(row.damaged)
        entry.put_one(c",")
        entry.put_integer(row.in_transit)
        entry.put_one(c",")
        entry.put_integer(row.incoming)
        entry.put_one(c",")
        entry.put_integer(row.safety_stock)
        entry.put_one(c",")
        entry.put_integer(row.variance)
        entry.put_one(c",")
        entry.put_span(delta.element)
        return entry.put(b",[]]", 4)


cdef long long _promise(PackedStock row) noexcept nogil:
    """What `models.stock.StockRow.promise` gives."""
    if not row.opened:
        return 0
    return max(0, row.on_hand - row.reserved - row.safety_stock) - max(
        0, row.reserved - max(0, row.on_hand)
    )


cdef str _return_key(Delta* delta):
    """What `models.returns.return_key` gives; None where a part of it needs to be escaped."""
    if not is_whole(delta.rma) or not is_whole(delta.sku):
        return None
    return f"return|{text_of(delta.rma)}|{delta.rma_line}|{text_of(delta.sku)}"


cdef WrittenDocument _return_row(Text text, Delta* delta, long long version):
    """The row of a return's line of which nothing else is known."""
    cdef bytes told
    text.size = 0
    text.put(b'{"version":', 11)
    text.put_integer(version)
    told = text.taken()
    text.put(b',"rma":"', 8)
    text.put_span(delta.rma)
    text.put(b'","line":', 9)
    text.put_integer(delta.rma_line)
    text.put(b',"sku":"', 8)
    text.put_span(delta.sku)
    text.put(b'","sold_as":null,"timeline":[[', 30)
    text.put_integer(delta.effective)
    text.put_one(c",")
    text.put_integer(delta.sequence)
    text.put(b',"', 2)
    text.put_span(delta.source)
    text.put(b'","disposed",', 13)
    text.put_integer(delta.quantity)
    text.put(b',"', 2)
    text.put_span(delta.location)
    text.put(b'","', 3)
    text.put_span(delta.disposition)
    text.put(b'",null]]}', 9)
    return WrittenDocument(told, text.taken(), ReturnRow)
