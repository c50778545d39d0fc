# cython: language_level=3, cdivision=True
# What packed rows of all kinds have in common, and the tables that find them.
#
# See docs/decisions/0022-rows-are-packed-while-they-move.md.

cimport cython
from cpython.dict cimport PyDict_Next
cdef extern from "Python.h":
    ctypedef struct PyTypeObject:
        Py_ssize_t tp_basicsize
    ctypedef struct PyObject:
        PyTypeObject* ob_type

cdef enum:
    SOON = 8  # rows before one of which the processor fetches the first line
    SOONER = 4  # and all of it
    SOONEST = 2  # and what it refers to
    FILED_WEIGHT = 512  # bytes; a key and what is around changes in a row of them have less


@cython.no_gc
cdef class PackedRow:
    """A row in another form; the row that it was made of is its own from then on.

    `is_current`: it is what its partition has; no longer once it was unpacked, or another row came
    in its place. `step` is that of its table in which it changed last.
    """

    is_document = False
    is_filed = False

    def __init__(self):
        raise TypeError("rows are packed by whoever has them")

    def leave(self):
        """Another row is in its place."""
        self.is_current = False

    cdef void foresee_rest(self) noexcept:
        """It is written soon: have the processor fetch what it refers to."""


cdef class PackedTable:
    """Packed rows of one kind in a partition, which are found here without their keys.

    The partition has each of them in `live`, and in `changed` where this step changed it: both
    dictionaries are replaced, never emptied.
    """

    cdef int turn_to(self) except -1:
        """Look whether another step has begun, or the partition has let go of its rows."""
        if self.rows.live is not self.live:
            self.live = self.rows.live
            self.let_go()
        if self.rows.changed is not self.changed:
            self.changed, self.filed = self.rows.changed, self.rows.filed
            self.step += 1
        return 0

    cdef long long file(self, str key, row) except -1:
        """What `put` does with a filed row of a key that is new; the weight of it beside the row."""
        if key in self.live:
            self.rows.put(key, row)
            return 0
        self.live[key] = self.changed[key] = row
        self.filed.append((key, row))
        return FILED_WEIGHT

    cdef PackedRow adopt(self, str key, kind):
        """The row of `key`, packed from now on; None where it is not there, or cannot be packed."""
        cdef PackedRow packed
        row = self.live.get(key)
        if row is None:
            row = self.rows.get(key, kind)
        if isinstance(row, PackedRow):
            packed = <PackedRow>row
        else:
            packed = self.pack(row, key)
            if packed is None:
                return None
            self.live[key] = packed
        packed.step = 0
        if key in self.changed:
            self.changed[key] = packed
            packed.step = self.step
        return packed

    cdef PackedRow pack(self, row, str key):
        raise NotImplementedError

    cdef int let_go(self) except -1:
        """Find none of those that were found."""
        raise NotImplementedError


def write_rows(dict rows not None, dict writers not None, general):
    """The values of rows by their keys, each by the writer of its kind, and their bytes.

    No writer may change `rows`.
    """
    cdef dict values = {}
    cdef long long size = 0
    cdef Py_ssize_t place = 0, at = 0, end = 0
    cdef PyObject* keys[SOON]
    cdef PyObject* ahead[SOON]
    cdef PyObject* key
    cdef PyObject* row
    cdef bytes value
    while True:
        while end - at < SOON and PyDict_Next(rows, &place, &key, &row):
            keys[end % SOON], ahead[end % SOON] = key, row
            prefetch(key)
            prefetch(row)
            end += 1
        if at == end:
            return values, size
        if at + SOONER < end:
            row = ahead[(at + SOONER) % SOON]
            foresee(row, row.ob_type.tp_basicsize)
        if at + SOONEST < end:
            _foresee_rest(<object>ahead[(at + SOONEST) % SOON])
        key, row = keys[at % SOON], ahead[at % SOON]
        value = writers.get(<object>row.ob_type, general)(<object>row)
        values[<object>key] = value
        size += len(value)
        at += 1


cdef void _foresee_rest(row) noexcept:
    if isinstance(row, PackedRow):
        (<PackedRow>row).foresee_rest()
