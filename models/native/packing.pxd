# See packing.pyx.

cdef class PackedRow:
    cdef readonly str key
    cdef readonly bint is_current
    cdef object row
    cdef long long step


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
