"""How the Study page names states, and turns advice for a terminal into advice for a page."""

from __future__ import annotations

from typing import get_args

import pytest

from bcecore.evaluation.study.creating import create
from bcecore.evaluation.study.progress import CellStatus, StudyStatus, progress
from bcecore.evaluation.verdict import Kind
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore, cell
from bcecore.ui.study_progress import grid_html
from bcecore.ui.study_words import (
    CELL_WORDS,
    STUDY_WORDS,
    VERDICT_WORDS,
    advice_words,
    cell_words,
    done_share,
    is_moving,
    time_left_words,
    when_words,
)
from tests.evaluation.study.studied import draft, fail, finish, finish_all, put_to_sleep


@pytest.fixture
def asleep(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    put_to_sleep(monkeypatch)
    return store


def test_every_state_and_every_verdict_has_an_icon_a_word_and_a_colour() -> None:
    for words, names in ((STUDY_WORDS, StudyStatus), (CELL_WORDS, CellStatus), (VERDICT_WORDS, Kind)):
        assert set(words) == set(get_args(names))
        assert all(each.icon.startswith(":material/") and each.word and each.sign for each in words.values())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Resume the study: python -m bcecore study resume 20260101-000000-a-b-1234", "Press “Resume”."),
        ("The evaluation is failed, not finished. Resume the study.", "The evaluation is failed, not finished. "),
        ("Create a new study.", "Create a new study."),
    ],
)
def test_a_page_has_buttons_in_place_of_commands(text: str, expected: str) -> None:
    found = advice_words(text)
    assert found == (expected + "Press “Resume”." if expected.endswith(" ") else expected)


def test_a_study_at_work_in_words(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, seeds=(1, 2, 3), looks=(2, 3)))
    finish_all(asleep, plan, {}, seeds=(1,))
    found = progress(asleep, plan.id)
    assert is_moving(found) and done_share(found) == 0.5
    assert time_left_words(found).startswith("about ")
    assert "all 2 seeds of every arm are trained and measured; 1 of 2 are" in when_words(found)
    assert cell_words(found.cells[0]) == "Measured" and cell_words(found.cells[2]) == "Waiting"


def test_a_failed_run_does_not_move_and_the_table_names_every_state(asleep: RunStore) -> None:
    plan = create(asleep, draft(asleep, seeds=(1, 2, 3), looks=(2, 3)))
    finish_all(asleep, plan, {}, seeds=(1,))
    finish(asleep, plan, "off", 2)
    runs = StudyStore(asleep).state(plan.id).runs
    fail(asleep, runs[cell("active", 2)])
    found = progress(asleep, plan.id)
    assert not is_moving(found) and time_left_words(found) == ""
    table = grid_html(found)
    assert table.count("<tr>") == 1 + 2 and table.count(">Seed ") == 2
    assert table.count("✓</b> Measured") == 3 and table.count("✕</b> Failed") == 1
    assert "4 runs: the runs of a row are twins; 1 more seed at the next planned looks." in table
    assert all(f'href="Run?run={run_id}"' in table for run_id in runs.values())
