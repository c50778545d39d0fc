# cython: language_level=3
# Where Python has its small objects: arenas, which are cut from regions of huge pages.

cdef extern from "<sys/mman.h>" nogil:
    void* mmap(void* near, size_t size, int protection, int flags, int file, long offset)
    int munmap(void* at, size_t size)
    int madvise(void* at, size_t size, int advice)
    void* MAP_FAILED
    int PROT_READ, PROT_WRITE, MAP_PRIVATE, MAP_ANONYMOUS

cdef extern from *:
    """
    #include <sys/mman.h>
    #ifndef MADV_HUGEPAGE
    #define MADV_HUGEPAGE MADV_NORMAL
    #endif
    """
    int MADV_HUGEPAGE

cdef extern from "Python.h":
    ctypedef struct PyObjectArenaAllocator:
        void* ctx
        void* (*alloc)(void* ctx, size_t size) noexcept
        void (*free)(void* ctx, void* at, size_t size) noexcept
    void PyObject_GetArenaAllocator(PyObjectArenaAllocator* allocator)
    void PyObject_SetArenaAllocator(PyObjectArenaAllocator* allocator)

cdef enum:
    HUGE = 2 << 20
    REGION = 32 * HUGE  # bytes; what is not used of it takes no memory

cdef char* _next = NULL
cdef char* _end = NULL


def hold_in_huge_pages():
    """Have objects that are made from now on in huge pages, where there are any."""
    cdef PyObjectArenaAllocator allocator
    PyObject_GetArenaAllocator(&allocator)
    # Arenas from before are given back by what comes now: both map and unmap them.
    allocator.alloc, allocator.free = _take, _give_back
    PyObject_SetArenaAllocator(&allocator)


cdef void* _take(void* ctx, size_t size) noexcept:
    global _next
    cdef char* arena
    if <size_t>(_end - _next) < size and not _map_region():
        return NULL
    arena = _next
    _next += size
    return arena


cdef bint _map_region() noexcept:
    """The next region, which begins where a huge page does."""
    global _next, _end
    cdef char* mapped = <char*>mmap(
        NULL, REGION + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0
    )
    if mapped == <char*>MAP_FAILED:
        return False
    _next = mapped + (-<size_t>mapped) % HUGE
    _end = _next + REGION
    madvise(_next, REGION, MADV_HUGEPAGE)
    return True


cdef void _give_back(void* ctx, void* arena, size_t size) noexcept:
    munmap(arena, size)
