"""When something happened: zones, device clocks, silence, business days."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from models.clock import Skew, Timed, business_day, corrected, observe, resolve
from models.instants import from_datetime
from models.silence import silent_since
from tests import builders as b

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = 60_000_000


def at(text, day=b.DAY):
    return from_datetime(datetime.fromisoformat(b.moment(text, day)))


def learned(*contacts):
    skew = None
    for sent, received in contacts:
        skew = observe(skew, at(sent), at(received))
    return skew


@pytest.mark.parametrize(
    ("local", "before", "expected"),
    [
        ("2026-07-01T12:00:00", None, ("2026-07-01T10:00:00Z", ())),
        ("2026-10-25T02:30:00", None, ("2026-10-25T00:30:00Z", ("time_ambiguous",))),
        ("2026-10-25T02:30:00", "2026-10-25T00:20:00Z", (None, ("time_ambiguous",))),
        (
            "2026-10-25T02:30:00",
            "2026-10-25T00:40:00Z",
            ("2026-10-25T01:30:00Z", ("time_repeated",)),
        ),
        ("2026-03-29T02:30:00", None, ("2026-03-29T01:30:00Z", ("time_skipped",))),
    ],
)
def test_a_local_time_is_resolved_by_its_zone_and_the_order_of_its_source(local, before, expected):
    found = resolve(datetime.fromisoformat(local), BERLIN, at(before) if before else None)
    wanted = expected[0] or "2026-10-25T00:30:00Z"
    assert found == Timed(at(wanted), expected[1])


def test_a_clock_that_is_ahead_is_corrected_at_once_as_delay_is_never_negative():
    skew = learned(("09:10", "09:00"))
    assert corrected(at("09:09"), at("09:10"), at("09:00"), skew) == Timed(
        at("08:59"), ("skew_corrected",)
    )


def test_a_delay_is_no_skew_until_three_contact_hours_agree():
    two = learned(("08:55", "09:00"), ("09:55", "10:00"))
    three = learned(("08:55", "09:00"), ("09:55", "10:00"), ("10:55", "11:00"))
    differ = learned(("08:55", "09:00"), ("09:55", "10:00"), ("10:50", "11:00"))
    assert [one.correction() for one in (two, three, differ)] == [0, 5 * MINUTE, 0]
    unproven = corrected(at("09:54"), at("09:55"), at("10:00"), two)
    assert unproven == Timed(at("09:54"), ("skew_unproven",))


def test_a_clock_that_was_set_back_is_learned_anew():
    assert learned(("09:10", "09:00"), ("09:05", "09:05")).correction() == 0


def test_below_two_seconds_nothing_is_corrected():
    assert learned(("09:00:01", "09:00")).correction() == 0
    assert Skew(0, -2_000_000).correction() == -2_000_000


def test_nothing_happens_after_it_was_sent_or_far_after_it_was_received():
    skew = learned(("09:00", "09:00"))
    assert corrected(at("09:30"), at("09:00"), at("09:00"), skew) == Timed(
        at("09:00"), ("after_sending",)
    )
    assert corrected(at("12:00"), None, at("09:00"), None) == Timed(
        at("09:00"), ("future_clamped",)
    )
    assert corrected(at("09:04"), None, at("09:00"), None) == Timed(at("09:04"))


@pytest.mark.parametrize(
    ("now", "since"),
    [
        ("2026-11-02T20:10:00Z", None),
        ("2026-11-03T03:00:00Z", None),
        ("2026-11-03T09:10:00Z", None),
        ("2026-11-03T10:00:00Z", "2026-11-03T09:15:00Z"),
        ("2026-11-04T03:00:00Z", "2026-11-03T09:15:00Z"),
    ],
)
def test_a_closed_store_is_not_silent(now, since):
    hours = {str(day): ("09:00", "20:00") for day in range(7)}
    last = at("2026-11-02T19:58:00Z")
    found = silent_since(last, at(now), 900, hours, ZoneInfo("UTC"))
    assert found == (None if since is None else at(since))


def test_a_day_of_business_may_end_after_midnight():
    late = at("2026-11-03T01:30:00Z")
    assert business_day(late, BERLIN, "03:00") == "2026-11-02"
    assert business_day(late, BERLIN, "00:00") == "2026-11-03"
