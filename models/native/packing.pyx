# cython: language_level=3
# What packed rows of all kinds have in common, and the tables that find them.
#
# See docs/decisions/0022-rows-are-packed-while-they-move.md.

cimport cython

cdef enum:
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
