"""The form of the Study page as a draft, checked: what would be created now, and what is wrong with it, by its place.

Reading the texts and looking for shared documents is the slow part; it is kept until something that it depends on
changes.
"""

from __future__ import annotations

import json
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from bcecore.config import BCEConfig, RunConfig
from bcecore.errors import BceError, ConfigError
from bcecore.evaluation.outcome import Foretold
from bcecore.evaluation.study import foretelling
from bcecore.evaluation.study.drafting import KNOWN_ARMS, Draft, HeldOut, Prepared, known_arm, prepared, with_held_out
from bcecore.evaluation.study.preflight import Preflight, RefusedError, preflight
from bcecore.findings.finding import Finding
from bcecore.jobs import derive, estimate
from bcecore.jobs.estimate import Estimate
from bcecore.jobs.submit import with_other_settings
from bcecore.recipes import load_recipe, recipe_names
from bcecore.settings import with_values
from bcecore.store.acknowledged import Acknowledgement, acknowledgement_of
from bcecore.store.runs import RunStore, check_name
from bcecore.store.studies import MARGIN, MAX_ARMS, MAX_SEEDS, MIN_ARMS, Arm, StudyStore
from bcecore.ui.config_form import SETTINGS, NotANumberError, problem_words, value_of
from bcecore.ui.evaluate_uploads import by_its_name, uploads
from bcecore.ui.launch_draft import file_stamp, file_stamps

Place = Literal["start", "arms", "seeds", "held-out", "plan", "name"]
"""The parts of the form; a problem or a finding is shown in the one that causes it."""
PLACES: Mapping[Place, str] = {
    "start": "1 · What to train",
    "arms": "2 · What to compare",
    "seeds": "3 · How many times",
    "held-out": "4 · What to measure on",
    "plan": "5 · What would matter",
    "name": "Name of the study",
}
PAST_RUN = "past run"
BASE, RUN, NAME, SUGGESTED = "study:base", "study:run", "study:name", "study:suggested-name"
TRAIN, TRAIN_PATH, STEPS, CAUSAL = "study:train", "study:train-path", "study:steps", "study:causal"
WARMUP, BCE_WARMUP = "study:warmup", "study:bce-warmup"
CHANGEABLE = {STEPS: "training.max_steps", WARMUP: "training.warmup_steps", BCE_WARMUP: "bce.warmup_steps"}
"""Settings of the base that can be changed here; empty is as it begins from."""
ARMS, OWN_ARMS = "study:arms", "study:own-arms"
SEEDS, SEEDS_TYPED = "study:seeds", "study:seeds-typed"
HELD_OUT, HELD_OUT_PATH, SHARE = "study:held-out", "study:held-out-path", "study:share"
MARGIN_TYPED, EARLIER = "study:margin", "study:earlier-looks"
TRAIN_SLOT, HELD_OUT_SLOT = "study-train", "study-held-out"
_ACCEPTED = "study:accepted"
OTHER_NUMBER = "other"
OWN_VALUES = ("bce.base_weight", "bce.max_weight", "bce.warmup_steps", "bce.boost_span")
"""Settings that an arm with own values can have; empty is as the base has it."""

_PLACE_OF_FINDING: Mapping[str, Place] = {
    "off-not-off": "arms",
    "twin-mismatch": "arms",
    "future-leak": "start",
    "single-run": "seeds",
}
_FORGET_SECONDS = 60.0


def own_key(number: int, what: str) -> str:
    """Where the session keeps a field of an arm with own values."""
    return f"study:own-{number}:{what}"


@dataclass(frozen=True)
class Form:
    """The form at this moment."""

    base: RunConfig | None
    """What all runs have in common; None while impossible."""
    draft: Draft | None
    """None while something is missing or no value."""
    ready: Prepared | None
    """With its texts read; None while there is a problem."""
    findings: Mapping[Place, Sequence[Finding]]
    problems: Mapping[Place, Sequence[str]]
    foretold: Foretold | None
    paces: Sequence[Estimate | None]
    """What each arm's runs will take, as far as that is measured."""
    accepted: Sequence[Acknowledgement] = ()
    """The findings that somebody has accepted."""

    @property
    def reasons(self) -> dict[str, str]:
        """Why a finding does not forbid the launch, by its rule."""
        found = [finding for findings in self.findings.values() for finding in findings]
        return {each.id: each.reason for each in self.accepted if any(each.covers(finding) for finding in found)}

    @property
    def blocked(self) -> tuple[Place, ...]:
        """Where something stands in the way, in the order of the page."""
        blocking = {
            place
            for place, found in self.findings.items()
            if any(finding.blocks and acknowledgement_of(finding, self.accepted) is None for finding in found)
        }
        return tuple(place for place in PLACES if self.problems.get(place) or place in blocking)


