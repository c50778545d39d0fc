# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# The commonest events, from the bytes of their record to the movements of their lines.
#
# A plain event is a sale, a return at the till, a receipt without advice, an adjustment without
# count, or a decision on what was returned, in UTC and plain ASCII, that follows the last of its
# source's sequence. What `models.decoding`, `reading`, `arrival` and `normalization` make of it, this
# makes too, to the byte; `tests/unit/test_native.py` holds one against the other. All else is left to
# those.

from typing import get_args

import xxhash

from cpython.buffer cimport PyBUF_FORMAT, PyBuffer_Release, PyObject_CheckBuffer, PyObject_GetBuffer
from cpython.bytes cimport (
    PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_FromStringAndSize, PyBytes_GET_SIZE,
)
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from libc.string cimport strcmp

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    void* PyUnicode_DATA(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)

from models.native.placing cimport partition_of
from models.native.slots cimport field, is_small, number, place_of, set_field
from models.native.sources cimport PackedSource, SourceTable
from models.native.text cimport (
    Pack, Reader, Span, Text, equals, read_integer, read_text, skip_space, skip_value, take, text_of,
)

from models import arrival, topics
from models.arrival import SourceRow, visit
from models.clock import FUTURE, corrected, observe
from models.decoding import EARLIEST_YEAR, LATEST_YEAR, MAX_LINE
from models.events import MAX_LINES, MAX_QUANTITY, pos, returns, warehouse
from models.movements import INDEX_BITS as _INDEX_BITS
from models.normalization import number_of
from models.rows import PLACE_BITS as _PLACE_BITS

cdef object hash_of = xxhash.xxh3_64_intdigest

cdef Py_ssize_t MOST_LINES = MAX_LINES
cdef long long HIGHEST_LINE = MAX_LINE
cdef long long MOST = MAX_QUANTITY
cdef long long LATEST_SEQUENCE = 2**53
cdef long long LATEST_EPOCH = 2**31
cdef long long FIRST_YEAR = EARLIEST_YEAR
cdef long long YEAR_AFTER = LATEST_YEAR
cdef long long TOO_FAR = FUTURE
cdef int INDEX_BITS = _INDEX_BITS
cdef int PLACE_BITS = _PLACE_BITS

cdef Py_ssize_t SKEW = place_of(SourceRow, "skew")
cdef Py_ssize_t LOCATIONS = place_of(SourceRow, "locations")

cdef struct Record:
    # As whoever has fetched them gives many at once, in a buffer of this layout.
    long long offset
    long long timestamp
    const char* key
    Py_ssize_t key_size  # -1 for none
    const char* value
    Py_ssize_t value_size
    const char* headers
    const char* end

cdef const char* LAYOUT = b"qqPnPnPP"

cdef struct Line:
    long long line
    Span sku
    long long quantity
    bint each
    Span kept  # its condition or bucket, where that is not the default

cdef struct Moment:
    long long at
    Span second  # the text up to the second
    long long fraction

cdef struct Event:
    Span id
    Span source
    Span type
    Moment time
    Moment sent
    long long sequence
    long long epoch
    Span document
    Span location
    Span disposition  # of lines that have none of their own
    Py_ssize_t lines

cdef enum:
    HAS_SPECVERSION = 1
    HAS_ID = 2
    HAS_SOURCE = 4
    HAS_TYPE = 8
    HAS_TIME = 16
    HAS_SEQUENCE = 32
    HAS_DATA = 64
    HAS_EPOCH = 128
    HAS_SENT = 256
    HAS_CORRELATION = 512
    HAS_CAUSATION = 1024
    HAS_TRACE = 2048
    NEEDED = 127

cdef enum:
    HAS_DOCUMENT = 1
    HAS_LOCATION = 2
    HAS_LINES = 4
    HAS_DISPOSITION = 8

cdef enum:
    HAS_LINE = 1
    HAS_SKU = 2
    HAS_QUANTITY = 4
    HAS_UNIT = 8
    HAS_KEPT = 16


