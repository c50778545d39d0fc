# cython: language_level=3, boundscheck=False, wraparound=False
# The commonest movements, from the bytes of their record to rows and ledger entries.
#
# A plain movement is a delta of a row that is there, without a note, later than the row's last
# count. What `models.inventory.transition` and `models.ledger` make of it, this makes too, to the
# byte; `tests/unit/test_native.py` holds one against the other. All else is left to those.

from models.native.slots cimport field, number, place_of, set_field
from models.native.text cimport (
    Pack, Reader, Span, Text, equals, read_integer, read_text, skip_value, take, text_of,
)

from models.stock import RECENT, Link, StockRow, file_recent

cdef long long FULL = RECENT
cdef Py_ssize_t VERSION = place_of(StockRow, "version")
cdef Py_ssize_t ON_HAND = place_of(StockRow, "on_hand")
cdef Py_ssize_t RESERVED = place_of(StockRow, "reserved")
cdef Py_ssize_t QUALITY_CONTROL = place_of(StockRow, "quality_control")
cdef Py_ssize_t DAMAGED = place_of(StockRow, "damaged")
cdef Py_ssize_t IN_TRANSIT = place_of(StockRow, "in_transit")
cdef Py_ssize_t INCOMING = place_of(StockRow, "incoming")
cdef Py_ssize_t SAFETY_STOCK = place_of(StockRow, "safety_stock")
cdef Py_ssize_t VARIANCE = place_of(StockRow, "variance")
cdef Py_ssize_t BOOK = place_of(StockRow, "book")
cdef Py_ssize_t NEWEST = place_of(StockRow, "newest")
cdef Py_ssize_t COUNTED_AT = place_of(StockRow, "counted_at")
cdef Py_ssize_t THROUGH = place_of(StockRow, "through")
cdef Py_ssize_t OWED = place_of(StockRow, "owed")
cdef Py_ssize_t LATEST = place_of(StockRow, "recent")
cdef Py_ssize_t LATEST_SIZE = place_of(StockRow, "recent_size")

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


