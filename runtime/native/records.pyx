# cython: language_level=3, boundscheck=False, wraparound=False
# The records of a batch as they stand on the wire: what `runtime.batches.packed_generally` gives, to the byte.
#
# Looked at twice: how long they are, and then they are written.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Next
from cpython.mem cimport PyMem_Free, PyMem_Malloc
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_CheckExact
from libc.string cimport memcpy

cdef extern from "Python.h":
    const char* PyUnicode_AsUTF8AndSize(object text, Py_ssize_t* size) except NULL

cdef enum:
    NOTHING = 1  # the length -1, as it is written
    AROUND = 2  # attributes, and a difference of times that is none


def packed(dict values not None, records, Py_ssize_t most, headers_of):
    """As many as have room in `most` bytes, one at least, and how many they are.

    First of `values`, by their keys, then of `records`. `headers_of` writes the headers of a record,
    which hardly any has.
    """
    cdef Py_ssize_t keyed = len(values), number = keyed + len(records), taken = 0, size = 0, at
    cdef Py_ssize_t place = 0
    cdef Py_ssize_t* lengths = <Py_ssize_t*>PyMem_Malloc(max(1, number) * sizeof(Py_ssize_t))
    cdef PyObject* key
    cdef PyObject* value
    cdef char* to
    cdef dict headers = {}
    cdef bytes written
    if lengths == NULL:
        raise MemoryError
    try:
        for at in range(number):
            if at < keyed:
                PyDict_Next(values, &place, &key, &value)
                lengths[at] = _length(at, <object>key, <object>value) + 1
            else:
                lengths[at] = _length_of_record(<tuple?>records[at - keyed], at, headers, headers_of)
            size += _length_of(2 * lengths[at]) + lengths[at]
            if taken and size > most:
                size -= _length_of(2 * lengths[at]) + lengths[at]
                break
            taken += 1
        written = PyBytes_FromStringAndSize(NULL, size)
        to = PyBytes_AS_STRING(written)
        place = 0
        for at in range(taken):
            if at < keyed:
                PyDict_Next(values, &place, &key, &value)
                to = _write(to, at, lengths[at], <object>key, <object>value)
                to[0] = 0
                to += 1
            else:
                to = _write_record(to, <tuple>records[at - keyed], at, lengths[at], headers)
    finally:
        PyMem_Free(lengths)
    return written, taken


cdef Py_ssize_t _length_of_record(
    tuple record, Py_ssize_t at, dict headers, headers_of
) except -1:
    """Bytes of a record without its own length; headers that it has are kept encoded."""
    cdef Py_ssize_t length
    if len(record) != 3:
        raise ValueError("a record has a key, a value and headers")
    length = _length(at, record[0], record[1])
    if not <list?>record[2]:
        return length + 1
    headers[at] = headers_of(record[2])
    return length + PyBytes_GET_SIZE(headers[at])


cdef char* _write_record(
    char* to, tuple record, Py_ssize_t at, Py_ssize_t length, dict headers
) except NULL:
    cdef bytes more
    to = _write(to, at, length, record[0], record[1])
    if not record[2]:
        to[0] = 0
        return to + 1
    more = headers[at]
    memcpy(to, PyBytes_AS_STRING(more), PyBytes_GET_SIZE(more))
    return to + PyBytes_GET_SIZE(more)


cdef inline Py_ssize_t _length(Py_ssize_t at, key, value) except -1:
    """Bytes of a record without its own length and its headers."""
    return AROUND + _length_of(2 * at) + _length_of_key(key) + _length_of_bytes(value)


cdef inline char* _write(char* to, Py_ssize_t at, Py_ssize_t length, key, value) except NULL:
    to = _number(to, 2 * length)
    to[0] = to[1] = 0
    to = _number(to + AROUND, 2 * at)
    to = _key(to, key)
    return _bytes(to, value)


cdef inline Py_ssize_t _length_of_key(value) except -1:
    cdef Py_ssize_t size
    if not PyUnicode_CheckExact(value):
        return _length_of_bytes(value)
    PyUnicode_AsUTF8AndSize(value, &size)
    return _length_of(2 * size) + size


cdef inline Py_ssize_t _length_of_bytes(value) except -1:
    cdef Py_ssize_t size
    if value is None:
        return 1
    size = PyBytes_GET_SIZE(<bytes?>value)
    return _length_of(2 * size) + size


cdef inline char* _key(char* to, value) except NULL:
    cdef Py_ssize_t size
    cdef const char* at
    if not PyUnicode_CheckExact(value):
        return _bytes(to, value)
    at = PyUnicode_AsUTF8AndSize(value, &size)
    to = _number(to, 2 * size)
    memcpy(to, at, size)
    return to + size


cdef inline char* _bytes(char* to, value) except NULL:
    cdef Py_ssize_t size
    if value is None:
        return _number(to, NOTHING)
    size = PyBytes_GET_SIZE(<bytes>value)
    to = _number(to, 2 * size)
    memcpy(to, PyBytes_AS_STRING(<bytes>value), size)
    return to + size


cdef inline Py_ssize_t _length_of(unsigned long long number) noexcept nogil:
    cdef Py_ssize_t length = 1
    while number >= 0x80:
        number >>= 7
        length += 1
    return length


cdef inline char* _number(char* to, unsigned long long number) noexcept nogil:
    while number >= 0x80:
        to[0] = <char>(number & 0x7F | 0x80)
        to += 1
        number >>= 7
    to[0] = <char>number
    return to + 1