cdef class Kind:
    """What is particular to one type of event.

    `kept` is the field of a line that names its bucket: as it is (`buckets` None), or by the
    condition of the goods; of a decision on what was returned it says what was decided. `lowest` is
    the least quantity, `sign` what it counts as.
    """

    cdef bytes type
    cdef bytes document
    cdef bint located_first
    cdef bytes kept
    cdef bytes default
    cdef dict buckets
    cdef bytes bucket
    cdef bytes cause
    cdef long long lowest
    cdef int sign
    cdef long long content
    cdef bint is_sale
    cdef bint is_decision

    def __init__(self, kind, document, kept, default, buckets, cause, lowest, sign):
        self.type = kind.__struct_config__.tag.encode()
        self.content = number_of(kind)
        self.document, self.kept, self.default = document, kept, default
        self.buckets, self.cause, self.lowest, self.sign = buckets, cause, lowest, sign
        self.bucket = buckets.get(default)
        self.is_decision = kind is returns.ReturnDisposed
        self.is_sale = kind is pos.SaleCompleted
        self.located_first = kind is warehouse.StockAdjusted


cdef dict CONDITIONS = {
    b"sellable": b"on_hand", b"quality_control": b"quality_control", b"damaged": b"damaged",
}
cdef dict BUCKETS = {name: name for name in (b"on_hand", b"quality_control", b"damaged")}
cdef dict DISPOSALS = {name.encode(): name.encode() for name in get_args(returns.Disposal)}
cdef dict KINDS = {
    topics.POS_SALES: [
        Kind(pos.SaleCompleted, b"transaction", b"", b"", {b"": b"on_hand"}, b"sale", 1, -1),
        Kind(
            pos.SaleReturned, b"transaction", b"condition", b"quality_control", CONDITIONS,
            b"till_return", 1, 1,
        ),
    ],
    topics.WAREHOUSE_RECEIPTS: [
        Kind(
            warehouse.ReceiptReceived, b"receipt", b"condition", b"sellable", CONDITIONS,
            b"receipt", 1, 1,
        ),
        Kind(
            warehouse.StockAdjusted, b"reason", b"bucket", b"on_hand", BUCKETS,
            b"adjustment", -MAX_QUANTITY, 1,
        ),
    ],
    topics.RETURNS_DISPOSITIONS: [
        Kind(returns.ReturnDisposed, b"rma", b"disposition", b"", DISPOSALS, b"", 1, 1),
    ],
}


