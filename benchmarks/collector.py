"""What a measuring process does about its own garbage collector."""

import gc


def settle() -> None:
    """Have what is there now never looked at again.

    A full collection, by chance in the midst of what is measured, held all that was under
    way up for 84 ms, as if the service had.
    """
    gc.collect()
    gc.freeze()
