"""The run record: which status may follow which, what it says of itself, and that JSON keeps it."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bcecore.errors import RunError
from bcecore.store.identity import ProcessIdentity
from bcecore.store.record import (
    ACTIVE,
    STATUSES,
    TRANSITIONS,
    WAITING,
    Failure,
    Progress,
    RunRecord,
    Status,
    check_transition,
    now,
)

# DESIGN §4, written out once more.
ALLOWED = {
    ("queued", "starting"),
    ("queued", "held"),
    ("held", "queued"),
    ("queued", "removed"),
    ("held", "removed"),
    ("starting", "running"),
    ("starting", "stopped"),
    ("starting", "failed"),
    ("starting", "crashed"),
    ("running", "stopping"),
    ("running", "finished"),
    ("running", "stopped"),
    ("running", "failed"),
    ("running", "crashed"),
    ("stopping", "finished"),
    ("stopping", "stopped"),
    ("stopping", "failed"),
    ("stopping", "crashed"),
    ("stopped", "queued"),
    ("failed", "queued"),
    ("crashed", "queued"),
    # Not in the design: what was taken out of the queue by mistake can be put back.
    ("removed", "queued"),
}
RUN_ID = "20260102-030405-a-run-0a1b"
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def record(status: Status = "queued", **fields: Any) -> RunRecord:
    return RunRecord(id=RUN_ID, name="a run", created=now(), status=status, status_since=now(), **fields)


@pytest.mark.parametrize(("before", "after"), list(itertools.product(STATUSES, STATUSES)))
def test_a_status_follows_only_where_the_table_says_so(before: Status, after: Status) -> None:
    if (before, after) in ALLOWED:
        check_transition(record(before), after)
        return
    with pytest.raises(RunError) as caught:
        check_transition(record(before), after)
    assert str(caught.value).startswith(f"Run {RUN_ID} is {before} and cannot become {after}; it can become ")


def test_the_message_says_what_can_follow() -> None:
    with pytest.raises(RunError, match=r"it can become finished, failed, stopped, crashed\.|crashed, failed, finished"):
        check_transition(record("stopping"), "queued")
    with pytest.raises(RunError, match=r"it can become nothing else\."):
        check_transition(record("finished"), "queued")


def test_every_status_has_its_row_and_its_kind() -> None:
    assert {t.before for t in TRANSITIONS} | {t.after for t in TRANSITIONS} | {"imported"} == set(STATUSES)
    assert len({(t.before, t.after) for t in TRANSITIONS}) == len(TRANSITIONS)
    assert {"starting", "running", "stopping"} == ACTIVE
    assert {"queued", "held"} == WAITING
    for status in STATUSES:
        entry = record(status)
        assert entry.is_active == (status in ("starting", "running", "stopping"))
        assert entry.is_over == (status in ("removed", "finished", "stopped", "failed", "crashed", "imported"))


def test_no_status_leads_back_except_by_starting_again() -> None:
    # Whoever is over becomes active only through the queue.
    for before, after in ALLOWED:
        if after in ACTIVE:
            assert before in ACTIVE or before == "queued"


def test_an_unknown_status_and_a_changed_field_are_refused() -> None:
    with pytest.raises(ValidationError):
        record("done")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="frozen"):
        record().name = "other"  # type: ignore[misc]


def test_a_later_versions_fields_are_passed_over() -> None:
    assert RunRecord.model_validate({**record().model_dump(), "of_a_later_version": 1}).name == "a run"


def test_moments_are_in_utc_to_the_millisecond() -> None:
    moment = now()
    assert moment.tzinfo == UTC
    assert moment.microsecond % 1000 == 0
    assert abs(datetime.now(UTC) - moment) < timedelta(seconds=5)


def test_elapsed_seconds() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    later = start + timedelta(seconds=90)
    assert record().elapsed_seconds(later) is None
    assert record("running", started=start).elapsed_seconds(later) == 90
    assert record("finished", started=start, ended=start + timedelta(seconds=30)).elapsed_seconds(later) == 30
    assert record("running", started=later).elapsed_seconds(start) == 0  # somebody's clock was set back


@given(
    st.builds(
        RunRecord,
        id=st.just(RUN_ID),
        name=st.text(),
        created=moments,
        status=st.sampled_from(STATUSES),
        status_since=moments,
        recipe=st.none() | st.text(),
        tags=st.lists(st.text()).map(tuple),
        notes=st.text(),
        process=st.none()
        | st.builds(
            ProcessIdentity, pid=st.integers(1, 2**22), started=st.integers(0, 2**53).map(float), boot=st.text()
        ),
        started=st.none() | moments,
        progress=st.none()
        | st.builds(
            Progress,
            step=st.integers(0),
            total_steps=st.integers(0),
            epoch=st.floats(0, 1e6),
            updated=moments,
            session_started=st.none() | moments,
            steps_per_second=st.none() | st.floats(0, 1e6),
        ),
        failure=st.none() | st.builds(Failure, message=st.text(), step=st.none() | st.integers(0), detail=st.text()),
        versions=st.dictionaries(st.text(), st.text()),
        dataset=st.dictionaries(st.text(), st.integers() | st.text() | st.none()),
    )
)
def test_json_keeps_a_record_as_it_is(entry: RunRecord) -> None:
    assert RunRecord.model_validate_json(entry.model_dump_json()) == entry
