# See sources.pyx.

from models.native.packing cimport PackedRow, PackedTable
from models.native.text cimport Text


cdef class PackedSource(PackedRow):
    cdef object last_epoch
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


cdef class SourceTable(PackedTable):
    cdef str _topic
    cdef dict _found

    cdef PackedSource find(self, bytes name)
    cdef bint note_change(self, PackedSource row) except -1
