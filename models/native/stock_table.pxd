# See stock_table.pyx.

from cpython.object cimport PyObject

from models.native.packing cimport PackedTable
from models.native.stock cimport PackedStock
from models.native.text cimport Span

cdef struct Place:
    unsigned long long hash
    PyObject* row


cdef class StockTable(PackedTable):
    cdef Place* _places
    cdef Py_ssize_t _mask
    cdef Py_ssize_t _taken

    cdef PackedStock find(self, Span sku, Span location, unsigned long long hash)
    cdef void foresee_place(self, unsigned long long hash) noexcept nogil
    cdef void foresee_row(self, unsigned long long hash) noexcept nogil
    cdef void foresee_changes(self, unsigned long long hash) noexcept
    cdef PackedStock begin(
        self, Span sku, Span location, long long version, long long effective
    )
    cdef int enter(self, PackedStock row, unsigned long long hash) except -1
    cdef long long note_change(self, PackedStock row) except -1
    cdef object unpack(self, PackedStock packed)
    cdef PackedStock _adopted(self, Span sku, Span location, unsigned long long hash)
    cdef int _keep(self, PackedStock packed, unsigned long long hash) except -1
    cdef int _grow(self) except -1
    cdef void _clear(self) noexcept


cdef unsigned long long hash_of(Span sku, Span location) noexcept nogil


cdef inline bint is_whole(Span span) noexcept nogil:
    """Whether a part of a key stands in it as it is."""
    cdef Py_ssize_t place
    for place in range(span.size):
        if span.at[place] == c"|" or span.at[place] == c"%":
            return 0
    return 1