cdef class PlainEvents:
    """Takes the plain events of one topic.

    `packs` are the movements on their way out, by partition. `taken` counts the events.
    """

    cdef readonly long long taken

    cdef list _kinds
    cdef str _topic
    cdef long long _number
    cdef list _packs
    cdef dict _sources_of
    cdef SourceTable _sources
    cdef Line* _lines
    cdef Py_ssize_t _room
    cdef Text _text
    cdef object _rows
    cdef long long _own
    cdef long long _generation
    cdef object _reference
    cdef bint _plain_codes
    cdef long long _hashes
    cdef long long _most_chunks
    cdef long long _bytes
    cdef long long _longest
    cdef bint _is_full

    def __cinit__(self):
        self._lines = NULL
        self._room = 0

    def __dealloc__(self):
        PyMem_Free(self._lines)

    def __init__(self, str topic, list packs):
        self._kinds = KINDS[topic]
        self._topic, self._number = topic, topics.NUMBER[topic]
        self._packs = packs
        self._sources_of = {}
        self._hashes, self._most_chunks = arrival.CHUNK, arrival.MAX_CHUNKS
        self._text = Text()
        self.taken = 0

    def take_run(
        self, records, Py_ssize_t start, work, reference, long long longest, long long heaviest,
    ):
        """Take records from `start` on until one is not a plain event; how many were taken.

        That one has changed nothing. A record of more than `longest` bytes is not plain, nor one
        before which documents are to be forgotten; once changed rows weigh more than `heaviest`,
        no more are taken. `records` are a buffer of LAYOUT, or a sequence of objects.
        """
        cdef Py_ssize_t place = start, number = len(records)
        cdef long long now = work.now, received
        cdef bint documents = work.documents is not None, in_place = PyObject_CheckBuffer(records)
        cdef Record one
        cdef Py_buffer held
        self._longest, self._is_full, self._bytes = longest, False, 0
        self._rows = work.partition
        self._own = self._rows.number
        self._sources = self._sources_of.get(self._own)
        if self._sources is None or self._sources.rows is not self._rows:
            self._sources = self._sources_of[self._own] = SourceTable(self._rows, self._topic)
        self._sources.turn_to()
        self._generation = <long long>self._rows.position.generation << PLACE_BITS
        self._reference = reference
        self._plain_codes = reference.plain
        if in_place:
            PyObject_GetBuffer(records, &held, PyBUF_FORMAT)
        try:
            if in_place and strcmp(held.format, LAYOUT) != 0:
                raise TypeError("records in a layout that is not known")
            while place < number:
                if in_place:
                    one = (<Record*>held.buf)[place]
                else:
                    record = records[place]
                    key, value = record.key, record.value
                    if not (PyBytes_CheckExact(key) and PyBytes_CheckExact(value)):
                        break
                    one.offset, one.timestamp = record.offset, record.timestamp
                    one.key, one.key_size = PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key)
                    one.value, one.value_size = PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)
                received = one.timestamp * 1000
                if received > now:
                    now = received
                if documents and now >= <long long>work.documents.due:
                    break
                if not self._take(&one, received, now):
                    break
                place += 1
                if self._is_full and self._rows.weight > heaviest:
                    break
                self._is_full = False
        finally:
            if in_place:
                PyBuffer_Release(&held)
        work.now = now
        self._rows.weight += self._bytes
        self.taken += place - start
        return place - start

    def forget(self):
        """Let go of the rows of the last run."""
        self._rows = self._sources = self._reference = None
        self._sources_of = {}

    cdef bint _take(self, Record* record, long long received, long long now) except -1:
        cdef Event event
        cdef Kind kind
        cdef Reader reader
        cdef PackedSource row
        if record.value_size < 0 or record.key_size < 0 or record.value_size > self._longest:
            return False
        reader.at, reader.end = record.value, record.value + record.value_size
        kind = self._read(&reader, &event)
        if kind is None:
            return False
        if not equals(event.source, record.key, record.key_size):
            return False
        row = self._sources.find(PyBytes_FromStringAndSize(record.key, record.key_size))
        if row is None:
            return False
        if not self._accept(kind, &event, record.offset, received, now, row):
            return False
        self._bytes += record.value_size
        return True

    cdef bint _accept(
        self, Kind kind, Event* event, long long offset, long long received, long long now,
        PackedSource row,
    ) except -1:
        cdef long long units = 0
        cdef Py_ssize_t place
        if row.epoch != event.epoch or row.last + 1 != event.sequence:
            return False
        if event.time.at > received + TOO_FAR or not is_small(row.units):
            return False
        skew = field(row.row, SKEW)
        if event.sent.at or skew is not None:
            sent = event.sent.at or None
            if sent is not None:
                skew = observe(skew, sent, received)
            if corrected(event.time.at, sent, received, skew).why:
                return False
        if not self._plain_codes and not self._passes(event):
            return False
        if self._sources.note_change(row):
            self._is_full = True
        row.version, row.now = self._generation + offset, now
        row.last = event.sequence
        row.newest = max(row.newest, event.time.at)
        for place in range(event.lines):
            units += self._lines[place].quantity
        row.units += units
        row.remember(event.sequence, <unsigned long long>hash_of(self._said(kind, event)) >> 1)
        if kind.is_sale:
            row.remember_sale(event.sequence, self._sold(event))
        if skew is not None:
            row.row.skew = skew
        if not _is_among(event.location, <list>field(row.row, LOCATIONS)):
            visit(row.row, text_of(event.location))
        if (event.sequence + 1) % self._hashes == 0 or row.number >= self._hashes:
            row.file(self._rows, self._hashes, self._most_chunks)
        self._emit(kind, event, offset << INDEX_BITS)
        return True

    cdef bint _passes(self, Event* event) except -1:
        """Whether reference data leaves the codes of an event as they are."""
        cdef Py_ssize_t place
        if not self._reference.passes_all_of(text_of(event.source)):
            return False
        for place in range(event.lines):
            if not self._reference.is_own_code(text_of(self._lines[place].sku)):
                return False
        return True

    # -- reading

    cdef Kind _read(self, Reader* reader, Event* event):
        """The kind of a plain event, and what it says; None where it is not plain."""
        cdef Span key, told
        cdef int found = 0, one
        cdef Kind kind = None
        cdef Reader data
        event.epoch = event.sent.at = 0
        data.at = data.end = NULL
        if not take(reader, c"{"):
            return None
        while True:
            if not read_text(reader, &key) or not take(reader, c":"):
                return None
            skip_space(reader)
            one = 0
            if equals(key, b"data", 4):
                one = HAS_DATA
                if found & HAS_TYPE:
                    kind = self._kind_of(event.type)
                    if kind is None or not self._read_data(reader, kind, event):
                        return None
                else:
                    data = reader[0]
                    if not skip_value(reader):
                        return None
                    data.end = reader.at
            elif equals(key, b"specversion", 11):
                one = HAS_SPECVERSION
                if not read_text(reader, &told) or not equals(told, b"1.0", 3):
                    return None
            elif equals(key, b"id", 2):
                one = HAS_ID
                if not read_text(reader, &event.id) or not 0 < event.id.size <= 256:
                    return None
            elif equals(key, b"source", 6):
                one = HAS_SOURCE
                if not read_text(reader, &event.source) or not 0 < event.source.size <= 256:
                    return None
            elif equals(key, b"type", 4):
                one = HAS_TYPE
                if not read_text(reader, &event.type):
                    return None
            elif equals(key, b"time", 4):
                one = HAS_TIME
                if not _read_moment(reader, &event.time):
                    return None
            elif equals(key, b"sequence", 8):
                one = HAS_SEQUENCE
                if not _read_sequence(reader, &event.sequence):
                    return None
            elif equals(key, b"epoch", 5):
                one = HAS_EPOCH
                if not read_integer(reader, &event.epoch) or not 0 <= event.epoch <= LATEST_EPOCH:
                    return None
            elif equals(key, b"sentat", 6):
                one = HAS_SENT
                if not _read_null(reader) and not _read_moment(reader, &event.sent):
                    return None
            elif equals(key, b"correlationid", 13):
                one = HAS_CORRELATION
            elif equals(key, b"causationid", 11):
                one = HAS_CAUSATION
            elif equals(key, b"traceparent", 11):
                one = HAS_TRACE
            elif not _skip_scalar(reader):
                return None
            if one >= HAS_CORRELATION and not _read_null(reader):
                return None
            if found & one:
                return None
            found |= one
            if take(reader, c"}"):
                break
            if not take(reader, c","):
                return None
        skip_space(reader)
        if reader.at != reader.end or found & NEEDED != NEEDED:
            return None
        if kind is None:
            kind = self._kind_of(event.type)
            if kind is None or not self._read_data(&data, kind, event) or data.at != data.end:
                return None
        return kind

    cdef Kind _kind_of(self, Span type):
        cdef Kind kind
        for kind in self._kinds:
            if equals(type, PyBytes_AS_STRING(kind.type), PyBytes_GET_SIZE(kind.type)):
                return kind
        return None

    cdef bint _read_data(self, Reader* reader, Kind kind, Event* event) except -1:
        cdef Span key
        cdef int found = 0, one
        event.disposition.size = 0
        if not take(reader, c"{"):
            return False
        while True:
            if not read_text(reader, &key) or not take(reader, c":"):
                return False
            one = 0
            if equals(key, PyBytes_AS_STRING(kind.document), PyBytes_GET_SIZE(kind.document)):
                one = HAS_DOCUMENT
                if not read_text(reader, &event.document) or not 0 < event.document.size <= 256:
                    return False
            elif equals(key, b"location", 8):
                one = HAS_LOCATION
                if not read_text(reader, &event.location) or not 0 < event.location.size <= 128:
                    return False
            elif equals(key, b"lines", 5):
                one = HAS_LINES
                if not self._read_lines(reader, kind, event):
                    return False
            elif _is_one_of(key, b"business_day\0advice\0count\0"):
                if not _read_null(reader):
                    return False
            elif kind.is_decision and equals(key, b"disposition", 11):
                one = HAS_DISPOSITION
                if not _read_null(reader):
                    if not read_text(reader, &event.disposition):
                        return False
                    if not _names_one(event.disposition, kind.buckets):
                        return False
            elif equals(key, b"final", 5):
                if not _read_word(reader, b"false", 5):
                    return False
            elif not _skip_scalar(reader):
                return False
            if found & one:
                return False
            found |= one
            if take(reader, c"}"):
                found &= ~HAS_DISPOSITION
                return found == HAS_DOCUMENT | HAS_LOCATION | HAS_LINES and (
                    not kind.is_decision or self._are_decided(event)
                )
            if not take(reader, c","):
                return False

    cdef bint _are_decided(self, Event* event) noexcept:
        """Whether it is said of every line what was decided."""
        cdef Py_ssize_t place
        for place in range(event.lines):
            if not (event.disposition.size or self._lines[place].kept.size):
                return False
        return True

    cdef bint _read_lines(self, Reader* reader, Kind kind, Event* event) except -1:
        cdef long long highest = 0
        event.lines = 0
        if not take(reader, c"["):
            return False
        while True:
            if event.lines == self._room:
                self._make_room()
            if not self._read_line(reader, kind, &self._lines[event.lines]):
                return False
            if self._lines[event.lines].line <= highest or event.lines == MOST_LINES:
                return False
            highest = self._lines[event.lines].line
            event.lines += 1
            if take(reader, c"]"):
                return True
            if not take(reader, c","):
                return False

    cdef bint _read_line(self, Reader* reader, Kind kind, Line* line) except -1:
        cdef Span key, unit
        cdef int found = 0, one
        line.each = 0
        line.kept.size = 0
        if not take(reader, c"{"):
            return False
        while True:
            if not read_text(reader, &key) or not take(reader, c":"):
                return False
            one = 0
            if equals(key, b"line", 4):
                one = HAS_LINE
                if not read_integer(reader, &line.line) or not 1 <= line.line <= HIGHEST_LINE:
                    return False
            elif equals(key, b"sku", 3):
                one = HAS_SKU
                if not read_text(reader, &line.sku) or not 0 < line.sku.size <= 128:
                    return False
            elif equals(key, b"quantity", 8):
                one = HAS_QUANTITY
                if not read_integer(reader, &line.quantity):
                    return False
                if not kind.lowest <= line.quantity <= MOST:
                    return False
            elif equals(key, b"uom", 3):
                one = HAS_UNIT
                if not _read_null(reader):
                    if not read_text(reader, &unit) or not equals(unit, b"each", 4):
                        return False
                    line.each = 1
            elif _is_one_of(key, b"condition\0bucket\0disposition\0"):
                one = HAS_KEPT
                if not equals(key, PyBytes_AS_STRING(kind.kept), PyBytes_GET_SIZE(kind.kept)):
                    return False
                if not read_text(reader, &line.kept):
                    return False
                if not _names_one(line.kept, kind.buckets):
                    return False
                if equals(
                    line.kept, PyBytes_AS_STRING(kind.default), PyBytes_GET_SIZE(kind.default)
                ):
                    line.kept.size = 0
            elif _is_one_of(key, b"reservation\0actual_sku\0reason\0"):
                if not _read_null(reader):
                    return False
            elif not _skip_scalar(reader):
                return False
            if found & one:
                return False
            found |= one
            if take(reader, c"}"):
                return found & 7 == 7
            if not take(reader, c","):
                return False

    cdef int _make_room(self) except -1:
        cdef Py_ssize_t room = 2 * self._room + 16
        cdef Line* lines = <Line*>PyMem_Realloc(self._lines, room * sizeof(Line))
        if lines == NULL:
            raise MemoryError
        self._lines, self._room = lines, room
        return 0

    # -- writing

    cdef bytes _said(self, Kind kind, Event* event):
        """What `models.normalization.content_hash` hashes."""
        cdef Text text = self._text
        cdef Py_ssize_t place
        cdef Line* line
        text.size = 0
        text.put_one(c"[")
        text.put_integer(kind.content)
        text.put(b',"', 2)
        _put_moment(text, &event.time)
        text.put(b'",{', 3)
        if kind.located_first:
            text.put(b'"location":"', 12)
            text.put_span(event.location)
            text.put(b'","', 3)
            text.put(PyBytes_AS_STRING(kind.document), PyBytes_GET_SIZE(kind.document))
            text.put(b'":"', 3)
            text.put_span(event.document)
        else:
            text.put_one(c'"')
            text.put(PyBytes_AS_STRING(kind.document), PyBytes_GET_SIZE(kind.document))
            text.put(b'":"', 3)
            text.put_span(event.document)
            text.put(b'","location":"', 14)
            text.put_span(event.location)
        text.put(b'","lines":[', 11)
        for place in range(event.lines):
            line = &self._lines[place]
            if place:
                text.put_one(c",")
            text.put(b'{"line":', 8)
            text.put_integer(line.line)
            text.put(b',"sku":"', 8)
            text.put_span(line.sku)
            text.put(b'","quantity":', 13)
            text.put_integer(line.quantity)
            if line.each:
                text.put(b',"uom":"each"', 13)
            if line.kept.size:
                text.put(b',"', 2)
                text.put(PyBytes_AS_STRING(kind.kept), PyBytes_GET_SIZE(kind.kept))
                text.put(b'":"', 3)
                text.put_span(line.kept)
                text.put_one(c'"')
            text.put_one(c"}")
        text.put_one(c"]")
        if event.disposition.size:
            text.put(b',"disposition":"', 16)
            text.put_span(event.disposition)
            text.put_one(c'"')
        text.put(b"}]", 2)
        return text.taken()

    cdef Text _sold(self, Event* event):
        """What `models.arrival.Sold` keeps of a sale."""
        cdef Text text = self._text
        cdef Py_ssize_t place
        text.size = 0
        text.put(b'["', 2)
        text.put_span(event.document)
        text.put(b'",[', 3)
        for place in range(event.lines):
            if place:
                text.put_one(c",")
            text.put_one(c"[")
            text.put_integer(self._lines[place].line)
            text.put(b',"', 2)
            text.put_span(self._lines[place].sku)
            text.put(b'",', 2)
            text.put_integer(self._lines[place].quantity)
            text.put(b",0]", 3)
        text.put(b"]]", 2)
        return text

    cdef int _emit(self, Kind kind, Event* event, long long ordinal) except -1:
        """A movement for each line, in the pack of its SKU's partition."""
        cdef Text text
        cdef Py_ssize_t place
        cdef Line* line
        cdef bytes bucket
        cdef unsigned int number
        for place in range(event.lines):
            line = &self._lines[place]
            number = partition_of(line.sku.at, line.sku.size, len(self._packs))
            text = (<Pack>self._packs[number]).next()
            if kind.is_decision:
                text.put(b'["return","', 11)
            else:
                text.put(b'["delta","', 10)
            text.put_span(line.sku)
            text.put(b'","', 3)
            text.put_span(event.location)
            text.put(b'",', 2)
            text.put_integer(self._number)
            text.put_one(c",")
            text.put_integer(self._own)
            text.put_one(c",")
            text.put_integer(ordinal + place)
            text.put(b',"', 2)
            text.put_span(event.source)
            text.put(b'",', 2)
            text.put_integer(event.epoch)
            text.put_one(c",")
            text.put_integer(event.sequence)
            text.put_one(c",")
            text.put_integer(line.line)
            text.put_one(c",")
            text.put_integer(event.time.at)
            text.put(b',"in_order",null,"', 18)
            if kind.is_decision:
                _put_decision(text, event, line)
                continue
            text.put(PyBytes_AS_STRING(kind.cause), PyBytes_GET_SIZE(kind.cause))
            text.put(b'","', 3)
            bucket = kind.bucket
            if line.kept.size:
                bucket = kind.buckets[line.kept.at[: line.kept.size]]
            text.put(PyBytes_AS_STRING(bucket), PyBytes_GET_SIZE(bucket))
            text.put(b'",', 2)
            text.put_integer(kind.sign * line.quantity)
            text.put_one(c"]")
        return 0


