# See stock.pyx.

from models.native.packing cimport PackedRow


cdef class PackedStock(PackedRow):
    cdef bint opened
    cdef bint owes
    cdef const char* name
    cdef Py_ssize_t name_size
    cdef char short_name[32]
    cdef long long version
    cdef long long counted_at
    cdef long long newest
    cdef long long book
    cdef long long on_hand
    cdef long long reserved
    cdef long long quality_control
    cdef long long damaged
    cdef long long in_transit
    cdef long long incoming
    cdef long long safety_stock
    cdef long long variance
    cdef char* recent
    cdef Py_ssize_t recent_bytes
    cdef Py_ssize_t room
    cdef long long recent_size
    cdef long long first_chunk
    cdef long long first_newest
    cdef long long next_chunk
    cdef long long sums_end
    cdef bytes names
    cdef bytes before_recent
    cdef bytes after_chunks


cdef PackedStock take_over(row, str key)

cdef int put_recent(PackedStock packed, const char* at, Py_ssize_t size) except -1

cdef object filed(PackedStock packed)


cdef inline bint is_countable(long long number) noexcept nogil:
    # Any three of them have a sum.
    return -(1LL << 60) < number < 1LL << 60
