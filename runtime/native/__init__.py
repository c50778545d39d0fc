"""What is done for every record that is fetched or appended, compiled, where it was.

See `runtime.records` and `runtime.batches`, which do without too.
"""

try:
    from runtime.native.records import packed
    from runtime.native.runs import Run, run_of
except ImportError:
    Run = packed = run_of = None  # type: ignore[assignment,misc]

__all__ = ["Run", "packed", "run_of"]
