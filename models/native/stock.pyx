# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# Stock rows with their numbers side by side, and as they stand in their log.
#
# A row as Python has it is dozens of objects in as many places of memory, and most of the time of
# a movement went by waiting for them. What is written is what `models.rows.encode` makes of the row
# as Python has it, to the byte.

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.object cimport PyObject
from libc.string cimport memcpy

from models.native.packing cimport PackedRow, foresee, prefetch
from models.native.slots cimport field, holds, number, place_of, set_field
from models.native.text cimport Text
from models.native.written cimport Written

import msgspec

from models import rows
from models.rows import stock_key
from models.stock import BLOCK as _BLOCK
from models.stock import KNOWN, NEVER, NO_CHANGES, UNKNOWN, HistoryRow, StockRow

cdef extern from "Python.h":
    void* PyUnicode_DATA(object text)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef object Raw = msgspec.Raw
cdef object encode = msgspec.json.Encoder().encode
cdef object write_generally = rows.encode
cdef Py_ssize_t PREFIX = len("stock|")

cdef list _fields = list(StockRow.__struct_fields__)
cdef tuple _defaults = StockRow.__struct_defaults__
cdef dict _default_of = dict(zip(_fields[len(_fields) - len(_defaults) :], _defaults))

cdef enum:
    # The fields that are left out where they have their default, in their order.
    OPENED = 0
    COUNT_STARTED
    COUNTED_AT
    COUNTED_BY
    COUNTED
    COUNT
    VARIANCE
    THROUGH
    PICKED
    OWED
    SAFETY_AT
    LATEST
    LATEST_SIZE
    FIRST_CHUNK
    FIRST_NEWEST
    NEXT_CHUNK
    BLOCKS
    SUMMED
    FORGOTTEN
    OPTIONAL

cdef Py_ssize_t _optional[OPTIONAL]
cdef PyObject* _default[OPTIONAL]

if list(_default_of) != [
    "opened", "count_started", "counted_at", "counted_by", "counted", "count", "variance",
    "through", "picked", "owed", "safety_at", "recent", "recent_size", "first_chunk",
    "first_newest", "next_chunk", "blocks", "summed", "forgotten",
] or _fields[: len(_fields) - len(_defaults)] != [
    "version", "sku", "location", "on_hand", "reserved", "quality_control", "damaged",
    "in_transit", "incoming", "safety_stock", "available", "available_to_sell", "shortfall",
    "status", "as_of", "book", "newest",
]:
    raise ImportError("the fields of a stock row are others than those compiled")

cdef list _names = [name.encode() for name in _default_of]

for _place, (_name, _value) in enumerate(_default_of.items()):
    _optional[_place] = place_of(StockRow, _name)
    _default[_place] = <PyObject*>_value

cdef Py_ssize_t VERSION = place_of(StockRow, "version")
cdef Py_ssize_t ON_HAND = place_of(StockRow, "on_hand")
cdef Py_ssize_t RESERVED = place_of(StockRow, "reserved")
cdef Py_ssize_t QUALITY_CONTROL = place_of(StockRow, "quality_control")
cdef Py_ssize_t DAMAGED = place_of(StockRow, "damaged")
cdef Py_ssize_t IN_TRANSIT = place_of(StockRow, "in_transit")
cdef Py_ssize_t INCOMING = place_of(StockRow, "incoming")
cdef Py_ssize_t SAFETY_STOCK = place_of(StockRow, "safety_stock")
cdef Py_ssize_t BOOK = place_of(StockRow, "book")
cdef Py_ssize_t NEWEST = place_of(StockRow, "newest")

if HistoryRow.__struct_fields__ != ("version", "links"):
    raise ImportError("the fields of a row of history are others than those compiled")