class _Problems:
    def __init__(self) -> None:
        self.found: dict[Place, list[str]] = {}

    def add(self, place: Place, message: str) -> None:
        self.found.setdefault(place, []).append(_with_own_words(message))

    def add_error(self, error: BceError, place: Place | None = None) -> None:
        if isinstance(error, ConfigError):
            for problem in error.problems:
                self.add(place or _place_of(problem.field), problem_words(problem))
        else:
            self.add(place or _place_of(error.field or ""), str(error))


def _place_of(field: str) -> Place:
    if field == "arms" or field.startswith("bce."):
        return "arms"
    if field == "held_out" or field.startswith("data.validation"):
        return "held-out"
    if field in ("looks", "margin"):
        return "plan"
    return {"seeds": "seeds", "name": "name"}.get(field, "start")  # type: ignore[return-value]


def _with_own_words(message: str) -> str:
    """Recipes by their titles, uploads by their names, and nothing that only the command line has."""
    for upload in (*uploads(TRAIN_SLOT), *uploads(HELD_OUT_SLOT)):
        message = by_its_name(message, upload)
    for name in sorted(recipe_names(), key=len, reverse=True):
        message = re.sub(rf"(?<![\w/-]){name}(?![\w/-])", f"“{load_recipe(name).title}”", message)
    return message.replace(" (data.validation is 'none')", "")


def read_form(store: RunStore) -> Form:
    """Check what stands in the form. Draws a spinner where it is called while texts are read for the first time."""
    problems = _Problems()
    origin = origin_of(store)
    if isinstance(origin, str):
        problems.add("start", origin)
    base = None if isinstance(origin, str) else _base(origin[0], problems)
    arms, seeds = _arms(problems), _seeds(problems)
    held_out, base = _held_out(base, problems)
    margin, looks = _margin(problems), _looks(len(seeds), problems)
    name = str(st.session_state.get(NAME, ""))
    try:
        check_name(name)
    except BceError as error:
        problems.add_error(error, "name")
    if base is None or problems.found.keys() - {"name"}:
        return Form(base, None, None, {}, problems.found, None, ())
    recipe = None if st.session_state[BASE] == PAST_RUN else st.session_state[BASE]
    draft = Draft(name, base, arms, seeds, looks, held_out, margin, recipe=recipe)
    with st.spinner("Reading the texts and looking for shared lines…"):
        looked = _look_at(draft, frozenset(each.id for each in accepted()))
    findings = {place: [f for f in looked.findings if place_of_finding(f) == place] for place in PLACES}
    if looked.error is not None:
        problems.add_error(looked.error)
    ready = looked.ready
    paces = paces_of(store, ready) if ready is not None else []
    foretold = None
    if ready is not None and looked.found is not None:
        foretold = _foretold(store, draft, looked, tuple(pace is not None for pace in paces))
    return Form(base, draft, ready, findings, problems.found, foretold, paces, accepted())


def accepted() -> list[Acknowledgement]:
    """The findings that somebody has accepted in this form."""
    kept: list[Acknowledgement] = st.session_state.setdefault(_ACCEPTED, [])
    return kept


def place_of_finding(finding: Finding) -> Place:
    """Where the form shows a finding: most are about the texts that are measured on."""
    return _PLACE_OF_FINDING.get(finding.id, "held-out")


# -- what stands in the form


def origin_of(store: RunStore) -> tuple[RunConfig, str] | str:
    """The settings that the study begins from, and their title; a sentence while there are none."""
    chosen = st.session_state[BASE]
    try:
        if chosen != PAST_RUN:
            recipe = load_recipe(chosen)
            return recipe.config, recipe.title
        run_id = st.session_state.get(RUN)
        if run_id is None:
            return "Choose the run to begin from."
        return derive.clone_config(store, run_id), store.record(run_id).name
    except BceError as error:
        return str(error)


def _base(config: RunConfig, problems: _Problems) -> RunConfig | None:
    changes: dict[str, Any] = {}
    chosen = st.session_state.get(TRAIN, "base")
    if chosen == "upload":
        kept = uploads(TRAIN_SLOT)
        if not kept:
            problems.add("start", "Upload the text to learn from, or choose another one.")
        else:
            changes["data.train_file"] = str(kept[0].path)
    elif chosen == "file":
        path = str(st.session_state.get(TRAIN_PATH, "")).strip()
        if not path:
            problems.add("start", "Type the path of the text to learn from, or choose another one.")
        else:
            changes["data.train_file"] = path
    for key, setting in CHANGEABLE.items():
        typed = str(st.session_state.get(key, "")).strip()
        try:
            if typed:
                changes[setting] = value_of(SETTINGS[setting], typed)
        except NotANumberError as error:
            problems.add(_place_of(setting), f"{SETTINGS[setting].title}: {error}")
    if st.session_state.get(CAUSAL, False):
        changes["model.causal"] = True
    try:
        return with_values(config, changes)
    except ConfigError as error:
        problems.add_error(error)
        return None


