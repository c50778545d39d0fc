# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# Stock rows and their history as they stand in their log: what `models.rows.encode` makes of them, to the byte.

from cpython.object cimport PyObject

from models.native.slots cimport field, holds, is_small, number, place_of
from models.native.text cimport Text

from models import rows
from models.stock import KNOWN, UNKNOWN, HistoryRow, StockRow

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef object write_generally = rows.encode

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

for _place, (_name, _value) in enumerate(_default_of.items()):
    _optional[_place] = place_of(StockRow, _name)
    _default[_place] = <PyObject*>_value

cdef Py_ssize_t VERSION = place_of(StockRow, "version")
cdef Py_ssize_t SKU = place_of(StockRow, "sku")
cdef Py_ssize_t LOCATION = place_of(StockRow, "location")
cdef Py_ssize_t ON_HAND = place_of(StockRow, "on_hand")
cdef Py_ssize_t RESERVED = place_of(StockRow, "reserved")
cdef Py_ssize_t QUALITY_CONTROL = place_of(StockRow, "quality_control")
cdef Py_ssize_t DAMAGED = place_of(StockRow, "damaged")
cdef Py_ssize_t IN_TRANSIT = place_of(StockRow, "in_transit")
cdef Py_ssize_t INCOMING = place_of(StockRow, "incoming")
cdef Py_ssize_t SAFETY_STOCK = place_of(StockRow, "safety_stock")
cdef Py_ssize_t BOOK = place_of(StockRow, "book")
cdef Py_ssize_t NEWEST = place_of(StockRow, "newest")

cdef Py_ssize_t HISTORY_VERSION = place_of(HistoryRow, "version")
cdef Py_ssize_t HISTORY_LINKS = place_of(HistoryRow, "links")

cdef bytes STATUS_KNOWN = b'"status":"%s"' % KNOWN.encode()
cdef bytes STATUS_UNKNOWN = b'"status":"%s"' % UNKNOWN.encode()
cdef long long FIRST_DAY = 0
cdef long long LAST_DAY = 253402300800 * 1000000
cdef Text _text = Text()


def write_stock(row):
    """The value of a stock row; what has a form that is not foreseen here goes the general way."""
    cdef Text text = _text
    text.size = 0
    if _write(text, row):
        return text.taken()
    return write_generally(row)


def write_history(row):
    """The value of a row of filed deltas."""
    cdef Text text = _text
    text.size = 0
    text.put(b'{"version":', 11)
    text.put_integer(number(row, HISTORY_VERSION))
    text.put(b',"links":', 9)
    text.put_buffer(field(row, HISTORY_LINKS))
    text.put_one(c"}")
    return text.taken()


