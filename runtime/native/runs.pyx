# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# The records of a fetch, found in its bytes at once; nothing is copied until somebody looks at one.
#
# What aiokafka gives record by record, of batches of format 2; all else is left to it.
# `tests/unit/test_records.py` holds one against the other. The layout is that of
# https://kafka.apache.org/documentation/#recordbatch.

cimport cython
from cpython.buffer cimport PyBUF_WRITABLE
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.mem cimport PyMem_Free, PyMem_Realloc

cdef enum:
    LENGTH_AT = 8
    SUMMED_FROM = 12
    FORMAT_AT = 16
    ATTRIBUTES_AT = 22
    LAST_DELTA_AT = 23
    FIRST_TIME_AT = 27
    LAST_TIME_AT = 35
    COUNT_AT = 57
    RECORDS_AT = 61
    FORMAT = 2
    COMPRESSED = 7
    BROKERS_TIME = 8
    CONTROL = 32
    LEAST_RECORD = 7  # a length, attributes, time, offset, no key, no value, no headers

cdef struct Entry:
    # As `models.native.intake` reads it; `LAYOUT` says so to both.
    long long offset
    long long timestamp
    const char* key
    Py_ssize_t key_size  # -1 for none
    const char* value
    Py_ssize_t value_size
    const char* headers
    const char* end

cdef const char* LAYOUT = b"qqPnPnPP"

cdef struct Reader:
    const unsigned char* at
    const unsigned char* end


cdef class _Index:
    """Where the records of a fetch stand in bytes that it keeps: its own, and what was compressed."""

    cdef list kept
    cdef Entry* entries
    cdef Py_ssize_t size
    cdef Py_ssize_t room
    cdef long long end

    def __cinit__(self):
        self.entries = NULL
        self.size = self.room = 0

    def __dealloc__(self):
        PyMem_Free(self.entries)

    cdef int make_room(self, Py_ssize_t more) except -1:
        cdef Py_ssize_t room = max(self.size + more, 2 * self.room)
        cdef Entry* entries
        if self.size + more > self.room:
            entries = <Entry*>PyMem_Realloc(self.entries, room * sizeof(Entry))
            if entries == NULL:
                raise MemoryError
            self.entries, self.room = entries, room
        return 0


@cython.final
@cython.no_gc
cdef class Record:
    """A record as the consumer hands it over; `timestamp` in milliseconds."""

    cdef readonly long long offset
    cdef readonly long long timestamp
    cdef readonly object key
    cdef readonly object value
    cdef readonly object headers

    def __repr__(self):
        return f"Record(offset={self.offset}, key={self.key!r}, value={self.value!r})"


@cython.final
@cython.no_gc
cdef class Run:
    """Records of a fetch, in order: a sequence, of which a part is one too.

    `size_in_bytes` are those of the values, `next_offset` is where to read on after what was fetched.
    As a buffer it is an array of what `LAYOUT` says, for who reads records in place.
    """

    cdef _Index _index
    cdef Entry* _entries
    cdef Py_ssize_t _size

    def __len__(self):
        return self._size

    def __getitem__(self, place):
        cdef Py_ssize_t first, last, step
        if isinstance(place, slice):
            first, last, step = place.indices(self._size)
            if step != 1:
                raise ValueError("a part of a run has no gaps")
            return _part(self._index, self._entries + first, max(0, last - first))
        first = place
        if first < 0:
            first += self._size
        if not 0 <= first < self._size:
            raise IndexError(place)
        return _record(&self._entries[first])

    @property
    def size_in_bytes(self):
        cdef Py_ssize_t place, size = 0
        for place in range(self._size):
            if self._entries[place].value_size > 0:
                size += self._entries[place].value_size
        return size

    @property
    def next_offset(self):
        return self._index.end

    def __getbuffer__(self, Py_buffer* held, int flags):
        if flags & PyBUF_WRITABLE:
            raise BufferError("records are not to be changed")
        held.buf, held.len, held.itemsize = self._entries, self._size * sizeof(Entry), sizeof(Entry)
        held.obj, held.readonly, held.ndim = self, 1, 1
        held.format = <char*>LAYOUT
        held.shape, held.strides = NULL, NULL
        held.suboffsets, held.internal = NULL, NULL


def run_of(bytes fetched not None, long long first, decompressed):
    """The records of a fetch from offset `first` on; None where that is for aiokafka to say.

    Batches of which only a part was fetched are left out, as are those of the broker's own.
    `decompressed` gives the bytes that a batch of some codec has, or None where it cannot.
    """
    cdef _Index index = _Index()
    cdef Reader reader
    cdef const unsigned char* start = <const unsigned char*>PyBytes_AS_STRING(fetched)
    cdef Py_ssize_t left = PyBytes_GET_SIZE(fetched)
    cdef long long length
    index.kept, index.end = [fetched], first
    while left >= SUMMED_FROM:
        length = <int>_of_four(start + LENGTH_AT) + SUMMED_FROM
        if length < RECORDS_AT:
            return None
        if length > left:
            break
        reader.at, reader.end = start, start + length
        if not _read_batch(index, &reader, first, decompressed):
            return None
        start += length
        left -= length
    return _part(index, index.entries, index.size)


cdef Run _part(_Index index, Entry* entries, Py_ssize_t size):
    cdef Run run = Run.__new__(Run)
    run._index, run._entries, run._size = index, entries, size
    return run


