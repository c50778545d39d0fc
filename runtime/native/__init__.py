"""What is done for every record that is appended, compiled, where it was: see `runtime.batches`."""

try:
    from runtime.native.records import packed
except ImportError:
    packed = None  # type: ignore[assignment]

__all__ = ["packed"]
