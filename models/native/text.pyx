# See text.pxd.

from cpython.mem cimport PyMem_Free, PyMem_Realloc


cdef class Text:
    def __cinit__(self):
        self.start = NULL
        self.size = self.room = 0

    def __dealloc__(self):
        PyMem_Free(self.start)

    cdef int grow(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t room = max(256, 2 * self.room, self.size + more)
        cdef char* start = <char*>PyMem_Realloc(self.start, room)
        if start == NULL:
            raise MemoryError
        self.start, self.room = start, room
        return 0


cdef class Pack:
    def __init__(self, Py_ssize_t most):
        self._most = most
        self._text = Text()
        self.clear()

    def add(self, bytes value):
        """Take a value that is encoded already."""
        self.next().put(<const char*>value, len(value))

    def taken(self):
        """The arrays of what was added; the pack is empty again."""
        if self._size:
            self._close()
        records, self._records = self._records, []
        return records

    def clear(self):
        """Forget what was added."""
        self._text.size = self._size = 0
        self._records = []

    cdef int _close(self) except -1:
        self._text.put_one(c"]")
        self._records.append(self._text.taken())
        self._size = 0
        return 0
