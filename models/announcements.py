"""What a source has announced, by advice: so that a revision closes what it leaves out."""

from msgspec import Struct

from models import rows
from models.arrival import NEVER
from models.events.warehouse import ShipmentAdvised
from models.instants import Instant
from models.reading import ReadLine
from models.rows import Document, Rows


class AnnouncedRow(Document, kw_only=True):
    """SKUs of an advice that stand, as stated (time, sequence), and those left out since.

    `final`: a receipt said that nothing more will come.
    """

    stated: tuple[Instant, int]
    skus: list[str]
    gone: list[str] = []
    final: bool = False


class _Line(Struct):
    """A line that was never sent: an advised SKU that a revision leaves out."""

    line: int
    sku: str
    quantity: int = 0


def announced_key(topic: str, source: str, advice: str) -> str:
    """The key of what a source announced by one advice."""
    return rows.key("announced", topic, source, advice)


def announce(
    store: Rows,
    key: str,
    event: ShipmentAdvised,
    lines: list[ReadLine],
    stated: tuple[Instant, int],
    version: int,
) -> list[ReadLine]:
    """The lines of an advice, one per SKU, with those that it leaves out at zero units."""
    known = store.get(key, AnnouncedRow)
    units: dict[str, ReadLine] = {}
    for number, sku, quantity, sent, code in lines:
        first = units.get(sku)
        told = quantity + (first[2] if first is not None else 0)
        units[sku] = (number if first is None else first[0], sku, told, sent, code)
    if known is not None and stated < known.stated:
        left_out = set(known.gone)
        gone = sorted(left_out | (set(units) - set(known.skus)))
        store.put(
            key,
            AnnouncedRow(
                version=version,
                stated=known.stated,
                skus=known.skus,
                gone=gone,
                final=known.final,
            ),
        )
        return [line for sku, line in units.items() if sku in known.skus]
    gone = sorted({*known.skus, *known.gone} - set(units)) if known is not None else []
    standing = [] if event.data.cancelled else sorted(units)
    final = known is not None and known.final
    store.put(
        key, AnnouncedRow(version=version, stated=stated, skus=standing, gone=gone, final=final)
    )
    first_free = max((line[0] for line in lines), default=0) + 1
    zeros = [
        (first_free + place, sku, 0, _Line(first_free + place, sku), None)
        for place, sku in enumerate(gone)
    ]
    return [*units.values(), *zeros]


def end(store: Rows, key: str, lines: list[ReadLine], version: int) -> list[str]:
    """A final receipt came: announced SKUs that it does not name, of which no more will come."""
    known = store.get(key, AnnouncedRow)
    stated = known.stated if known is not None else (NEVER, 0)
    skus = known.skus if known is not None else []
    gone = known.gone if known is not None else []
    store.put(key, AnnouncedRow(version=version, stated=stated, skus=skus, gone=gone, final=True))
    named = {line[1] for line in lines}
    return [sku for sku in skus if sku not in named]


def is_final(store: Rows, key: str) -> bool:
    """Whether a receipt said that nothing more of the advice will come."""
    known = store.get(key, AnnouncedRow)
    return known is not None and known.final
