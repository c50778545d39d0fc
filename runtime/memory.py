"""What the C library's allocator is told; without glibc, nothing is.

Batches of a megabyte are made and dropped many times a second. By default each is mapped and
unmapped by itself, and the kernel clears its pages anew: that was a fifth of the inventory's work.
A helper's memory is its own by default, which is given back whatever else is said: what it had
compressed into was new each time.
"""

import ctypes
from typing import Any, Final

MEGABYTE: Final = 1024 * 1024

_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
"""mallopt(3)."""


def keep_for_reuse() -> None:
    """Keep memory that is freed, up to 256 MiB, instead of giving it back to be cleared.

    All threads that start from now on share it.
    """
    mallopt = _of_libc("mallopt")
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
        mallopt(_MMAP_THRESHOLD, 32 * MEGABYTE)
        mallopt(_TRIM_THRESHOLD, 256 * MEGABYTE)


def give_back() -> None:
    """Return to the system what was needed for a while."""
    trim = _of_libc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_libc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None)