cdef int _put_decision(Text text, Event* event, Line* line) except -1:
    """What a movement of a return has of its own, within the quotes of its first field."""
    text.put_span(event.document)
    text.put(b'",', 2)
    text.put_integer(line.line)
    text.put(b',"disposed",', 12)
    text.put_integer(line.quantity)
    text.put(b',"', 2)
    text.put_span(line.kept if line.kept.size else event.disposition)
    return text.put(b'",null,null]', 12)


cdef bint _is_among(Span name, list names) except -1:
    cdef str one
    for one in names:
        if PyUnicode_IS_COMPACT_ASCII(one) and equals(
            name, <const char*>PyUnicode_DATA(one), PyUnicode_GET_LENGTH(one)
        ):
            return True
    return False


cdef bint _names_one(Span name, dict names) except -1:
    return name.at[: name.size] in names


cdef bint _is_one_of(Span key, const char* names) noexcept nogil:
    """Whether `key` is among names that each end with a zero, the last with two."""
    cdef Py_ssize_t size
    while names[0]:
        size = 0
        while names[size]:
            size += 1
        if equals(key, names, size):
            return 1
        names += size + 1
    return 0


cdef bint _read_word(Reader* reader, const char* word, Py_ssize_t size) noexcept nogil:
    skip_space(reader)
    if reader.end - reader.at < size or not equals(Span(reader.at, size), word, size):
        return 0
    reader.at += size
    return 1


