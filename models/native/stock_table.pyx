# cython: language_level=3, boundscheck=False, wraparound=False
# Packed stock rows, found by the bytes of their SKU and location.

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF, Py_INCREF, Py_XDECREF
from libc.string cimport memcmp, memcpy

from models.native.packing cimport PackedRow, PackedTable, foresee, prefetch
from models.native.stock cimport PackedStock, take_over
from models.native.text cimport Span, text_of

import random

from models.counts import new_row
from models.stock import StockRow

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, unsigned int highest)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

cdef enum:
    FEWEST = 64  # places of a table, a power of two
    NOTHING_BEFORE = -1  # in place of a version
    ROW_WEIGHT = 700  # bytes; a row of the largest numbers has less beside names, counts and deltas

cdef Py_ssize_t ROW_SIZE = PackedStock.__basicsize__
cdef unsigned long long SEED = random.getrandbits(64)


@cython.final
cdef class StockTable(PackedTable):
    """The packed stock rows of a partition."""

    def __cinit__(self, rows):
        self.rows = rows
        self._places = NULL
        self.let_go()

    def __dealloc__(self):
        self._clear()

    cdef void _clear(self) noexcept:
        cdef Py_ssize_t at
        if self._places == NULL:
            return
        for at in range(self._mask + 1):
            Py_XDECREF(self._places[at].row)
        PyMem_Free(self._places)
        self._places = NULL

    cdef int let_go(self) except -1:
        self._clear()
        self._taken, self._mask = 0, FEWEST - 1
        self._places = <Place*>PyMem_Calloc(FEWEST, sizeof(Place))
        if self._places == NULL:
            raise MemoryError
        return 0

    cdef void foresee_place(self, unsigned long long hash) noexcept nogil:
        """A row of this hash is found soon: have the processor fetch its place."""
        prefetch(self._places + (hash & self._mask))

    cdef void foresee_row(self, unsigned long long hash) noexcept nogil:
        """It is found sooner: fetch the row, if it is in its place."""
        cdef PyObject* row = self._places[hash & self._mask].row
        if row != NULL:
            foresee(row, ROW_SIZE)

    cdef void foresee_changes(self, unsigned long long hash) noexcept:
        """It is found next: fetch what changes beside the row."""
        cdef PyObject* at = self._places[hash & self._mask].row
        if at != NULL:
            prefetch(<void*>(<PackedStock>at).key)
            prefetch((<PackedStock>at).recent + (<PackedStock>at).recent_bytes)

    cdef PackedStock find(self, Span sku, Span location, unsigned long long hash):
        """The row, as the partition has it; None where it cannot be packed, or is not there."""
        cdef Py_ssize_t at = hash & self._mask
        cdef PackedStock found
        while self._places[at].row != NULL:
            if self._places[at].hash == hash:
                found = <PackedStock>self._places[at].row
                if _is_named(found, sku, location):
                    return found if found.is_current else self._adopted(sku, location, hash)
            at = (at + 1) & self._mask
        return self._adopted(sku, location, hash)

    cdef PackedStock _adopted(self, Span sku, Span location, unsigned long long hash):
        cdef str key = _stock_key(sku, location)
        cdef PackedStock packed
        if key is None:
            return None
        packed = <PackedStock>self.adopt(key, StockRow)
        if packed is not None:
            self._keep(packed, hash)
        return packed

    cdef PackedStock begin(
        self, Span sku, Span location, long long version, long long effective
    ):
        """A row for what nothing has touched, which is not there until it is entered.

        None where it is not plain, or where there is one, which is in `live` once it was not found.
        """
        cdef str key = _stock_key(sku, location)
        cdef PackedStock packed
        if key is None or key in self.live:
            return None
        row = new_row(self.rows, text_of(sku), text_of(location), version, effective)
        packed = take_over(row, key)
        if packed is not None:
            # Whoever applies something counts it.
            packed.book, packed.version = 0, NOTHING_BEFORE
        return packed

    cdef int enter(self, PackedStock row, unsigned long long hash) except -1:
        """It is there from now on."""
        self.live[row.key] = row
        row.step = 0
        return self._keep(row, hash)

    cdef PackedRow pack(self, row, str key):
        return take_over(row, key)

    cdef int _keep(self, PackedStock packed, unsigned long long hash) except -1:
        """Have it found from now on, in place of one that is not current any more."""
        cdef Py_ssize_t at = hash & self._mask
        cdef PackedStock known
        while self._places[at].row != NULL:
            if self._places[at].hash == hash:
                known = <PackedStock>self._places[at].row
                if known.key == packed.key:
                    Py_INCREF(packed)
                    self._places[at].row = <PyObject*>packed
                    Py_DECREF(known)
                    return 0
            at = (at + 1) & self._mask
        Py_INCREF(packed)
        self._places[at] = Place(hash, <PyObject*>packed)
        self._taken += 1
        if 2 * self._taken > self._mask:
            self._grow()
        return 0

    cdef int _grow(self) except -1:
        cdef Py_ssize_t number = self._mask + 1, mask = 2 * number - 1, old, at
        cdef Place* places = <Place*>PyMem_Calloc(2 * number, sizeof(Place))
        if places == NULL:
            raise MemoryError
        for old in range(number):
            if self._places[old].row != NULL:
                at = self._places[old].hash & mask
                while places[at].row != NULL:
                    at = (at + 1) & mask
                places[at] = self._places[old]
        PyMem_Free(self._places)
        self._places, self._mask = places, mask
        return 0

    cdef long long note_change(self, PackedStock row) except -1:
        """It changes in this step; the bytes that this may add to the step's batch."""
        if row.step == self.step:
            return 0
        # What `put` does with a row that is there and stays.
        row.step = self.step
        self.changed[row.key] = row
        return (
            ROW_WEIGHT + 2 * PyUnicode_GET_LENGTH(row.key) + row.recent_bytes
            + len(row.before_recent) + len(row.after_chunks)
        )

    cdef object unpack(self, PackedStock packed):
        """The row as Python has it, which the partition has from now on."""
        return self.rows.get(packed.key, StockRow)


