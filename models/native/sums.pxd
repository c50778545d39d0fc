# See sums.pyx.

from models.native.text cimport Reader


cdef bint find_newest(Reader reader, long long* newest) noexcept nogil
