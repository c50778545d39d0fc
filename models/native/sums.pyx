# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# What changes of a row that are kept come to, from their text.

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer

from models.native.text cimport Reader, leave, read_integer, take

from models import stock

cdef enum:
    MOST_CHANGES = 4096
    MOST_UNITS = 1 << 50  # of a change: what all of them come to is a number still

cdef long long MINUTE = stock.MINUTE
cdef long long BEFORE_ALL = stock.NEVER
cdef object by_minute_generally = stock.by_minute


cdef bint read_change(Reader* reader, long long* effective, long long* quantity) noexcept nogil:
    """Whether a change comes next that is as plain as most; it is passed."""
    return (
        take(reader, c"[") and read_integer(reader, effective)
        and take(reader, c",") and read_integer(reader, quantity)
        and leave(reader, 1)
    )


cdef bint find_newest(Reader reader, long long* newest) noexcept nogil:
    """The effective time of the newest of some changes; whether all are as plain as most."""
    cdef long long effective, quantity
    newest[0] = BEFORE_ALL
    while reader.at < reader.end:
        if not read_change(&reader, &effective, &quantity):
            return False
        newest[0] = max(newest[0], effective)
        if reader.at < reader.end and not take(&reader, c","):
            return False
    return True


def by_minute(kept):
    """What `models.stock.by_minute` gives."""
    cdef Py_buffer held
    cdef Reader reader
    PyObject_GetBuffer(kept, &held, PyBUF_SIMPLE)
    try:
        reader.at = <const char*>held.buf
        reader.end = reader.at + held.len
        found = _by_minute(&reader)
    finally:
        PyBuffer_Release(&held)
    return found or by_minute_generally(kept)


cdef tuple _by_minute(Reader* reader):
    """None where changes are not as plain as most."""
    cdef dict minutes = {}
    cdef long long newest = BEFORE_ALL, effective, quantity, minute = -1, left = 0, came = 0
    cdef Py_ssize_t number = 0
    if not take(reader, c"["):
        return None
    while not take(reader, c"]"):
        if number and not take(reader, c","):
            return None
        if not read_change(reader, &effective, &quantity) or effective < 0:
            return None
        if number == MOST_CHANGES or not -MOST_UNITS < quantity < MOST_UNITS:
            return None
        number += 1
        newest = max(newest, effective)
        if effective // MINUTE != minute:
            _add(minutes, minute, left, came)
            minute, left, came = effective // MINUTE, 0, 0
        left += min(0, quantity)
        came += max(0, quantity)
    _add(minutes, minute, left, came)
    return newest, minutes


cdef int _add(dict minutes, long long minute, long long left, long long came) except -1:
    cdef tuple before
    if minute < 0:
        return 0
    before = minutes.get(minute)
    minutes[minute] = (left, came) if before is None else (before[0] + left, before[1] + came)
    return 0
