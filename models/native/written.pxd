# See written.pyx.

cdef class Written:
    cdef readonly bytes value
    cdef object _kind


cdef class WrittenDocument:
    cdef public long long day
    cdef bytes _version
    cdef bytes _rest
    cdef object _kind