cdef bytes STATUS_KNOWN = b'"status":"%s"' % KNOWN.encode()
cdef bytes STATUS_UNKNOWN = b'"status":"%s"' % UNKNOWN.encode()
cdef long long BEFORE_ALL = NEVER
cdef long long BLOCK = _BLOCK
cdef long long NO_SUMS = 1 << 62
cdef long long FIRST_DAY = 0
cdef long long LAST_DAY = 253402300800 * 1000000
cdef Text _text = Text()


@cython.final
@cython.no_gc
cdef class PackedStock(PackedRow):
    """A stock row, its numbers side by side."""

    def __cinit__(self):
        self.recent = NULL

    def __dealloc__(self):
        PyMem_Free(self.recent)

    def unpacked(self):
        """The row as Python has it, which is current from now on."""
        self.is_current = False
        return _unpacked(self)

    cdef void foresee_rest(self) noexcept:
        prefetch(<void*>self.names)
        prefetch(<void*>self.before_recent)
        foresee(self.recent, self.recent_bytes)


cdef PackedStock _pack(row, str key):
    """None where a row cannot be counted on with, or is no stock row."""
    cdef PackedStock packed
    cdef Py_ssize_t size
    if type(row) is not StockRow or not PyUnicode_IS_COMPACT_ASCII(key):
        return None
    packed = PackedStock.__new__(PackedStock)
    packed.key, packed.row = key, row
    packed.version, packed.book = number(row, VERSION), number(row, BOOK)
    packed.newest = number(row, NEWEST)
    packed.on_hand, packed.reserved = number(row, ON_HAND), number(row, RESERVED)
    packed.quality_control, packed.damaged = number(row, QUALITY_CONTROL), number(row, DAMAGED)
    packed.in_transit, packed.incoming = number(row, IN_TRANSIT), number(row, INCOMING)
    packed.safety_stock = number(row, SAFETY_STOCK)
    packed.variance = number(row, _optional[VARIANCE])
    if not (
        is_countable(packed.on_hand) and is_countable(packed.reserved)
        and is_countable(packed.quality_control) and is_countable(packed.damaged)
        and is_countable(packed.in_transit) and is_countable(packed.incoming)
        and is_countable(packed.safety_stock) and is_countable(packed.variance)
        and is_countable(packed.version) and is_countable(packed.book)
    ):
        return None
    packed.opened = field(row, _optional[OPENED]) is True
    packed.counted_at = number(row, _optional[COUNTED_AT])
    packed.recent_size = number(row, _optional[LATEST_SIZE])
    packed.first_chunk = number(row, _optional[FIRST_CHUNK])
    packed.first_newest = number(row, _optional[FIRST_NEWEST])
    packed.next_chunk = number(row, _optional[NEXT_CHUNK])
    packed.sums_end = _end_of_sums(<tuple?>field(row, _optional[BLOCKS]))
    packed.owes = bool(field(row, _optional[OWED]))
    if not _take_recent(packed, field(row, _optional[LATEST])):
        return None
    packed.names = b',"sku":%b,"location":%b' % (encode(row.sku), encode(row.location))
    packed.before_recent = _told(row, COUNT_STARTED, LATEST)
    packed.after_chunks = _told(row, BLOCKS, OPTIONAL)
    size = packed.name_size = PyUnicode_GET_LENGTH(key) - PREFIX
    packed.name = <const char*>PyUnicode_DATA(key) + PREFIX
    if 0 < size <= <Py_ssize_t>sizeof(packed.short_name):
        memcpy(packed.short_name, packed.name, size)
        packed.name = packed.short_name
    packed.is_current = True
    return packed


cdef long long _end_of_sums(tuple blocks) except? 0:
    """Before which none is too old; there may be none."""
    return (<long long>blocks[0] + 1) * BLOCK if blocks else NO_SUMS


cdef PackedStock take_over(row, str key):
    """The row, packed from now on; None where that cannot be, or no delta of it is plain."""
    cdef PackedStock packed
    if type(row) is not StockRow or field(row, _optional[THROUGH]) is not None:
        return None
    packed = _pack(row, key)
    if packed is not None:
        # What was read from a value keeps all of it.
        set_field(row, _optional[LATEST], NO_CHANGES)
    return packed


