"""What is done for every record that is fetched or appended, compiled, and where objects are kept.

See `runtime.records`, `runtime.batches` and `runtime.pages`, which do without too.
"""

try:
    from runtime.native.arenas import hold_in_huge_pages
    from runtime.native.records import packed
    from runtime.native.runs import Run, run_of
except ImportError:
    Run = hold_in_huge_pages = packed = run_of = None  # type: ignore[assignment,misc]

__all__ = ["Run", "hold_in_huge_pages", "packed", "run_of"]
