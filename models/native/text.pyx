# See text.pxd.

from cpython.mem cimport PyMem_Free, PyMem_Realloc


cdef class Text:
    def __cinit__(self):
        self.start = NULL
        self.size = self.room = 0

    def __dealloc__(self):
        PyMem_Free(self.start)

    cdef int grow(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t room = max(4096, 2 * self.room, self.size + more)
        cdef char* start = <char*>PyMem_Realloc(self.start, room)
        if start == NULL:
            raise MemoryError
        self.start, self.room = start, room
        return 0
