"""Memory in pages of two megabytes, where the system grants them to whoever asks.

Rows lie wherever there was room, and a processor remembers where a few thousand pages are. Of small
ones that is the place of a few megabytes: nearly every row that is touched is looked up anew, twice
in a virtual machine.
"""

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from runtime import native

_MODE: Final = Path("/sys/kernel/mm/transparent_hugepage/enabled")
"""https://docs.kernel.org/admin-guide/mm/transhuge.html"""

TOLD_IN: Final = "GLIBC_TUNABLES"
TUNABLE: Final = "glibc.malloc.hugetlb"
"""1 has the C library ask, 0 not: the GNU C Library manual, "Memory Allocation Tunables"."""

ASKS: Final = f"{TUNABLE}=1"


def prefer_huge() -> None:
    """Ask for huge pages, unless whoever started the process has said otherwise.

    The C library looks only as it starts whether it is to ask: the process is started anew, with
    the same arguments and identity, so this comes before all else. Where the system grants none,
    or is not known to, nothing happens.
    """
    granted, told = _granted(), os.environ.get(TOLD_IN, "")
    if granted == "never" or f"{TUNABLE}=0" in told:
        return
    if granted == "madvise" and TUNABLE not in told:
        os.environ[TOLD_IN] = f"{told}:{ASKS}" if told else ASKS
        with contextlib.suppress(OSError):
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    if native.hold_in_huge_pages is not None:
        native.hold_in_huge_pages()


def _granted() -> str:
    """To whom the system grants them: `always`, `madvise` to whoever asks, `never`."""
    try:
        modes = _MODE.read_text().split()
    except OSError:
        return "never"
    return next((mode[1:-1] for mode in modes if mode.startswith("[")), "never")
