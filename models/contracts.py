"""The public contracts as documents: a JSON Schema per event type, AsyncAPI for the topics."""

from typing import Any, Final

import msgspec

from models import events, topics
from models.channels import AllocationRow
from models.events import Event, service
from models.ledger import LedgerEntry
from models.outcomes import REMEDIES

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"

_WRITTEN_BY_SOURCES: Final = {
    topics.POS_SALES: "Sales, voids and returns at the till. Key: the source.",
    topics.WAREHOUSE_RECEIPTS: "Receipts, advices, transfers, counts, books. Key: the source.",
    topics.RETURNS_DISPOSITIONS: "The stages of returns. Key: the source.",
    topics.ORDERS_RESERVATIONS: "Commands of order systems. Key: the reservation.",
}


def public_types() -> dict[str, tuple[str, type[Event]]]:
    """Topic and type of every event that others may write; controls have no one topic."""
    found = {
        events.type_of(kind): (topic, kind)
        for topic, kinds in events.BY_TOPIC.items()
        for kind in kinds
        if not events.type_of(kind).startswith(events.SERVICE_PREFIX)
    }
    for kind in (service.HeartbeatSent, service.EpochOpened):
        found[events.type_of(kind)] = ("", kind)
    return dict(sorted(found.items()))


def schema_of(kind: type[Event]) -> dict[str, Any]:
    """The JSON Schema of one event type. Rules beyond it are in the description."""
    (schema,), definitions = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    name = str(schema["$ref"]).rpartition("/")[2]
    return {
        "$schema": DIALECT,
        "$id": f"urn:onhand:{events.type_of(kind)}",
        "title": events.type_of(kind),
        "$comment": "Unknown fields are ignored. Line numbers of an event are unique. "
        "Times lie in the years 2000 to 2199.",
        **definitions.pop(name),
        "$defs": definitions,
    }


def schemas() -> dict[str, dict[str, Any]]:
    """The JSON Schemas of all public event types, by type."""
    return {name: schema_of(kind) for name, (_, kind) in public_types().items()}


def asyncapi(version: str) -> dict[str, Any]:
    """The topics that others write and read, as an AsyncAPI 3.0 document."""
    messages: dict[str, Any] = {
        name: {
            "name": name,
            "contentType": "application/cloudevents+json",
            "payload": {"$ref": f"schemas/{name}.json"},
        }
        for name in public_types()
    }
    messages["ledger"] = _message("An array of ledger entries", list[LedgerEntry])
    messages["allocation"] = _message("What a channel may sell of a SKU", AllocationRow)
    messages["dead-letter"] = {
        "name": "dead-letter",
        "summary": "The exact bytes that could not be taken",
        "headers": {
            "type": "object",
            "properties": {
                "onhand-code": {"type": "string", "enum": [code.value for code in REMEDIES]},
                **{
                    f"onhand-{part}": {"type": "string"}
                    for part in (
                        *("reason", "topic", "partition", "offset", "index", "sku"),
                        *("correlationid", "causationid", "traceparent"),
                    )
                },
            },
        },
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Onhand",
            "version": version,
            "description": "A record holds one CloudEvent, or an array of them of one source.",
        },
        "channels": _channels(),
        "operations": _operations(),
        "components": {"messages": messages},
    }


def _message(summary: str, kind: Any) -> dict[str, Any]:
    (schema,), definitions = msgspec.json.schema_components((kind,), ref_template="#/$defs/{name}")
    payload = {**schema, "$defs": definitions}
    return {"summary": summary, "contentType": "application/json", "payload": payload}


def _channels() -> dict[str, Any]:
    named: dict[str, tuple[str, list[str]]] = {
        topic: (text, [name for name, (home, _) in public_types().items() if home in (topic, "")])
        for topic, text in _WRITTEN_BY_SOURCES.items()
    }
    named[topics.ORDERS_RESERVATIONS] = (
        _WRITTEN_BY_SOURCES[topics.ORDERS_RESERVATIONS],
        [name for name, (home, _) in public_types().items() if home == topics.ORDERS_RESERVATIONS],
    )
    named[topics.INVENTORY_LEDGER] = ("What each line did to its row.", ["ledger"])
    latest = "Compacted: the latest by channel, SKU; merge by version. A tombstone: it is gone."
    named[topics.CHANNEL_ALLOCATIONS] = (latest, ["allocation"])
    named[topics.DEAD_LETTERS] = ("What could not be taken, with its place.", ["dead-letter"])
    return {
        topic: {
            "address": topic,
            "description": text,
            "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in sorted(names)},
        }
        for topic, (text, names) in named.items()
    }


def _operations() -> dict[str, Any]:
    taken = {
        f"take-{topic}": {"action": "receive", "channel": {"$ref": f"#/channels/{topic}"}}
        for topic in _WRITTEN_BY_SOURCES
    }
    told = (topics.INVENTORY_LEDGER, topics.CHANNEL_ALLOCATIONS, topics.DEAD_LETTERS)
    return taken | {
        f"tell-{topic}": {"action": "send", "channel": {"$ref": f"#/channels/{topic}"}}
        for topic in told
    }