cdef bint _read_null(Reader* reader) noexcept nogil:
    return _read_word(reader, b"null", 4)


cdef bint _skip_scalar(Reader* reader) noexcept nogil:
    """Pass the value of a field that nobody knows."""
    cdef Span told
    cdef long long number
    skip_space(reader)
    if reader.at < reader.end and reader.at[0] == c'"':
        return read_text(reader, &told)
    if _read_null(reader) or _read_word(reader, b"true", 4) or _read_word(reader, b"false", 5):
        return 1
    return read_integer(reader, &number)


cdef bint _read_sequence(Reader* reader, long long* sequence) noexcept nogil:
    """A number, or a string of up to 15 digits."""
    cdef Span told
    cdef Py_ssize_t place
    skip_space(reader)
    if reader.at == reader.end or reader.at[0] != c'"':
        return read_integer(reader, sequence) and 0 <= sequence[0] <= LATEST_SEQUENCE
    if not read_text(reader, &told) or not 0 < told.size <= 15:
        return 0
    sequence[0] = 0
    for place in range(told.size):
        if not c"0" <= told.at[place] <= c"9":
            return 0
        sequence[0] = sequence[0] * 10 + (told.at[place] - c"0")
    return 1


cdef int _digits(const char* at, int size) noexcept nogil:
    """The number of so many digits, -1 where one is none."""
    cdef int found = 0, place
    for place in range(size):
        if not c"0" <= at[place] <= c"9":
            return -1
        found = found * 10 + (at[place] - c"0")
    return found