cdef bint _take_recent(PackedStock packed, kept) except -1:
    """Take the row's last changes, without the end of their array; whether they are in one."""
    cdef Py_buffer held
    cdef const char* at
    PyObject_GetBuffer(kept, &held, PyBUF_SIMPLE)
    try:
        at = <const char*>held.buf
        if held.len < 2 or (held.len > 2 and at[1] != c"["):
            return False
        packed.recent_bytes = 0
        put_recent(packed, at, held.len - 1)
        return True
    finally:
        PyBuffer_Release(&held)


cdef int put_recent(PackedStock packed, const char* at, Py_ssize_t size) except -1:
    """Append to the text of the last changes."""
    cdef Py_ssize_t room = packed.recent_bytes + size
    cdef char* recent
    if room > packed.room:
        room = max(room, 256, 2 * packed.room)
        recent = <char*>PyMem_Realloc(packed.recent, room)
        if recent == NULL:
            raise MemoryError
        packed.recent, packed.room = recent, room
    memcpy(packed.recent + packed.recent_bytes, at, size)
    packed.recent_bytes += size
    return 0


cdef object _changes_of(PackedStock packed):
    """The last changes as a row has them."""
    if packed.recent_bytes == 1:
        return NO_CHANGES
    put_recent(packed, b"]", 1)
    packed.recent_bytes -= 1
    return Raw(PyBytes_FromStringAndSize(packed.recent, packed.recent_bytes + 1))


cdef object _unpacked(PackedStock packed):
    row = packed.row
    set_field(row, VERSION, packed.version)
    set_field(row, BOOK, packed.book)
    set_field(row, NEWEST, packed.newest)
    set_field(row, ON_HAND, packed.on_hand)
    set_field(row, QUALITY_CONTROL, packed.quality_control)
    set_field(row, DAMAGED, packed.damaged)
    set_field(row, _optional[LATEST], _changes_of(packed))
    set_field(row, _optional[LATEST_SIZE], packed.recent_size)
    if packed.first_newest != BEFORE_ALL:
        # It is left out where it is the very number that it is by default.
        set_field(row, _optional[FIRST_NEWEST], packed.first_newest)
    set_field(row, _optional[NEXT_CHUNK], packed.next_chunk)
    return row


cdef bytes _told(row, int first, int end):
    """The optional fields from `first` to before `end` that have no default, as they are written."""
    cdef int one
    cdef bytes told = b""
    for one in range(first, end):
        if holds(row, _optional[one], _default[one]) or (one == OWED and not field(row, _optional[one])):
            continue
        told += b',"%b":%b' % (_names[one], encode(field(row, _optional[one])))
    return told


def write_stock(row):
    """The value of a stock row, packed or not; what is not foreseen here goes the general way."""
    cdef Text text = _text
    cdef PackedStock packed
    if type(row) is PackedStock:
        packed = <PackedStock>row
    else:
        packed = _pack(row, stock_key(row.sku, row.location))
        if packed is None:
            return write_generally(row)
    text.size = 0
    if _write(text, packed):
        return text.taken()
    return write_generally(_unpacked(packed))


cdef object filed(PackedStock packed):
    """The last changes as a row of history."""
    cdef Text text = _text
    text.size = 0
    text.put(b'{"version":', 11)
    text.put_integer(packed.version)
    text.put(b',"links":', 9)
    text.put(packed.recent, packed.recent_bytes)
    text.put(b"]}", 2)
    return Written(text.taken(), HistoryRow)