cdef bint _write(Text text, row) except -1:
    cdef long long on_hand = number(row, ON_HAND), reserved = number(row, RESERVED)
    cdef long long safety = number(row, SAFETY_STOCK), newest = number(row, NEWEST)
    cdef long long available = 0, shortfall = 0
    cdef bint opened = field(row, _optional[OPENED]) is True
    if not FIRST_DAY <= newest < LAST_DAY or not _has_defaults(row) or not _is_countable(row):
        return False
    if opened:
        available = on_hand - reserved - safety
    if reserved > 0:
        shortfall = max(0, reserved - max(0, on_hand))
    text.put(b'{"version":', 11)
    text.put_integer(number(row, VERSION))
    text.put(b',"sku":', 7)
    if not _put_text(text, field(row, SKU)):
        return False
    text.put(b',"location":', 12)
    if not _put_text(text, field(row, LOCATION)):
        return False
    text.put(b',"on_hand":', 11)
    text.put_integer(on_hand)
    text.put(b',"reserved":', 12)
    text.put_integer(reserved)
    text.put(b',"quality_control":', 19)
    text.put_integer(number(row, QUALITY_CONTROL))
    text.put(b',"damaged":', 11)
    text.put_integer(number(row, DAMAGED))
    text.put(b',"in_transit":', 14)
    text.put_integer(number(row, IN_TRANSIT))
    text.put(b',"incoming":', 12)
    text.put_integer(number(row, INCOMING))
    text.put(b',"safety_stock":', 16)
    text.put_integer(safety)
    text.put(b',"available":', 13)
    text.put_integer(available)
    text.put(b',"available_to_sell":', 21)
    text.put_integer(max(0, available))
    text.put(b',"shortfall":', 13)
    text.put_integer(shortfall)
    text.put_one(c",")
    if opened:
        text.put(STATUS_KNOWN, len(STATUS_KNOWN))
    else:
        text.put(STATUS_UNKNOWN, len(STATUS_UNKNOWN))
    text.put(b',"as_of":"', 10)
    _put_time(text, newest)
    text.put(b'","book":', 9)
    text.put_integer(number(row, BOOK))
    text.put(b',"newest":', 10)
    text.put_integer(newest)
    if opened:
        text.put(b',"opened":true', 14)
    _put_optional(text, row, COUNT_STARTED, b',"count_started":', 17)
    _put_optional(text, row, COUNTED_AT, b',"counted_at":', 14)
    if not _put_counted_by(text, row):
        return False
    _put_optional(text, row, COUNTED, b',"counted":', 11)
    if not holds(row, _optional[COUNT], _default[COUNT]):
        text.put(b',"count":', 9)
        if not _put_text(text, field(row, _optional[COUNT])):
            return False
    _put_optional(text, row, VARIANCE, b',"variance":', 12)
    if not holds(row, _optional[LATEST], _default[LATEST]):
        text.put(b',"recent":', 10)
        text.put_buffer(field(row, _optional[LATEST]))
    _put_optional(text, row, LATEST_SIZE, b',"recent_size":', 15)
    _put_optional(text, row, FIRST_CHUNK, b',"first_chunk":', 15)
    _put_optional(text, row, FIRST_NEWEST, b',"first_newest":', 16)
    _put_optional(text, row, NEXT_CHUNK, b',"next_chunk":', 14)
    text.put_one(c"}")
    return True


cdef bint _is_countable(row) except -1:
    return (
        is_small(number(row, ON_HAND)) and is_small(number(row, RESERVED))
        and is_small(number(row, QUALITY_CONTROL)) and is_small(number(row, DAMAGED))
        and is_small(number(row, IN_TRANSIT)) and is_small(number(row, INCOMING))
        and is_small(number(row, SAFETY_STOCK)) and is_small(number(row, _optional[VARIANCE]))
        and is_small(number(row, _optional[COUNTED]))
    )


cdef bint _has_defaults(row) except -1:
    """Whether the fields that hardly any row uses are not used."""
    cdef int one
    for one in (THROUGH, PICKED, SAFETY_AT, SUMMED, FORGOTTEN):
        if not holds(row, _optional[one], _default[one]):
            return False
    return not field(row, _optional[OWED]) and not field(row, _optional[BLOCKS])


cdef int _put_optional(Text text, row, int one, const char* name, Py_ssize_t size) except -1:
    if not holds(row, _optional[one], _default[one]):
        text.put(name, size)
        text.put_integer(number(row, _optional[one]))
    return 0


cdef bint _put_counted_by(Text text, row) except -1:
    by = field(row, _optional[COUNTED_BY])
    if by is None:
        return True
    text.put(b',"counted_by":[', 15)
    if not _put_text(text, by[0]):
        return False
    text.put_one(c",")
    text.put_integer(<long long>by[1])
    text.put_one(c",")
    text.put_integer(<long long>by[2])
    text.put_one(c"]")
    return True


cdef bint _put_text(Text text, value) except -1:
    """A string of printable ASCII without quotes and escapes; False for any other."""
    cdef const char* at
    cdef Py_ssize_t size, place
    if not PyUnicode_IS_COMPACT_ASCII(value):
        return False
    at, size = <const char*>PyUnicode_DATA(value), PyUnicode_GET_LENGTH(value)
    for place in range(size):
        if at[place] < 0x20 or at[place] == 0x7F or at[place] == c'"' or at[place] == c"\\":
            return False
    text.put_one(c'"')
    text.put(at, size)
    return text.put_one(c'"') == 0


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
