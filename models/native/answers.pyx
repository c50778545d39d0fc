# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# What a view shows of stock rows, from the bytes of their log.
#
# What `api.views` makes of plain stock rows, this makes too; `tests/unit/test_following.py` holds one
# against the other. Whatever else a log has is left to them.

from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.string cimport memcmp

from models.native.text cimport Reader, read_integer

cdef extern from "string.h" nogil:
    void* memmem(const void* text, size_t size, const void* sought, size_t length)


cdef inline bint begins(Reader* reader, const char* text, Py_ssize_t size) noexcept nogil:
    """Whether `text` comes next; it is passed."""
    if reader.end - reader.at < size or memcmp(reader.at, text, size) != 0:
        return 0
    reader.at += size
    return 1


def newest_stock(records not None):
    """The newest of each plain stock row, as (key, version, answer), and the other records."""
    cdef dict newest = {}
    cdef list rest = []
    cdef Reader reader
    cdef const char* book
    cdef long long version
    for record in records:
        key, value = record.key, record.value
        if not (PyBytes_CheckExact(key) and PyBytes_CheckExact(value)):
            rest.append(record)
            continue
        reader.at = PyBytes_AS_STRING(key)
        reader.end = reader.at + PyBytes_GET_SIZE(key)
        if not begins(&reader, b"stock|", 6):
            rest.append(record)
            continue
        reader.at = PyBytes_AS_STRING(value)
        reader.end = reader.at + PyBytes_GET_SIZE(value)
        if not (
            begins(&reader, b'{"version":', 11)
            and read_integer(&reader, &version)
            and begins(&reader, b',"sku":', 7)
        ):
            rest.append(record)
            continue
        book = <const char*>memmem(reader.at, reader.end - reader.at, b',"book":', 8)
        if book == NULL:
            rest.append(record)
            continue
        name = PyUnicode_DecodeUTF8(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), NULL)
        known = newest.get(name)
        if known is None or known[1] < version:
            start = PyBytes_AS_STRING(value)
            newest[name] = name, version, PyBytes_FromStringAndSize(start, book - start)
    return list(newest.values()), rest
