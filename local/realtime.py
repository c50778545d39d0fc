"""`python -m local.realtime COMMAND...`: a command in real time, without bounds.

Where the system does not permit it, it runs like all others.
"""

import contextlib
import os
import sys

from runtime.priority import ROWS


def main() -> None:
    """Become the command."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(ROWS))
    os.execvp(sys.argv[1], sys.argv[1:])


if __name__ == "__main__":
    main()
