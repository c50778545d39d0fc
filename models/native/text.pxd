# JSON as text: spans of it read in place, and pieces of it written into a buffer.
#
# Readers return 0 for whatever is not of the plainest form (an escape, a character outside
# ASCII, a number with a fraction): it is for the general decoder to say whether that is good.

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.mem cimport PyMem_Free, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DecodeASCII
from libc.string cimport memchr, memcmp, memcpy

cdef extern from *:
    """
    /* 00 to 99. */
    static const char TWO_DIGITS[] =
        "00010203040506070809101112131415161718192021222324"
        "25262728293031323334353637383940414243444546474849"
        "50515253545556575859606162636465666768697071727374"
        "75767778798081828384858687888990919293949596979899";
    """
    const char* TWO_DIGITS

cdef struct Span:
    const char* at
    Py_ssize_t size

cdef struct Reader:
    const char* at
    const char* end


cdef inline str text_of(Span span):
    return PyUnicode_DecodeASCII(span.at, span.size, NULL)


cdef inline bint equals(Span span, const char* text, Py_ssize_t size) noexcept nogil:
    return span.size == size and memcmp(span.at, text, size) == 0


cdef inline void skip_space(Reader* reader) noexcept nogil:
    while reader.at < reader.end and reader.at[0] in (32, 9, 10, 13):
        reader.at += 1


cdef inline bint take(Reader* reader, char wanted) noexcept nogil:
    """Whether the next character, spaces aside, is `wanted`; it is passed."""
    skip_space(reader)
    if reader.at < reader.end and reader.at[0] == wanted:
        reader.at += 1
        return 1
    return 0


cdef inline bint read_text(Reader* reader, Span* span) noexcept nogil:
    """A string of printable ASCII without escapes."""
    cdef unsigned char one
    if not take(reader, c'"'):
        return 0
    span.at = reader.at
    while reader.at < reader.end:
        one = <unsigned char>reader.at[0]
        if one == c'"':
            span.size = reader.at - span.at
            reader.at += 1
            return 1
        if one < 0x20 or one >= 0x7F or one == c"\\":
            return 0
        reader.at += 1
    return 0


cdef inline bint read_integer(Reader* reader, long long* number) noexcept nogil:
    """A whole number of up to 18 digits, as JSON writes it."""
    cdef long long found = 0
    cdef bint negative = 0
    cdef const char* start
    skip_space(reader)
    if reader.at < reader.end and reader.at[0] == c"-":
        negative = 1
        reader.at += 1
    start = reader.at
    while reader.at < reader.end and c"0" <= reader.at[0] <= c"9":
        if reader.at - start == 18:
            return 0
        found = found * 10 + (reader.at[0] - c"0")
        reader.at += 1
    if reader.at == start or (start[0] == c"0" and (negative or reader.at - start > 1)):
        return 0
    if reader.at < reader.end and reader.at[0] in (c".", c"e", c"E"):
        return 0
    number[0] = -found if negative else found
    return 1


cdef inline bint skip_value(Reader* reader) noexcept nogil:
    """Pass an object or array to its end; it is not checked what it holds."""
    return leave(reader, 0)


cdef inline bint leave(Reader* reader, Py_ssize_t depth) noexcept nogil:
    """Pass the ends of as many objects or arrays as the reader is in, of the next one for 0."""
    cdef bint quoted = 0
    cdef char one
    while reader.at < reader.end:
        one = reader.at[0]
        reader.at += 1
        if quoted:
            if one == c"\\":
                reader.at += 1
            elif one == c'"':
                quoted = 0
        elif one == c'"':
            quoted = 1
        elif one == c"{" or one == c"[":
            depth += 1
        elif one == c"}" or one == c"]":
            depth -= 1
            if depth == 0:
                return reader.at <= reader.end
    return 0


cdef inline Py_ssize_t size_of(holder) except -1:
    """How many bytes an object has."""
    cdef Py_buffer held
    PyObject_GetBuffer(holder, &held, PyBUF_SIMPLE)
    PyBuffer_Release(&held)
    return held.len


cdef inline int digits_of(unsigned long long number) noexcept nogil:
    """How many digits it is written with."""
    cdef int digits = 1
    while number >= 10000:
        number //= 10000
        digits += 4
    return digits + (number >= 10) + (number >= 100) + (number >= 1000)


cdef class Text:
    """A buffer that grows."""

    cdef char* start
    cdef Py_ssize_t size
    cdef Py_ssize_t room

    cdef int grow(self, Py_ssize_t more) except -1

    cdef inline int put(self, const char* at, Py_ssize_t size) except -1:
        if self.size + size > self.room:
            self.grow(size)
        memcpy(self.start + self.size, at, size)
        self.size += size
        return 0

    cdef inline int put_buffer(self, holder) except -1:
        """All bytes of an object that has them."""
        cdef Py_buffer held
        PyObject_GetBuffer(holder, &held, PyBUF_SIMPLE)
        try:
            return self.put(<const char*>held.buf, held.len)
        finally:
            PyBuffer_Release(&held)

    cdef inline int put_span(self, Span span) except -1:
        return self.put(span.at, span.size)

    cdef inline int put_one(self, char one) except -1:
        if self.size + 1 > self.room:
            self.grow(1)
        self.start[self.size] = one
        self.size += 1
        return 0

    cdef inline int put_integer(self, long long number) except -1:
        cdef unsigned long long left
        cdef char* at
        if self.size + 20 > self.room:
            self.grow(20)
        if number < 0:
            self.start[self.size] = c"-"
            self.size += 1
            left = 0 - <unsigned long long>number
        else:
            left = <unsigned long long>number
        # In place, from the end: a copy would wait for what was written a moment before.
        self.size += digits_of(left)
        at = self.start + self.size
        while left >= 100:
            at -= 2
            memcpy(at, TWO_DIGITS + 2 * <int>(left % 100), 2)
            left //= 100
        if left >= 10:
            memcpy(at - 2, TWO_DIGITS + 2 * <int>left, 2)
        else:
            at[-1] = <char>(c"0" + left)
        return 0

    cdef inline bytes taken(self):
        """What was written; the buffer is empty again."""
        cdef bytes written = PyBytes_FromStringAndSize(self.start, self.size)
        self.size = 0
        return written


cdef class Pack:
    """JSON values on their way out, in arrays of up to `most`."""

    cdef Text _text
    cdef list _records
    cdef Py_ssize_t _most
    cdef Py_ssize_t _size

    cdef inline Text next(self):
        """Where the next value is to be written."""
        if self._size == self._most:
            self._close()
        self._text.put_one(c"," if self._size else c"[")
        self._size += 1
        return self._text

    cdef int _close(self) except -1
