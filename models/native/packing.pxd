# See packing.pyx.

cdef extern from *:
    # Have the processor fetch what stands there: rows are more than its caches hold.
    void prefetch "__builtin_prefetch"(const void* at) noexcept nogil

cdef enum:
    LINE = 64  # bytes that a processor fetches at once


cdef inline void foresee(const void* at, Py_ssize_t size) noexcept nogil:
    """So many bytes are read soon."""
    cdef Py_ssize_t place = 0
    while place < size:
        prefetch(<const char*>at + place)
        place += LINE


cdef class PackedRow:
    cdef readonly str key
    cdef readonly bint is_current
    cdef object row
    cdef long long step

    cdef void foresee_rest(self) noexcept


cdef class PackedTable:
    cdef object rows
    cdef dict live
    cdef dict changed
    cdef list filed
    cdef long long step

    cdef int turn_to(self) except -1
    cdef long long file(self, str key, row) except -1
    cdef PackedRow adopt(self, str key, kind)
    cdef PackedRow pack(self, row, str key)
    cdef int let_go(self) except -1