def _arms(problems: _Problems) -> tuple[Arm, ...]:
    chosen = st.session_state.get(ARMS, ())
    arms = [known_arm(name) for name in KNOWN_ARMS if name in chosen]
    for number in range(int(st.session_state.get(OWN_ARMS, 0))):
        arm = _own_arm(number, problems)
        if arm is not None:
            arms.append(arm)
    names = [arm.name for arm in arms]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        problems.add("arms", f"Two arms are called “{twice}”. Give each its own name.")
    if "arms" not in problems.found and not MIN_ARMS <= len(arms) <= MAX_ARMS:
        words = "A study compares two to four ways of training; choose "
        problems.add("arms", words + ("one more." if len(arms) == 1 else "two." if not arms else "fewer."))
    return tuple(arms)


def _own_arm(number: int, problems: _Problems) -> Arm | None:
    state = st.session_state
    typed = str(state.get(own_key(number, "name"), "")).strip()
    name = re.sub(r"[^a-z0-9]+", "-", typed.lower()).strip("-")[:30].strip("-")
    if not name:
        problems.add("arms", f"Give arm {number + 1} with own values a name of letters or digits.")
        return None
    changes: dict[str, Any] = {"bce.enabled": True, "bce.profile": state[own_key(number, "bce.profile")]}
    for key in OWN_VALUES:
        text = str(state.get(own_key(number, key), "")).strip()
        if not text:
            continue
        try:
            changes[key] = value_of(SETTINGS[key], text)
        except NotANumberError as error:
            problems.add("arms", f"“{typed}”, {SETTINGS[key].title.lower()}: {error}")
    return Arm(name=name, changes=changes)


def _seeds(problems: _Problems) -> tuple[int, ...]:
    chosen = st.session_state.get(SEEDS)
    typed = str(st.session_state.get(SEEDS_TYPED, "")) if chosen == OTHER_NUMBER else str(chosen)
    if not (typed.strip().isascii() and typed.strip().isdecimal()):
        problems.add("seeds", "Type how many seeds: a whole number from 2.")
        return ()
    number = int(typed)
    if not 2 <= number <= MAX_SEEDS:
        problems.add("seeds", f"A study has 2 to {MAX_SEEDS} seeds, not {number:,}.")
        return ()
    return tuple(range(1, number + 1))


def _held_out(base: RunConfig | None, problems: _Problems) -> tuple[tuple[HeldOut, ...], RunConfig | None]:
    """What to measure on, and the base, which is checked on the same while it trains."""
    chosen = st.session_state.get(HELD_OUT, "own")
    paths: list[tuple[str, Path]] = []
    if chosen == "upload":
        paths = [(Path(upload.name).stem, upload.path) for upload in uploads(HELD_OUT_SLOT)]
        if not paths:
            problems.add("held-out", "Upload at least one text to measure on, or choose another one.")
        names = [name for name, _ in paths]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            problems.add("held-out", f"Two texts are called “{twice}”. Rename one of the files and upload it again.")
    elif chosen == "file":
        path = str(st.session_state.get(HELD_OUT_PATH, "")).strip()
        if not path:
            problems.add("held-out", "Type the path of the text to measure on, or choose another one.")
        else:
            paths = [(Path(path).stem, Path(path))]
    if base is None:
        return (HeldOut(),), None
    try:
        if paths:
            held_out = tuple(HeldOut(name, path) for name, path in paths)
            return held_out, with_held_out(base, paths[0][1])
        if chosen == "aside":
            base = with_values(base, {"data.validation": "fraction", "data.validation_file": None})
        return (HeldOut(),), _with_share(base, problems)
    except ConfigError as error:
        problems.add_error(error)
        return (HeldOut(),), None


def _with_share(base: RunConfig, problems: _Problems) -> RunConfig:
    typed = str(st.session_state.get(SHARE, "")).strip().removesuffix("%").strip()
    if base.data.validation != "fraction" or not typed:
        return base
    try:
        share = float(typed) / 100
    except ValueError:
        problems.add("held-out", f"Share to measure on: “{typed}” is not a number of per cent.")
        return base
    return with_values(base, {"data.validation_fraction": share})


