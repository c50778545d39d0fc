# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# What is known of sources, while plain events move it: numbers side by side, and text.
#
# A source's latest hashes and sales are written far more often than they are read. As text they are
# written as they come, and no object is made for any. What is written is what `models.rows.encode`
# makes of the row as Python has it, to the byte.

cimport cython

from models.native.packing cimport PackedRow, PackedTable
from models.native.slots cimport field, is_small, number, place_of, set_field
from models.native.text cimport Text
from models.native.written cimport Written

import msgspec

from models import rows
from models.arrival import Epoch, HashesRow, SourceRow, file_hashes, hashes_key, source_key
from models.instants import to_rfc3339

cdef object encode = msgspec.json.Encoder().encode
cdef object hashes_of = msgspec.json.Decoder(dict[int, int]).decode
cdef object sold_of = msgspec.json.Decoder(dict[int, msgspec.Raw]).decode
cdef object write_generally = rows.encode

if SourceRow.__struct_fields__ != (
    "version", "source", "topic", "epochs", "duplicates", "conflicts", "last_seen", "locations",
    "now", "newest", "skew", "opened", "held", "unsequenced", "totals",
) or Epoch.__struct_fields__ != (
    "epoch", "first", "last", "gaps", "recent", "chunks", "open", "sold", "units",
) or HashesRow.__struct_fields__ != ("version", "hashes", "sold"):
    raise ImportError("the fields of a source's rows are others than those compiled")

cdef Py_ssize_t VERSION = place_of(SourceRow, "version")
cdef Py_ssize_t NOW = place_of(SourceRow, "now")
cdef Py_ssize_t NEWEST = place_of(SourceRow, "newest")
cdef Py_ssize_t OPENED = place_of(SourceRow, "opened")
cdef Py_ssize_t HELD = place_of(SourceRow, "held")
cdef Py_ssize_t EPOCHS = place_of(SourceRow, "epochs")
cdef Py_ssize_t EPOCH = place_of(Epoch, "epoch")
cdef Py_ssize_t LAST = place_of(Epoch, "last")
cdef Py_ssize_t UNITS = place_of(Epoch, "units")

cdef Py_ssize_t MOST_ROOM = 16 * 1024  # bytes that a source keeps for sales between its chunks
cdef Text _text = Text()


@cython.final
@cython.no_gc
cdef class PackedSource(PackedRow):
    """A source's row, and of its latest epoch what plain events move."""

    def unpacked(self):
        """The row as Python has it, which is current from now on."""
        self.is_current = False
        return _unpacked(self)

    cdef int remember(self, long long sequence, long long content) except -1:
        """Keep the hash of what a number said, which comes after all that are kept."""
        if self.number:
            self.hashes.put_one(c",")
        else:
            self.lowest = sequence
        self.highest = sequence
        self.number += 1
        self.hashes.put_one(c'"')
        self.hashes.put_integer(sequence)
        self.hashes.put(b'":', 2)
        return self.hashes.put_integer(content)

    cdef int remember_sale(self, long long sequence, Text sale) except -1:
        """Keep a sale, as it is written."""
        if self.sold.size:
            self.sold.put_one(c",")
        self.sold.put_one(c'"')
        self.sold.put_integer(sequence)
        self.sold.put(b'":', 2)
        return self.sold.put(sale.start, sale.size)

    cdef int file(self, rows, Py_ssize_t chunk_size, Py_ssize_t most_chunks) except -1:
        """What `models.arrival.file_hashes` does; where that is not one new row, it does it."""
        cdef long long chunk = self.lowest // chunk_size
        cdef list chunks = self.last_epoch.chunks
        cdef Text text = _text
        if chunk != self.highest // chunk_size or (
            chunks and chunk <= <long long>chunks[len(chunks) - 1]
        ):
            file_hashes(rows, rows.get(self.key, SourceRow), self.last_epoch)
            return 0
        chunks.append(chunk)
        while len(chunks) > most_chunks:
            rows.delete(_hashes_key(self, chunks.pop(0)), self.version)
        text.size = 0
        text.put(b'{"version":', 11)
        text.put_integer(self.version)
        text.put(b',"hashes":{', 11)
        text.put(self.hashes.start, self.hashes.size)
        text.put(b'},"sold":{', 10)
        text.put(self.sold.start, self.sold.size)
        text.put(b"}}", 2)
        rows.put(_hashes_key(self, chunk), Written(text.taken(), HashesRow))
        self.hashes.size = self.number = 0
        if self.sold.room > MOST_ROOM:
            self.sold = Text()
        self.sold.size = 0
        return 0


cdef str _hashes_key(PackedSource packed, chunk):
    return hashes_key(packed.row.topic, packed.row.source, packed.epoch, chunk)