cdef unsigned long long hash_of(Span sku, Span location) noexcept nogil:
    """By which a row is found; begun where nobody knows."""
    return _stirred(_stirred(SEED, sku), location)


cdef inline unsigned long long _stirred(unsigned long long hash, Span span) noexcept nogil:
    cdef unsigned long long part
    cdef Py_ssize_t at = 0
    hash ^= span.size
    while span.size - at >= 8:
        memcpy(&part, span.at + at, 8)
        hash = _mixed(hash ^ part)
        at += 8
    if at < span.size:
        part = 0
        memcpy(&part, span.at + at, span.size - at)
        hash = _mixed(hash ^ part)
    return hash


cdef inline unsigned long long _mixed(unsigned long long hash) noexcept nogil:
    # The finalizer of MurmurHash3, https://github.com/aappleby/smhasher/wiki/MurmurHash3, halved.
    hash *= 0xFF51AFD7ED558CCDULL
    return hash ^ (hash >> 33)


cdef bint _is_named(PackedStock row, Span sku, Span location) noexcept:
    return (
        row.name_size == sku.size + 1 + location.size
        and memcmp(row.name, sku.at, sku.size) == 0
        and row.name[sku.size] == c"|"
        and memcmp(row.name + sku.size + 1, location.at, location.size) == 0
    )


cdef str _stock_key(Span sku, Span location):
    """What `models.rows.stock_key` gives; None where a part of it needs to be escaped."""
    cdef char* at
    if not sku.size or not is_whole(sku) or not is_whole(location):
        return None
    key = PyUnicode_New(7 + sku.size + location.size, 127)
    at = <char*>PyUnicode_DATA(key)
    memcpy(at, <const char*>b"stock|", 6)
    memcpy(at + 6, sku.at, sku.size)
    at[6 + sku.size] = c"|"
    memcpy(at + 7 + sku.size, location.at, location.size)
    return <str>key
