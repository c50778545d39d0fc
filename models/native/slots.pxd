# Fields of msgspec structs, read and written in place.
#
# A field of a struct is a slot at a fixed place in the object, which the class's member
# descriptor names. Going through attributes costs ten times as much. Only for fields that hold
# numbers, text, or structs without cycles: the garbage collector is not told of what is written.

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF

cdef extern from *:
    """
    #include <Python.h>
    #include <structmember.h>

    /* Beyond it a number is for Python, which has no largest one. */
    #define LARGEST (1LL << 62)
    """
    const long long LARGEST
    long long PyLong_AsLongLongAndOverflow(object number, int* overflow) except? -1

    ctypedef struct PyMemberDef:
        Py_ssize_t offset
    ctypedef struct PyMemberDescrObject:
        PyMemberDef* d_member


cdef inline Py_ssize_t place_of(object kind, str name) except -1:
    """Where a field stands. Raises TypeError where it is no plain slot."""
    descriptor = getattr(kind, name)
    if type(descriptor).__name__ != "member_descriptor":
        raise TypeError(f"{kind.__name__}.{name} is no slot")
    return (<PyMemberDescrObject*><void*>descriptor).d_member.offset


cdef inline object field(object struct, Py_ssize_t place):
    return <object>(<PyObject**>(<char*><void*>struct + place))[0]


cdef inline long long number(object struct, Py_ssize_t place) except? -1:
    """A whole number; beyond LARGEST where it is none that can be counted on with."""
    cdef int overflow
    cdef long long found = PyLong_AsLongLongAndOverflow(field(struct, place), &overflow)
    return found if not overflow else overflow * LARGEST


cdef inline bint is_small(long long number) noexcept nogil:
    return -LARGEST < number < LARGEST


cdef inline void set_field(object struct, Py_ssize_t place, object value) noexcept:
    cdef PyObject** slot = <PyObject**>(<char*><void*>struct + place)
    cdef PyObject* old = slot[0]
    Py_INCREF(value)
    slot[0] = <PyObject*>value
    Py_XDECREF(old)


cdef inline bint holds(object struct, Py_ssize_t place, PyObject* value) noexcept:
    """Whether a field is `value` itself."""
    return (<PyObject**>(<char*><void*>struct + place))[0] == value
