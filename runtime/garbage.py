"""When Python's cyclic collector looks for what it could free."""

import gc


def collect_seldom() -> None:
    """Have it look once hundreds of thousands of objects are new, and never at old ones again.

    For processes that take records: hardly anything in them refers to itself, and records that
    wait are two new objects each. They are to be gone before the collector looks at them.
    """
    gc.set_threshold(200_000, 5, 1_000_000)
