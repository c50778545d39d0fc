"""The contracts say what the code accepts, and old records are still read as they were."""

import copy
import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from local.contracts import documents
from models import counts, events, holds, ledger, movements, topics
from models import documents as papers
from models.announcements import AnnouncedRow
from models.arrival import HashesRow, IdsRow, SourceRow
from models.channels import AllocationRow, ChannelRow
from models.contracts import asyncapi, public_types, schemas
from models.days import DaysRow
from models.decoding import Decoder
from models.normalization import content_hash
from models.orders import OrderRow
from models.returns import ReturnRow
from models.rows import Deleted, decode, encode, head
from models.stock import HistoryRow, StockRow, SumsRow
from streams.engine.position import Position
from streams.holding import HeldRow
from streams.settings import Settings
from streams.topics import configs
from tests.unit.test_decoding import json_values

CORPUS = Path(__file__).parent.parent / "corpus"
DECODERS = {topic: Decoder(topic) for topic in topics.INPUT_TOPICS}
VALIDATORS = {name: Draft202012Validator(schema) for name, schema in schemas().items()}
ROWS = {
    "stock": StockRow,
    "history": HistoryRow,
    "sums": SumsRow,
    "count": counts.CountRow,
    "closed": counts.ClosedRow,
    "days": DaysRow,
    "complete": counts.CompleteRow,
    "advice": papers.AdviceRow,
    "transfer": papers.TransferRow,
    "return": ReturnRow,
    "hold": holds.HoldRow,
    "order": OrderRow,
    "source": SourceRow,
    "hashes": HashesRow,
    "ids": IdsRow,
    "held": HeldRow,
    "announced": AnnouncedRow,
    "position": Position,
    "channel": ChannelRow,
    "allocation": AllocationRow,
}


def kept(name):
    return (CORPUS / name).read_text().splitlines()


EVENTS = [json.loads(line) for line in kept("events.jsonl")]


def test_every_public_type_has_a_kept_event_that_its_schema_and_the_code_accept():
    assert {one["event"]["type"] for one in EVENTS} == set(public_types())
    for one in EVENTS:
        assert DECODERS[one["topic"]].single(json.dumps(one["event"]).encode()) is not None
        VALIDATORS[one["event"]["type"]].validate(one["event"])


def test_the_content_of_a_kept_event_hashes_as_it_did_so_that_its_resend_is_a_duplicate():
    for one in EVENTS:
        if one["hash"] is not None:
            event = DECODERS[one["topic"]].single(json.dumps(one["event"]).encode())
            assert content_hash(event) == one["hash"], one["event"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [("movements.jsonl", movements.AnyMovement), ("ledger.jsonl", ledger.LedgerEntry)],
)
def test_kept_records_of_ours_are_read_and_written_as_they_were(name, kind):
    for line in kept(name):
        assert msgspec.json.encode(msgspec.json.decode(line, type=kind)).decode() == line


def test_every_kind_of_movement_is_kept():
    found = {json.loads(line)[0] for line in kept("movements.jsonl")}
    kinds = {kind.__struct_config__.tag for kind in movements.AnyMovement.__args__}
    assert found == kinds


def test_kept_rows_are_read_and_written_as_they_were():
    for line in kept("rows.jsonl"):
        row = json.loads(line)
        value = row["value"].encode()
        kind = Deleted if head(value)[1] else ROWS[row["key"].partition("|")[0]]
        assert encode(decode(value, kind)).decode() == row["value"]


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_what_the_code_accepts_its_schema_accepts_and_the_other_way_round(data):
    one = data.draw(st.sampled_from(EVENTS))
    event = copy.deepcopy(one["event"])
    target, path = event, []
    while isinstance(target, dict | list) and target:
        names = sorted(target) if isinstance(target, dict) else range(len(target))
        name = data.draw(st.sampled_from(list(names)))
        path.append((target, name))
        target = target[name]
        if data.draw(st.booleans()):
            break
    if path:
        owner, name = path[-1]
        owner[name] = data.draw(json_values)
    if event.get("type") != one["event"]["type"]:
        return
    valid = VALIDATORS[one["event"]["type"]].is_valid(event)
    encoded = json.dumps(event).encode()
    accepted = DECODERS[one["topic"]].single(encoded) is not None
    if accepted:
        assert valid
    elif valid:
        kind = public_types()[one["event"]["type"]][1]
        assert says_why(encoded, kind)


def says_why(encoded, kind):
    """Whether a refusal is about times or a rule beyond the schema, never about its shape."""
    try:
        msgspec.json.decode(encoded, type=kind)
    except msgspec.ValidationError as error:
        # To JSON Schema 1.0 is an integer; here it is not.
        reason = str(error)
        return "RFC3339" in reason or "datetime" in reason or "got `float`" in reason
    return True


def test_the_documents_are_those_of_the_code():
    for path, text in documents().items():
        assert path.read_text() == text, f"{path.name}: run `make contracts`"


def test_the_topics_of_the_contract_exist_and_name_their_events():
    document = asyncapi("0.1.0")
    assert set(document["channels"]) <= set(configs(Settings()))
    for name, channel in document["channels"].items():
        for message in channel["messages"].values():
            found = document["components"]["messages"][message["$ref"].rpartition("/")[2]]
            assert found
        ours = [one for one in channel["messages"] if one in events.TOPIC_OF_TYPE]
        assert all(events.TOPIC_OF_TYPE[one] == name for one in ours)
