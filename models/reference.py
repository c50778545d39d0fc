"""Reference data: what the service is told about locations, items and sources.

Every value keeps its earlier versions, by the offset at which each was written, so that
a record can be processed anew with what was known when it was first processed.
"""

from bisect import bisect_left
from typing import Final, Literal

import msgspec
from msgspec import Struct, field

from models import topics
from models.instants import Instant

DEFAULT_CADENCE: Final = 900
"""Seconds of silence, within opening hours, after which a source counts as silent."""


class LocationFacts(Struct, omit_defaults=True):
    """`hours` are opening and closing times by weekday (0 is Monday), local, `HH:MM`.

    `zone` is an IANA name. `day_starts` is when a business day begins, local `HH:MM`.
    `authority` says which system's book is followed where books disagree.
    """

    zone: str | None = None
    groups: list[str] = field(default_factory=list)
    hours: dict[str, tuple[str, str]] = field(default_factory=dict)
    day_starts: str = "00:00"
    authority: str | None = None


class Pack(Struct, omit_defaults=True):
    """One `uom` is `units` base units, for what happened from `since` on."""

    uom: str
    units: int
    since: Instant | None = None


class Alias(Struct, omit_defaults=True):
    """Another code of an item: a barcode, a supplier's code; its own from `since` on."""

    code: str
    since: Instant | None = None


class ItemFacts(Struct, omit_defaults=True):
    """What is known of an item."""

    aliases: list[Alias] = field(default_factory=list)
    packs: list[Pack] = field(default_factory=list)


class Assigned(Struct, omit_defaults=True):
    """A code means `sku` for what happened from `since` until before `until`."""

    sku: str
    since: Instant | None = None
    until: Instant | None = None


class AliasFacts(Struct):
    """Whom a code has belonged to."""

    assigned: list[Assigned] = field(default_factory=list)


class SourceFacts(Struct, omit_defaults=True):
    """`cadence_seconds`: how often it is heard when open. `unknown_items`: pass or hold them."""

    cadence_seconds: int = DEFAULT_CADENCE
    unknown_items: Literal["pass", "hold"] = "pass"
    local_time: bool = False


Facts = LocationFacts | ItemFacts | AliasFacts | SourceFacts


class Stated(Struct):
    """A value as it stands in a reference topic. `earlier` are [offset, value], ascending."""

    value: msgspec.Raw
    earlier: list[tuple[int, msgspec.Raw]] = field(default_factory=list)


_KINDS: Final[dict[str, type[Facts]]] = {
    "location": LocationFacts,
    "item": ItemFacts,
    "alias": AliasFacts,
    "source": SourceFacts,
}
TOPIC_OF_KIND: Final = {
    "location": topics.REFERENCE_LOCATIONS,
    "item": topics.REFERENCE_ITEMS,
    "alias": topics.REFERENCE_ITEMS,
    "source": topics.REFERENCE_SOURCES,
}
_decode = msgspec.json.Decoder(Stated).decode


def reference_key(kind: str, name: str) -> str:
    """The key of a value in its topic."""
    return f"{kind}|{name}"


def stated(value: Facts, known: "list[tuple[int, Facts]]") -> bytes:
    """The record's value for `value`, with the versions `known` before it."""
    return msgspec.json.encode({"value": value, "earlier": known})


class Catalog:
    """Every version of every value, as far as the reference topics were read."""

    def __init__(self) -> None:
        self._versions: dict[str, list[tuple[int, Facts]]] = {}
        self.ends: dict[str, int] = dict.fromkeys(topics.REFERENCE_TOPICS, 0)
        """The next offset of each reference topic."""

    def take(self, topic: str, key: str, offset: int, value: bytes) -> bool:
        """Take one record of a reference topic; False where it holds no reference data."""
        self.ends[topic] = max(self.ends[topic], offset + 1)
        facts = _KINDS.get(key.partition("|")[0])
        if facts is None:
            return False
        known = dict(self._versions.get(key, ()))
        try:
            found = _decode(value)
            for earlier, raw in found.earlier:
                known.setdefault(earlier, msgspec.json.decode(raw, type=facts))
            known[offset] = msgspec.json.decode(found.value, type=facts)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        self._versions[key] = sorted(known.items(), key=lambda version: version[0])
        return True

    def versions(self, kind: str, name: str) -> list[tuple[int, Facts]]:
        """What was ever stated of a name: (offset, value), ascending."""
        return self._versions.get(reference_key(kind, name), [])

    def names(self, kind: str) -> list[str]:
        """Every name of a kind, in order."""
        prefix = reference_key(kind, "")
        return sorted(key[len(prefix) :] for key in self._versions if key.startswith(prefix))


