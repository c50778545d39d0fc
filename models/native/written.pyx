# cython: language_level=3
# Rows that were never more than text: whoever asks for one has it decoded.

cimport cython

from models.rows import decode

cdef enum:
    NO_DAY = -1


@cython.final
@cython.no_gc
cdef class Written:
    """A filed row that nobody has read: its value, and the `kind` of row that it is."""

    is_document = False
    is_filed = True

    def __init__(self, bytes value not None, kind):
        self.value, self._kind = value, kind

    def leave(self):
        """Another row is in its place."""

    def unpacked(self):
        """The row."""
        return decode(self.value, self._kind)


@cython.final
@cython.no_gc
cdef class WrittenDocument:
    """A document that nobody has read, which has its day from whoever keeps documents.

    `version` is its value up to where the day comes, `rest` what comes after that.
    """

    is_document = True
    is_filed = True

    def __init__(self, bytes version not None, bytes rest not None, kind):
        self._version, self._rest, self._kind = version, rest, kind
        self.day = NO_DAY

    @property
    def value(self):
        """What is written."""
        if self.day == NO_DAY:
            return self._version + self._rest
        return b'%b,"day":%d%b' % (self._version, self.day, self._rest)

    def leave(self):
        """Another row is in its place."""

    def unpacked(self):
        """The row."""
        return decode(self.value, self._kind)
