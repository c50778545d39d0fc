"""How many gaps a source's row has, and at which locations they bear."""

import msgspec


class _Epoch(msgspec.Struct):
    gaps: list[msgspec.Raw] = []


class _Source(msgspec.Struct):
    epochs: list[_Epoch] = []
    locations: list[str] = []


_decode = msgspec.json.Decoder(_Source).decode


def gaps_of(value: bytes) -> tuple[list[str], int]:
    """Locations of a source, and the count of its open gaps."""
    source = _decode(value)
    return source.locations, sum(len(epoch.gaps) for epoch in source.epochs)