cdef bint _read_moment(Reader* reader, Moment* moment) noexcept nogil:
    """A time in UTC, to the microsecond: `2026-11-02T09:00:00Z`, or with a fraction, or `+00:00`."""
    cdef Span told
    cdef int year, month, day, hour, minute, second, length
    cdef Py_ssize_t place = 19
    cdef long long fraction = 0, days, shifted
    if not read_text(reader, &told) or told.size < 20:
        return 0
    year, month, day = _digits(told.at, 4), _digits(told.at + 5, 2), _digits(told.at + 8, 2)
    hour, minute = _digits(told.at + 11, 2), _digits(told.at + 14, 2)
    second = _digits(told.at + 17, 2)
    if not (
        told.at[4] == c"-" and told.at[7] == c"-" and told.at[10] == c"T"
        and told.at[13] == c":" and told.at[16] == c":"
        and FIRST_YEAR <= year < YEAR_AFTER and 1 <= month <= 12
        and 0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59
    ):
        return 0
    length = 31 - (month in (4, 6, 9, 11))
    if month == 2:
        length = 28 + (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0))
    if not 1 <= day <= length:
        return 0
    if told.at[place] == c".":
        place += 1
        while place < told.size and c"0" <= told.at[place] <= c"9":
            if place == 26:
                return 0
            fraction = fraction * 10 + (told.at[place] - c"0")
            place += 1
        if place == 20:
            return 0
        for _ in range(26 - place):
            fraction *= 10
    if not equals(Span(told.at + place, told.size - place), b"Z", 1):
        if not equals(Span(told.at + place, told.size - place), b"+00:00", 6):
            return 0
    # Days since 1970, of years that begin in March, so that leap days come last.
    shifted = year - (month <= 2)
    days = shifted * 365 + shifted // 4 - shifted // 100 + shifted // 400
    days += (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1 - 719468
    moment.at = ((days * 24 + hour) * 60 + minute) * 60 + second
    moment.at = moment.at * 1000000 + fraction
    moment.second = Span(told.at, 19)
    moment.fraction = fraction
    return 1


cdef int _put_moment(Text text, Moment* moment) except -1:
    """A time as `msgspec` writes it."""
    cdef char digits[7]
    cdef long long left = moment.fraction
    cdef int place
    text.put_span(moment.second)
    if left:
        digits[0] = c"."
        for place in range(6, 0, -1):
            digits[place] = <char>(c"0" + left % 10)
            left //= 10
        text.put(digits, 7)
    return text.put_one(c"Z")


def placed(bytes key not None, unsigned int partitions):
    """The partition of a key, for who holds it against a client's."""
    return partition_of(PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key), partitions)
