"""The rules over rows together: on real faults and healthy runs, however the log is cut, and after a resume."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcecore.findings.live import LiveRules, loss_source
from bcecore.settings import with_values
from bcecore.store.columns import Series
from bcecore.store.history import History
from bcecore.store.metrics import MetricsWriter
from bcecore.store.runs import RunStore
from tests.findings.conftest import FAULTS
from tests.findings.logs import of_file, of_log, serious

EXPECTED = {
    "explodes": {"non-finite", "loss-spike", "exploding-grad"},
    "unlearns": {"divergence"},
    "stands still": {"plateau"},
    "learns by heart": {"overfit"},
    "is drawn together": {"collapse"},
    "is held at a limit": {"clamp-saturated", "no-gradient"},
    "has no weight": {"no-gradient"},
    "outlives its schedule": {"lr-zero"},
    "is checked on what it saw": {"too-good"},
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found_and_nothing_else(name: str, faulty: tuple[RunStore, dict[str, str]]) -> None:
    store, ids = faulty
    found = of_log(store, ids[name])
    assert serious(list(found.values())) == EXPECTED[name]
    history = History(store.directory(ids[name]))
    history.refresh()
    for finding in found.values():
        assert finding.subject == ids[name] and set(finding.steps) <= set(history.steps.tolist())
        assert {"ce", "loss", *finding.keys} & set(history.keys)
        json.dumps(finding.model_dump())
        if finding.fix is not None:
            assert with_values(store.config(ids[name]), finding.fix.changes) != store.config(ids[name])


def test_a_healthy_run_has_notes_at_most(healthy: tuple[RunStore, str]) -> None:
    assert {key: finding.severity for key, finding in of_log(*healthy).items()} == {"lr-zero": "N"}


def test_public_logs(shared_data: Path, tmp_path: Path) -> None:
    def found(name: str) -> dict[str, str]:
        path = shared_data / name
        return {finding.id: finding.severity for finding in of_file(path, tmp_path / path.parent.name / path.stem)}

    assert found("report/trainer_state.json") == {"lr-zero": "N"}
    assert found("trainer_states/t5-summarization.json") == {}
    assert found("trainer_states/cpt-generation.json") == {}
    assert found("trainer_states/rl-two-cadences.json") == {"lr-zero": "N"}  # its loss is none of language
    assert found("trainer_states/multi-eval-groups.json") == {"overfit": "W"}  # and it is: see `overfit`


def test_where_the_language_loss_is_to_be_had_from() -> None:
    assert loss_source(["loss", "ce", "bce_weight", "bce_loss"]) == "ce"
    assert loss_source(["loss", "bce_weight", "bce_loss"]) == "loss - bce_weight * bce_loss"
    assert loss_source(["loss", "bce_loss"]) == "loss"  # binary cross-entropy, of others
    assert loss_source(["eval_loss"]) is None


def test_the_term_of_a_foreign_log_is_no_divergence(tmp_path: Path) -> None:
    """The weight rises, so that the objective does; CE stays where it is."""
    lines = [
        {"step": step, "loss": 3.0 + 0.1 * step, "bce_weight": 0.1 * step, "bce_loss": 1.0 + 1e-3 * (step % 7)}
        for step in range(1, 81)
    ]
    assert "divergence" not in ids(lines, tmp_path / "with")
    for line in lines:
        del line["bce_loss"]
    assert "divergence" in ids(lines, tmp_path / "without")


def ids(lines: list[dict[str, Any]], directory: Path) -> set[str]:
    write(directory, lines)
    history = History(directory)
    history.refresh()
    return {finding.id for finding in LiveRules("run", None).look(history)}


def write(directory: Path, lines: list[dict[str, Any]]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    with MetricsWriter(directory / "metrics.jsonl") as writer:
        for line in lines:
            writer.write(line)


# -- however it is cut

_FAULT = st.sampled_from(["none", "spike", "rise", "flat", "nan", "zero rate", "collapse", "constant R", "negative"])


@st.composite
def logs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """The lines of a run with some faults, checks and resumes, as a training process would write them."""
    count = draw(st.integers(1, 260))
    random = np.random.default_rng(draw(st.integers(0, 10_000)))
    faults = {
        draw(_FAULT): (draw(st.integers(1, count)), draw(st.integers(1, 80))) for _ in range(draw(st.integers(0, 4)))
    }
    has_bce, every = draw(st.booleans()), draw(st.integers(1, 30))
    resumes = dict(draw(st.lists(st.tuples(st.integers(1, count), st.integers(1, 40)), max_size=2)))
    lines: list[dict[str, Any]] = []
    step = 0
    while step < count:
        step += 1
        lines += _lines(step, random, faults, has_bce, step % every == 0)
        if step in resumes:
            back = resumes.pop(step)
            step = max(0, step - back)
            lines.append({"event": "resume", "from": step})
    return lines


def _lines(step: int, random: Any, faults: dict[str, Any], has_bce: bool, checks: bool) -> list[dict[str, Any]]:
    on = {name for name, (start, length) in faults.items() if start <= step < start + length}
    ce = 5.0 if "flat" in on else 2 + 6 / (1 + step / 40)
    ce += float(random.normal(0, 0.1)) + 20 * ("spike" in on) + 3 * ("rise" in on) - 30 * ("negative" in on)
    line: dict[str, Any] = {
        "step": step, "loss": ce, "grad_norm": float(random.uniform(1, 2)) * (50 if "spike" in on else 1),
        "learning_rate": 0.0 if "zero rate" in on else 1e-3, "time": float(step),
    }  # fmt: skip
    if "nan" in on:
        line["loss"] = math.nan
    if has_bce:
        r = -0.4 if "constant R" in on else -0.46 + float(random.uniform(0, 0.01))
        line |= {"ce": line["loss"], "bce_loss": r, "bce_weight": 0.1}
        line["bce_cosine_distance"] = float(random.uniform(0.1, 0.2)) * (0.01 if "collapse" in on else 1)
        if step % 5 == 0:
            line["bce_grad_ratio"] = 0.9 if "collapse" in on else 0.0 if "flat" in on else 0.1
    check = {"step": step, "eval_loss": ce + 0.02 * step, "eval_b_loss": 0.2 - step / 1000, "time": step + 0.5}
    return [line, check] if checks else [line]


@given(lines=logs(), data=st.data())
@settings(max_examples=60)
def test_it_says_the_same_however_the_log_is_cut(
    lines: list[dict[str, Any]], data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("log")
    growing, rules = History(directory), LiveRules("run", None)
    rest = lines
    while rest:
        size = data.draw(st.integers(1, min(len(rest), 60)))
        write(directory, rest[:size])
        rest = rest[size:]
        growing.refresh()
        found = rules.look(growing)
    whole = History(directory)
    whole.refresh()
    assert found == LiveRules("run", None).look(whole)


def test_a_look_without_news_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only new rows are asked for: of a long log, the last one again and those behind it."""
    write(tmp_path, [{"step": step, "loss": 3.0, "grad_norm": 1.0} for step in range(1, 501)])
    history, rules = History(tmp_path), LiveRules("run", None)
    history.refresh()
    rules.look(history)
    starts: list[int] = []
    original = History.series

    def asked(self: History, key: str, start: int = 0) -> Series:
        starts.append(start)
        return original(self, key, start)

    monkeypatch.setattr(History, "series", asked)
    write(tmp_path, [{"step": 501, "loss": 3.0, "grad_norm": 1.0}])
    history.refresh()
    rules.look(history)
    assert starts and set(starts) == {499}


def test_a_resume_takes_back_what_it_undid(tmp_path: Path) -> None:
    steady = [{"step": step, "loss": 3.0 + 0.01 * (step % 3)} for step in range(1, 61)]
    write(tmp_path, [*steady[:50], {"step": 51, "loss": 90.0}, {"step": 52, "loss": 90.0}])
    history, rules = History(tmp_path), LiveRules("run", None)
    history.refresh()
    assert {finding.id for finding in rules.look(history)} == {"loss-spike"}
    write(tmp_path, [{"event": "resume", "from": 50}, *steady[50:]])
    history.refresh()
    assert rules.look(history) == []


def test_another_history_is_read_from_its_beginning(tmp_path: Path) -> None:
    rules = LiveRules("run", None)
    for number, loss in enumerate((3.0, 90.0)):
        write(tmp_path / str(number), [{"step": step, "loss": 3.0 if step < 50 else loss} for step in range(1, 61)])
        history = History(tmp_path / str(number))
        history.refresh()
        assert bool(rules.look(history)) == (loss == 90.0)
        del history