class Reference:
    """The catalog as it stood before given offsets, by reference topic.

    `plain` says that there was nothing, so that nothing needs to be looked up.
    """

    def __init__(self, catalog: Catalog, offsets: dict[str, int]) -> None:
        self._catalog = catalog
        self.offsets = offsets
        self.plain = not any(offsets.values())
        self._is_read = False
        self._own_codes: dict[str, bool] = {}
        self._passing: dict[str, bool] = {}

    def is_read(self) -> bool:
        """Whether the catalog has all of it by now; before that nothing may be looked up."""
        if not self._is_read:
            ends = self._catalog.ends
            self._is_read = all(ends.get(topic, 0) >= end for topic, end in self.offsets.items())
        return self._is_read

    def _find(self, kind: str, name: str) -> Facts | None:
        versions = self._catalog.versions(kind, name)
        if not versions:
            return None
        before = self.offsets.get(TOPIC_OF_KIND[kind], 0)
        if versions[-1][0] < before:
            return versions[-1][1]
        place = bisect_left(versions, before, key=lambda version: version[0])
        return versions[place - 1][1] if place else None

    def location(self, name: str) -> LocationFacts | None:
        """What is known of a location."""
        found = self._find("location", name)
        return found if isinstance(found, LocationFacts) else None

    def item(self, sku: str) -> ItemFacts | None:
        """What is known of an item."""
        found = self._find("item", sku)
        return found if isinstance(found, ItemFacts) else None

    def source(self, name: str) -> SourceFacts | None:
        """What is known of a source."""
        found = self._find("source", name)
        return found if isinstance(found, SourceFacts) else None

    def sku_of(self, code: str, at: Instant) -> str | None:
        """Whose code it was at `at`; None where it is nobody's."""
        found = self._find("alias", code)
        if not isinstance(found, AliasFacts):
            return None
        for one in reversed(found.assigned):
            begun = one.since is None or one.since <= at
            if begun and (one.until is None or at < one.until):
                return one.sku
        return None

    def is_own_code(self, code: str) -> bool:
        """Whether a code is never another item's."""
        found = self._own_codes.get(code)
        if found is None:
            found = self._own_codes[code] = self._find("alias", code) is None
        return found

    def passes_all_of(self, name: str) -> bool:
        """Whether items of a source that are not known are taken as they are."""
        found = self._passing.get(name)
        if found is None:
            facts = self.source(name)
            found = self._passing[name] = facts is None or facts.unknown_items == "pass"
        return found

    def units_of(self, sku: str, uom: str, at: Instant) -> int | None:
        """Base units in one `uom` of an item at `at`; None where that is not known."""
        item = self.item(sku)
        if item is None:
            return None
        packs = [pack for pack in item.packs if pack.uom == uom and (pack.since or at) <= at]
        latest = max(packs, key=lambda pack: pack.since or -(2**62), default=None)
        return latest.units if latest is not None else None


def statements(
    catalog: Catalog, kind: str, name: str, facts: Facts
) -> list[tuple[str, str, Facts]]:
    """What is to be written so that `facts` hold: kind, name and value of each record.

    An item's codes are values of their own, so that one that goes over from another item
    does so in one record.
    """
    made: list[tuple[str, str, Facts]] = [(kind, name, facts)]
    if not isinstance(facts, ItemFacts):
        return made
    versions = catalog.versions("item", name)
    before = versions[-1][1] if versions else ItemFacts()
    had = {one.code for one in before.aliases} if isinstance(before, ItemFacts) else set()
    made += [("alias", one.code, _assigned(catalog, one, name)) for one in facts.aliases]
    for code in sorted(had - {one.code for one in facts.aliases}):
        left = [one for one in _known_assigned(catalog, code) if one.sku != name]
        made.append(("alias", code, AliasFacts(left)))
    return made


def _known_assigned(catalog: Catalog, code: str) -> list[Assigned]:
    versions = catalog.versions("alias", code)
    latest = versions[-1][1] if versions else None
    return latest.assigned if isinstance(latest, AliasFacts) else []


def _assigned(catalog: Catalog, alias: Alias, sku: str) -> AliasFacts:
    since = alias.since
    if since is None:
        return AliasFacts([Assigned(sku)])
    before = [
        Assigned(one.sku, one.since, min(since, one.until) if one.until is not None else since)
        for one in _known_assigned(catalog, alias.code)
        if one.since is None or one.since < since
    ]
    return AliasFacts([*before, Assigned(sku, since)])


NO_REFERENCE: Final = Reference(Catalog(), {})