cdef bint _write(Text text, PackedStock row) except -1:
    cdef long long available = 0, shortfall = 0
    if not FIRST_DAY <= row.newest < LAST_DAY:
        return False
    if row.opened:
        available = row.on_hand - row.reserved - row.safety_stock
    if row.reserved > 0:
        shortfall = max(0, row.reserved - max(0, row.on_hand))
    text.put(b'{"version":', 11)
    text.put_integer(row.version)
    text.put(row.names, len(row.names))
    text.put(b',"on_hand":', 11)
    text.put_integer(row.on_hand)
    text.put(b',"reserved":', 12)
    text.put_integer(row.reserved)
    text.put(b',"quality_control":', 19)
    text.put_integer(row.quality_control)
    text.put(b',"damaged":', 11)
    text.put_integer(row.damaged)
    text.put(b',"in_transit":', 14)
    text.put_integer(row.in_transit)
    text.put(b',"incoming":', 12)
    text.put_integer(row.incoming)
    text.put(b',"safety_stock":', 16)
    text.put_integer(row.safety_stock)
    text.put(b',"available":', 13)
    text.put_integer(available)
    text.put(b',"available_to_sell":', 21)
    text.put_integer(max(0, available))
    text.put(b',"shortfall":', 13)
    text.put_integer(shortfall)
    text.put_one(c",")
    if row.opened:
        text.put(STATUS_KNOWN, len(STATUS_KNOWN))
    else:
        text.put(STATUS_UNKNOWN, len(STATUS_UNKNOWN))
    text.put(b',"as_of":"', 10)
    _put_time(text, row.newest)
    text.put(b'","book":', 9)
    text.put_integer(row.book)
    text.put(b',"newest":', 10)
    text.put_integer(row.newest)
    if row.opened:
        text.put(b',"opened":true', 14)
    text.put(row.before_recent, len(row.before_recent))
    if row.recent_bytes > 1:
        text.put(b',"recent":', 10)
        text.put(row.recent, row.recent_bytes)
        text.put_one(c"]")
    _put_unless(text, b',"recent_size":', 15, row.recent_size, 0)
    _put_unless(text, b',"first_chunk":', 15, row.first_chunk, 0)
    _put_unless(text, b',"first_newest":', 16, row.first_newest, BEFORE_ALL)
    _put_unless(text, b',"next_chunk":', 14, row.next_chunk, 0)
    text.put(row.after_chunks, len(row.after_chunks))
    text.put_one(c"}")
    return True


cdef int _put_unless(
    Text text, const char* name, Py_ssize_t size, long long number, long long default
) except -1:
    if number != default:
        text.put(name, size)
        text.put_integer(number)
    return 0


cdef int _put_time(Text text, long long instant) except -1:
    """RFC 3339 in UTC; years 1970 to 9999."""
    cdef long long seconds = instant // 1000000, fraction = instant % 1000000
    cdef long long days = seconds // 86400, second = seconds % 86400
    cdef long long shifted, era, of_era, year, of_year, month
    cdef char digits[27]
    cdef int place
    # Days to a date, of years that begin in March, so that leap days come last.
    shifted = days + 719468
    era = shifted // 146097
    of_era = shifted % 146097
    year = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    _write_digits(digits + 8, of_year - (153 * month + 2) // 5 + 1, 2)
    month += 3 if month < 10 else -9
    _write_digits(digits, year + era * 400 + (month <= 2), 4)
    _write_digits(digits + 5, month, 2)
    _write_digits(digits + 11, second // 3600, 2)
    _write_digits(digits + 14, second // 60 % 60, 2)
    _write_digits(digits + 17, second % 60, 2)
    digits[4] = digits[7] = c"-"
    digits[10] = c"T"
    digits[13] = digits[16] = c":"
    place = 19
    if fraction:
        digits[19] = c"."
        _write_digits(digits + 20, fraction, 6)
        place = 26
    digits[place] = c"Z"
    return text.put(digits, place + 1)


cdef void _write_digits(char* at, long long value, int size) noexcept nogil:
    cdef int place
    for place in range(size - 1, -1, -1):
        at[place] = <char>(c"0" + value % 10)
        value //= 10