cdef bint read_delta(Reader* reader, Delta* delta) noexcept nogil:
    cdef Span kind
    cdef Reader rest
    if not (
        take(reader, c"[") and read_text(reader, &kind) and equals(kind, b"delta", 5)
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
        and take(reader, c",")
    ):
        return 0
    if reader.end - reader.at < 4 or not equals(Span(reader.at, 4), b"null", 4):
        return 0
    reader.at += 4
    return (
        take(reader, c",") and read_text(reader, &delta.cause)
        and take(reader, c",") and read_text(reader, &delta.bucket)
        and take(reader, c",") and read_integer(reader, &delta.quantity)
        and take(reader, c"]")
    )


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
    cdef bytes _value
    cdef Reader _reader
    cdef Span _element
    cdef long long _base
    cdef long long _received
    cdef bint _trust_origins
    cdef readonly long long index
    cdef readonly long long taken
    cdef readonly long long skipped

    def __init__(self, bint trust_origins):
        self._trust_origins = trust_origins
        self.taken = self.skipped = 0

    def begin(self, bytes value, rows, Pack entries, long long base, long long received):
        """Take a record's movements, which change `rows` from version `base` on.

        Raises ValueError where it holds no array.
        """
        self._rows, self._live, self._changed = rows, rows.live, rows.changed
        self._origins = rows.position.origins
        self._entries = entries
        self._value = value
        self._reader.at = <const char*>value
        self._reader.end = self._reader.at + len(value)
        self._base, self._received = base, received
        self.index = -1
        if not take(&self._reader, c"["):
            raise ValueError("a record of movements is an array")

    @property
    def element(self):
        """The movement that is not plain, as it stands in the record."""
        return self._element.at[: self._element.size]

    def advance(self):
        """Apply what is plain; whether there is a movement that is not."""
        cdef Reader reader
        cdef Delta delta
        while True:
            if self.index >= 0 and not take(&self._reader, c","):
                break
            if self.index < 0 and take(&self._reader, c"]"):
                return False
            self.index += 1
            reader = self._reader
            self._element.at = reader.at
            if read_delta(&reader, &delta):
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
        return False

    cdef bint _apply(self, Delta* delta) except -1:
        """Whether the movement was plain; else nothing has changed."""
        cdef str key
        cdef object row, link, newest
        cdef long long has, previous, version, size
        cdef Py_ssize_t bucket
        cdef bint counts = equals(delta.bucket, b"on_hand", 7)
        cdef bint was_changed
        cdef bint is_new = self._is_new(delta)
        if self._trust_origins and not is_new:
            self.skipped += 1
            return True
        if not delta.sku.size or _has_separator(delta.sku) or _has_separator(delta.location):
            return False
        key = f"stock|{text_of(delta.sku)}|{text_of(delta.location)}"
        row = self._changed.get(key)
        was_changed = row is not None
        if row is None:
            row = self._live.get(key)
        if row is None:
            row = self._rows.get(key, StockRow)
        if type(row) is not StockRow:
            return False
        if counts:
            if delta.effective <= number(row, COUNTED_AT) or field(row, THROUGH) is not None:
                return False
            bucket = ON_HAND
        else:
            bucket = _bucket(delta.bucket)
            if bucket < 0 or field(row, OWED):
                return False
        has = number(row, bucket) + delta.quantity
        if not counts and has < 0:
            return False
        if is_new:
            self._origins[(delta.topic << 16) | delta.partition] = delta.ordinal
        version = self._base + self.index
        previous = number(row, VERSION)
        set_field(row, VERSION, version)
        set_field(row, BOOK, number(row, BOOK) + 1)
        if delta.effective > number(row, NEWEST):
            set_field(row, NEWEST, delta.effective)
        if counts:
            link = Link(
                delta.effective, delta.quantity, text_of(delta.source), delta.epoch,
                delta.sequence, field(row, LATEST),
            )
            size = number(row, LATEST_SIZE) + 1
            set_field(row, LATEST, link)
            set_field(row, LATEST_SIZE, size)
            if size >= FULL:
                file_recent(self._rows, row)
        set_field(row, bucket, has)
        if not was_changed:
            self._rows.put(key, row)
        self._tell(delta, row, version, previous, counts)
        self.taken += 1
        return True

    cdef bint _is_new(self, Delta* delta) except -1:
        found = self._origins.get((delta.topic << 16) | delta.partition)
        return found is None or delta.ordinal > <long long>found

    cdef int _tell(
        self, Delta* delta, row, long long version, long long previous, bint counts
    ) except -1:
        """The ledger entry of a delta that was applied."""
        cdef Text entry = self._entries.next()
        entry.put_one(c"[")
        entry.put_integer(version)
        entry.put_one(c",")
        entry.put_integer(previous)
        entry.put(b',"', 2)
        entry.put_span(delta.cause)
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
        entry.put_integer(number(row, ON_HAND))
        entry.put_one(c",")
        entry.put_integer(number(row, RESERVED))
        entry.put_one(c",")
        entry.put_integer(number(row, QUALITY_CONTROL))
        entry.put_one(c",")
        entry.put_integer(number(row, DAMAGED))
        entry.put_one(c",")
        entry.put_integer(number(row, IN_TRANSIT))
        entry.put_one(c",")
        entry.put_integer(number(row, INCOMING))
        entry.put_one(c",")
        entry.put_integer(number(row, SAFETY_STOCK))
        entry.put_one(c",")
        entry.put_integer(number(row, VARIANCE))
        entry.put_one(c",")
        entry.put_span(self._element)
        return entry.put(b",[]]", 4)


cdef bint _has_separator(Span span) noexcept nogil:
    cdef Py_ssize_t place
    for place in range(span.size):
        if span.at[place] == c"|" or span.at[place] == c"%":
            return 1
    return 0


cdef Py_ssize_t _bucket(Span name) noexcept nogil:
    if equals(name, b"quality_control", 15):
        return QUALITY_CONTROL
    if equals(name, b"damaged", 7):
        return DAMAGED
    return -1