def _margin(problems: _Problems) -> float:
    typed = str(st.session_state.get(MARGIN_TYPED, "")).strip()
    try:
        margin = float(typed) if typed else MARGIN
    except ValueError:
        problems.add("plan", f"“{typed}” is not a number. The usual margin is {MARGIN:g} nats per token.")
        return MARGIN
    if not 0 < margin < float("inf"):
        problems.add("plan", f"The margin has to be above 0; {MARGIN:g} nats per token is usual.")
        return MARGIN
    return margin


def _looks(seeds: int, problems: _Problems) -> tuple[int, ...]:
    """The planned looks: those typed, and at the end."""
    typed = [part for part in re.split(r"[,;\s]+", str(st.session_state.get(EARLIER, "")).strip()) if part]
    if not all(part.isascii() and part.isdecimal() for part in typed):
        problems.add("plan", "Looks in between are numbers of seeds with commas between: 5 or 5, 8 for example.")
        return (seeds,)
    earlier = sorted({int(part) for part in typed})
    if earlier and seeds and not (earlier[0] >= 2 and earlier[-1] < seeds):
        problems.add("plan", f"A look in between is at 2 seeds or more, and at fewer than all {seeds}.")
        return (seeds,)
    return (*earlier, seeds)


# -- what is found out about it


@dataclass(frozen=True)
class _Looked:
    ready: Prepared | None
    found: Preflight | None
    findings: tuple[Finding, ...]
    error: BceError | None


def _look_at(draft: Draft, accepted: frozenset[str]) -> _Looked:
    # The name changes nothing; a Hub that did not answer is asked again after a while.
    hub = int(time.monotonic() / _FORGET_SECONDS) if draft.base.model.kind == "hub" else 0
    return _kept_look(_key_of(draft), hub, accepted, replace(draft, name="a study"))


def _texts_of(draft: Draft) -> Draft:
    """A draft of which nothing can be wrong but its texts and its model."""
    base = RunConfig(model=draft.base.model, data=draft.base.data, bce=BCEConfig(enabled=False))
    off = known_arm("off")
    return Draft("texts", base, [off, off.model_copy(update={"name": "twin"})], (1, 2), (2,), draft.held_out)


def _key_of(draft: Draft) -> str:
    files = [held_out.path for held_out in draft.held_out]
    stamps = [*file_stamps(draft.base), *(file_stamp(path) for path in files if path is not None)]
    arms = [arm.model_dump() for arm in draft.arms]
    held_out = [(each.name, str(each.path)) for each in draft.held_out]
    parts = [draft.base.model_dump(mode="json"), arms, draft.seeds, draft.looks, held_out, stamps]
    return json.dumps(parts, default=str)


# A large text takes much memory as tokens.
@st.cache_resource(max_entries=2, show_spinner=False)
def _kept_texts(key: str, hub: int, _draft: Draft) -> Prepared | BceError:
    try:
        with tempfile.TemporaryDirectory() as scratch:
            return prepared(_draft, Path(scratch))
    except BceError as error:
        return error


@st.cache_resource(max_entries=8, show_spinner=False)
def _kept_look(key: str, hub: int, accepted: frozenset[str], _draft: Draft) -> _Looked:
    only_texts = _texts_of(_draft)
    texts = _kept_texts(_key_of(only_texts), hub, only_texts)
    if isinstance(texts, BceError):
        return _Looked(None, None, (), texts)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            ready = prepared(_draft, Path(scratch), texts)
    except BceError as error:
        return _Looked(None, None, (), error)
    try:
        found = preflight(ready, accepted)
    except RefusedError as error:
        return _Looked(ready, None, error.findings, None)
    except BceError as error:
        return _Looked(ready, None, (), error)
    return _Looked(ready, found, found.findings, None)


def _foretold(store: RunStore, draft: Draft, looked: _Looked, measured: tuple[bool, ...]) -> Foretold:
    assert looked.ready is not None and looked.found is not None
    listed = StudyStore(store).listed()
    pilots = tuple((study.id, len(study.state.looks)) for study in listed if study.state is not None)
    return _kept_foretold(_key_of(draft), str(store.root), measured, pilots, store, looked.ready, looked.found)


@st.cache_resource(max_entries=8, show_spinner=False)
def _kept_foretold(
    key: str,
    root: str,
    measured: tuple[bool, ...],
    pilots: tuple[tuple[str, int], ...],
    _store: RunStore,
    _ready: Prepared,
    _found: Preflight,
) -> Foretold:
    return foretelling.foretell(_store, _ready, _found)


def paces_of(store: RunStore, ready: Prepared) -> list[Estimate | None]:
    """What a run of each arm takes, as far as that is measured."""
    return [estimate.estimate(store, with_other_settings(ready.checked, config)) for config in ready.arms.values()]
