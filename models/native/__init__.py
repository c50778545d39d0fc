"""The commonest cases, compiled: see docs/decisions/0016-the-plain-way-is-compiled.md.

Where they were not compiled, everything goes the general way, with the same results.
"""

try:
    from models.native.intake import PlainEvents
    from models.native.inventory import PlainDeltas
except ImportError:
    PlainDeltas = PlainEvents = None  # type: ignore[assignment,misc]

__all__ = ["PlainDeltas", "PlainEvents"]