cdef PackedSource _take_over(row, str key):
    """The source, packed from now on; None where that cannot be, or no event of it is plain."""
    cdef PackedSource packed
    cdef list epochs
    cdef bytes told
    if type(row) is not SourceRow:
        return None
    epochs = field(row, EPOCHS)
    if not epochs:
        return None
    packed = PackedSource.__new__(PackedSource)
    epoch = packed.last_epoch = epochs[len(epochs) - 1]
    packed.key, packed.row = key, row
    packed.version, packed.now, packed.newest = (
        number(row, VERSION), number(row, NOW), number(row, NEWEST)
    )
    packed.epoch, packed.last = number(epoch, EPOCH), number(epoch, LAST)
    packed.units = number(epoch, UNITS)
    if field(row, OPENED) or number(row, HELD):
        return None
    if not (is_small(packed.units) and is_small(packed.last) and is_small(packed.epoch)):
        return None
    packed.hashes, packed.sold = Text(), Text()
    told = encode(epoch.recent)
    packed.hashes.put(<const char*>told + 1, len(told) - 2)
    told = encode(epoch.sold)
    packed.sold.put(<const char*>told + 1, len(told) - 2)
    packed.number = len(epoch.recent)
    if packed.number:
        packed.lowest, packed.highest = min(epoch.recent), max(epoch.recent)
    epoch.recent, epoch.sold = {}, {}
    packed.is_current = True
    return packed


cdef object _unpacked(PackedSource packed):
    row, epoch = packed.row, packed.last_epoch
    set_field(row, VERSION, packed.version)
    set_field(row, NOW, packed.now)
    set_field(row, NEWEST, packed.newest)
    set_field(epoch, LAST, packed.last)
    set_field(epoch, UNITS, packed.units)
    epoch.recent = hashes_of(_object(packed.hashes))
    epoch.sold = sold_of(_object(packed.sold))
    return row


cdef bytes _object(Text fields):
    return b"{%b}" % fields.start[: fields.size]


@cython.final
cdef class SourceTable(PackedTable):
    """The packed sources of one topic in a partition, by the bytes of their names."""

    def __init__(self, rows, str topic):
        self.rows, self._topic = rows, topic

    cdef PackedSource find(self, bytes name):
        """The source, as the partition has it; None where it is not there, or cannot be packed."""
        cdef PackedSource packed
        found = self._found.get(name)
        if found is not None and (<PackedSource>found).is_current:
            return <PackedSource>found
        packed = <PackedSource>self.adopt(source_key(self._topic, name.decode("ascii")), SourceRow)
        if packed is not None:
            self._found[name] = packed
        return packed

    cdef bint note_change(self, PackedSource row) except -1:
        """It changes in this step; whether it had not before."""
        if row.step == self.step:
            return False
        row.step = self.step
        self.rows.put(row.key, row)
        return True

    cdef PackedRow pack(self, row, str key):
        return _take_over(row, key)

    cdef int let_go(self) except -1:
        self._found = {}
        return 0


def write_source(row):
    """The value of a source's row, packed or not."""
    if type(row) is not PackedSource:
        return write_generally(row)
    return _write(_text, <PackedSource>row)


cdef bytes _write(Text text, PackedSource packed):
    cdef list epochs
    row, epoch = packed.row, packed.last_epoch
    epochs = field(row, EPOCHS)
    text.size = 0
    text.put(b'{"version":', 11)
    text.put_integer(packed.version)
    _put(text, b',"source":', row.source)
    _put(text, b',"topic":', row.topic)
    text.put(b',"epochs":[', 11)
    for before in epochs[: len(epochs) - 1]:
        _put(text, b"", before)
        text.put_one(c",")
    text.put(b'{"epoch":', 9)
    text.put_integer(packed.epoch)
    _put(text, b',"first":', epoch.first)
    text.put(b',"last":', 8)
    text.put_integer(packed.last)
    _put(text, b',"gaps":', epoch.gaps)
    text.put(b',"recent":{', 11)
    text.put(packed.hashes.start, packed.hashes.size)
    _put(text, b'},"chunks":', epoch.chunks)
    _put(text, b',"open":', epoch.open)
    text.put(b',"sold":{', 9)
    text.put(packed.sold.start, packed.sold.size)
    text.put(b'},"units":', 10)
    text.put_integer(packed.units)
    _put(text, b'}],"duplicates":', row.duplicates)
    _put(text, b',"conflicts":', row.conflicts)
    _put(text, b',"last_seen":', to_rfc3339(packed.now))
    _put(text, b',"locations":', row.locations)
    text.put(b',"now":', 7)
    text.put_integer(packed.now)
    text.put(b',"newest":', 10)
    text.put_integer(packed.newest)
    _put(text, b',"skew":', row.skew)
    _put(text, b',"opened":', row.opened)
    _put(text, b',"held":', row.held)
    _put(text, b',"unsequenced":', row.unsequenced)
    _put(text, b',"totals":', row.totals)
    text.put_one(c"}")
    return text.taken()


cdef int _put(Text text, bytes name, value) except -1:
    cdef bytes told = encode(value)
    text.put(name, len(name))
    return text.put(told, len(told))
