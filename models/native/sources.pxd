# See sources.pyx.

from models.native.text cimport Text


cdef class PackedSource:
    cdef readonly str key
    cdef object row
    cdef object last_epoch
    cdef readonly bint is_current
    cdef long long step
    cdef long long version
    cdef long long now
    cdef long long newest
    cdef long long epoch
    cdef long long last
    cdef long long units
    cdef Text hashes
    cdef Text sold
    cdef Py_ssize_t number
    cdef long long lowest
    cdef long long highest

    cdef int remember(self, long long sequence, long long content) except -1
    cdef int remember_sale(self, long long sequence, Text sale) except -1
    cdef int file(self, rows, Py_ssize_t chunk_size, Py_ssize_t most_chunks) except -1


cdef PackedSource take_over(row, str key)