cdef bint _read_batch(
    _Index index, Reader* reader, long long first, decompressed
) except -1:
    """Whether the batch that begins here, and ends with the reader, was of the plain kind."""
    cdef const unsigned char* start = reader.at
    cdef unsigned char attributes = start[ATTRIBUTES_AT]
    cdef long long base = _of_eight(start), count = <int>_of_four(start + COUNT_AT), place
    cdef long long time = _of_eight(start + FIRST_TIME_AT)
    cdef bint is_brokers = attributes & BROKERS_TIME
    cdef Entry entry
    if start[FORMAT_AT] != FORMAT:
        return False
    index.end = base + <int>_of_four(start + LAST_DELTA_AT) + 1
    if attributes & CONTROL:
        return True
    reader.at += RECORDS_AT
    if attributes & COMPRESSED:
        written = (<const char*>reader.at)[: reader.end - reader.at]
        told = decompressed(attributes & COMPRESSED, written)
        if told is None:
            return False
        index.kept.append(told)
        reader.at = <const unsigned char*>PyBytes_AS_STRING(<bytes?>told)
        reader.end = reader.at + PyBytes_GET_SIZE(told)
    if not 0 <= count <= (reader.end - reader.at) // LEAST_RECORD:
        return False
    if is_brokers:
        time = _of_eight(start + LAST_TIME_AT)
    index.make_room(count)
    for place in range(count):
        entry.offset, entry.timestamp = base, time
        if not _read_record(reader, &entry, is_brokers):
            return False
        if entry.offset >= first:
            index.entries[index.size] = entry
            index.size += 1
    return reader.at == reader.end


cdef bint _read_record(Reader* reader, Entry* entry, bint is_brokers) noexcept nogil:
    cdef long long length, later, further
    cdef Reader record
    if not _read_number(reader, &length) or not 0 < length <= reader.end - reader.at:
        return 0
    record.at, record.end = reader.at + 1, reader.at + length
    if not (_read_number(&record, &later) and _read_number(&record, &further)):
        return 0
    entry.offset += further
    if not is_brokers:
        entry.timestamp += later
    if not _read_bytes(&record, &entry.key, &entry.key_size):
        return 0
    if not _read_bytes(&record, &entry.value, &entry.value_size):
        return 0
    entry.headers = <const char*>record.at
    if not _pass_headers(&record):
        return 0
    reader.at = record.end
    entry.end = <const char*>record.end
    return record.at == record.end


cdef bint _pass_headers(Reader* reader) noexcept nogil:
    cdef long long count
    cdef const char* at
    cdef Py_ssize_t size
    if not _read_number(reader, &count) or count < 0:
        return 0
    while count:
        if not _read_bytes(reader, &at, &size) or size < 0:
            return 0
        if not _read_bytes(reader, &at, &size):
            return 0
        count -= 1
    return 1


cdef Record _record(Entry* entry):
    cdef Record record = Record.__new__(Record)
    record.offset, record.timestamp = entry.offset, entry.timestamp
    record.key = _bytes(entry.key, entry.key_size)
    record.value = _bytes(entry.value, entry.value_size)
    record.headers = _headers(entry)
    return record


cdef object _bytes(const char* at, Py_ssize_t size):
    return PyBytes_FromStringAndSize(at, size) if size >= 0 else None


cdef object _headers(Entry* entry):
    cdef Reader reader
    cdef long long count
    cdef const char* at
    cdef Py_ssize_t size
    cdef list found
    if entry.headers[0] == 0:
        return ()
    reader.at, reader.end = <const unsigned char*>entry.headers, <const unsigned char*>entry.end
    _read_number(&reader, &count)
    found = []
    while count:
        _read_bytes(&reader, &at, &size)
        name = at[:size].decode("utf-8", "replace")
        _read_bytes(&reader, &at, &size)
        found.append((name, _bytes(at, size)))
        count -= 1
    return found


cdef inline bint _read_bytes(Reader* reader, const char** at, Py_ssize_t* size) noexcept nogil:
    cdef long long length
    if not _read_number(reader, &length) or length > reader.end - reader.at:
        return 0
    at[0] = <const char*>reader.at
    if length < 0:
        size[0] = -1
        return 1
    size[0] = length
    reader.at += length
    return 1


cdef inline bint _read_number(Reader* reader, long long* number) noexcept nogil:
    """A whole number as Kafka writes it: zigzag, seven bits a byte."""
    cdef unsigned long long found = 0
    cdef int shift = 0
    cdef unsigned char one
    while reader.at < reader.end and shift < 64:
        one = reader.at[0]
        reader.at += 1
        found |= <unsigned long long>(one & 0x7F) << shift
        if not one & 0x80:
            number[0] = <long long>(found >> 1) ^ -<long long>(found & 1)
            return 1
        shift += 7
    return 0


cdef inline unsigned int _of_four(const unsigned char* at) noexcept nogil:
    cdef unsigned int one = at[0], two = at[1], three = at[2]
    return (one << 24) | (two << 16) | (three << 8) | at[3]


cdef inline long long _of_eight(const unsigned char* at) noexcept nogil:
    cdef unsigned long long first = _of_four(at)
    return <long long>((first << 32) | _of_four(at + 4))
