"""What somebody has chosen on the Launch page so far, kept in the session: where it began, every setting, uploads.

Streamlit keeps one session per browser tab, so two people (or tabs) never see each other's half-filled forms, and
`persist_state="session"` keeps what was typed when its field is not shown or another page is visited.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import streamlit as st

from bcecore.config import OFFLINE_MODEL, SAMPLE_TEXT, RunConfig, source_kind
from bcecore.errors import ConfigError, DiskFullError, Problem, RunError
from bcecore.findings.finding import Fix
from bcecore.jobs import submit
from bcecore.recipes import DEFAULT_RECIPE
from bcecore.settings import flatten, parse_assignment, with_values
from bcecore.store.runs import RunStore
from bcecore.ui import launch_origin, news
from bcecore.ui.actions import sentence
from bcecore.ui.config_form import SETTINGS, NotANumberError, field_key, typed_from, value_of
from bcecore.ui.launch_origin import Origin
from bcecore.ui.page import FROM_PARAMETER, SET_PARAMETER

TextFrom = Literal["sample", "file", "upload"]
BCEChoice = Literal["off", "seed", "active"]

RECIPE = "launch:recipe"
PAST_RUN = "past run"
"""What `RECIPE` holds when the form is to begin from a run instead."""
RUN = "launch:run"
"""Where the run is chosen then."""
_ORIGIN = "launch:origin"
NAME = "launch:name"
BCE = field_key("bce.enabled")
"""One choice for two settings, `bce.enabled` and `bce.profile`."""
TEXT_FIELDS = ("data.train_file", "data.validation_file")
# Settings that belong to a person's own text rather than to a recipe, and stay when another recipe is chosen.
_OWN_TEXT = {"data.train_file", "data.column"}
# What the rest of the form is checked with while a text or a model has not been named yet.
_STAND_INS = dict.fromkeys(TEXT_FIELDS, SAMPLE_TEXT) | {"model.source": OFFLINE_MODEL}
_SUGGESTED_NAMES = "launch:suggested-names"


@dataclass(frozen=True)
class Upload:
    """A file that came from the browser and waits for its run."""

    path: Path
    name: str
    bytes: int


def path_key(field: str) -> str:
    """Where the path of a text on this machine is typed, for the setting `field`."""
    return f"{field_key(field)}:path"


def uploader_key(field: str) -> str:
    """The key of the uploader of the setting `field`."""
    return f"{field_key(field)}:uploader"


def model_key(kind: str) -> str:
    """Where the name of a Hub model or the folder of a local one is typed."""
    return f"{field_key('model.source')}:{kind}"


def upload_of(field: str) -> Upload | None:
    """The upload that is kept for the setting `field`."""
    kept: Upload | None = st.session_state.get(_upload_key(field))
    return kept


def upload_problem(field: str) -> str | None:
    """Why the last upload for the setting `field` could not be kept."""
    message: str | None = st.session_state.get(_upload_problem_key(field))
    return message


def _upload_key(field: str) -> str:
    return f"{field_key(field)}:upload"


def _upload_problem_key(field: str) -> str:
    return f"{field_key(field)}:upload-problem"


def prepare(store: RunStore) -> Origin:
    """Fill the form as the address asks, or from the first recipe if nobody has begun one; returns where it began."""
    if _ORIGIN not in st.session_state:
        st.session_state[RECIPE] = DEFAULT_RECIPE
        _start_from(launch_origin.of_recipe(DEFAULT_RECIPE))
    run_id = st.query_params.get(FROM_PARAMETER)
    if run_id is not None:
        _follow_address(store, run_id, st.query_params.get_all(SET_PARAMETER))
        # What is typed from now on must not be overwritten by the next look at the address.
        st.query_params.clear()
        news.tell(())
    origin: Origin = st.session_state[_ORIGIN]
    return origin


def _follow_address(store: RunStore, run_id: str, assignments: Sequence[str]) -> None:
    try:
        origin = launch_origin.of_run(store, run_id)
    except RunError as error:
        news.say(sentence(store, run_id, error), icon=":material/error:")
        return
    st.session_state[RECIPE], st.session_state[RUN] = PAST_RUN, run_id
    _start_from(origin)
    changes: dict[str, Any] = {}
    for assignment in assignments:
        with suppress(ConfigError):  # an address that was cut short: the form shows what it will do
            changes |= dict([parse_assignment(assignment.replace(":", "=", 1))])
    # Those of a fix may only be possible together; where they are not even that, each is taken for itself.
    for together in (changes, *({key: value} for key, value in changes.items())):
        try:
            config = with_values(origin.config, together)
        except ConfigError:
            continue
        for key, value in together.items():
            _put(key, value, config)
        if together is changes:
            break


def choose(store: RunStore) -> None:
    """Begin anew from the recipe, or the run, that was just chosen; as a callback."""
    chosen = st.session_state[RECIPE]
    if chosen != PAST_RUN:
        _start_from(launch_origin.of_recipe(chosen), keep_own_text=True)
        return
    run_id = st.session_state.get(RUN)
    if run_id is not None:
        try:
            _start_from(launch_origin.of_run(store, run_id))
        except RunError as error:
            news.say(sentence(store, run_id, error), icon=":material/error:")


def start_again() -> None:
    """Set every field back to where the form began."""
    _start_from(st.session_state[_ORIGIN])


def _start_from(origin: Origin, *, keep_own_text: bool = False) -> None:
    """Fill every field with what the recipe or the run says.

    With `keep_own_text`, a text that somebody chose stays: recipes come with the sample only to have one, and a run
    on the sample instead of one's own text would be a bad surprise.
    """
    st.session_state[_ORIGIN] = origin
    own = keep_own_text and st.session_state.get(field_key("data.train_file"), SAMPLE_TEXT) != SAMPLE_TEXT
    for key, value in flatten(origin.config).items():
        if not (own and key in _OWN_TEXT):
            _put(key, value, origin.config)


def mend(config: RunConfig, fix: Fix) -> None:
    """Put the changes of a fix into the form, which now has the settings `config`; as a callback."""
    mended = with_values(config, fix.changes)
    for key, value in fix.changes.items():
        if key == "data.validation_file" and value is None:
            continue  # follows from the choice of another checking text, and the file is kept for who goes back to it
        _put(key, value, mended)


def _put(key: str, value: Any, config: RunConfig) -> None:
    state = st.session_state
    if key in TEXT_FIELDS:
        is_path = value not in (None, SAMPLE_TEXT)
        state[field_key(key)] = "file" if is_path else "sample"
        state[path_key(key)] = value if is_path else ""
    elif key == "model.source":
        kind = source_kind(value)
        state[field_key(key)] = kind
        for other in ("hub", "local"):
            state[model_key(other)] = value if other == kind else ""
    elif key in ("bce.enabled", "bce.profile"):
        state[BCE] = config.bce.profile if config.bce.enabled else "off"
    else:
        state[field_key(key)] = typed_from(SETTINGS[key], value)


def values_and_problems(origin: Origin) -> tuple[dict[str, dict[str, Any]], list[Problem]]:
    """The form as nested values, and what was typed that is no value (what it began with then stands in for it)."""
    values: dict[str, dict[str, Any]] = {}
    problems: list[Problem] = []
    fallback = flatten(origin.config)
    for key, described in SETTINGS.items():
        try:
            value = _value(key, origin)
        except NotANumberError as error:
            problems.append(Problem(key, st.session_state[field_key(key)], str(error)))
            value = fallback[key]
        if value == "" and key in _STAND_INS:
            problems.append(Problem(key, value, missing_words(key)))
            value = _STAND_INS[key]
        values.setdefault(described.section, {})[key.partition(".")[2]] = value
    return values, problems


def _value(key: str, origin: Origin) -> Any:
    state = st.session_state
    if key in TEXT_FIELDS:
        # RunConfig refuses a checking file that is not going to be used.
        unused = key == "data.validation_file" and state[field_key("data.validation")] != "file"
        return None if unused else _text_file(key)
    if key == "model.source":
        return _model_source(state[field_key(key)])
    if key == "bce.enabled":
        return state[BCE] != "off"
    if key == "bce.profile":
        return origin.config.bce.profile if state[BCE] == "off" else state[BCE]
    return value_of(SETTINGS[key], state[field_key(key)])


def _text_file(key: str) -> str:
    source: TextFrom = st.session_state[field_key(key)]
    if source == "sample":
        return SAMPLE_TEXT
    if source == "file":
        return str(st.session_state[path_key(key)]).strip()
    upload = upload_of(key)
    return str(upload.path) if upload else ""


def missing_words(key: str) -> str:
    """What to do about a text or a model that has not been named yet."""
    if key == "model.source":
        return "Say which model: type its name or folder, or have one built here."
    if st.session_state[field_key(key)] == "upload":
        return "Upload a file, or choose another text."
    return "Type the path of a file, or choose another text."


def _model_source(kind: str) -> str:
    if kind == "offline":
        return OFFLINE_MODEL
    name = str(st.session_state[model_key(kind)]).strip()
    # A folder without a slash or dot in front would be taken for a name on the Hub.
    return f"./{name}" if kind == "local" and name and source_kind(name) != "local" else name


def take_upload(store: RunStore, field: str) -> None:
    """Keep the file that somebody just gave to the uploader of `field`, or forget it if they took it away."""
    file = st.session_state[uploader_key(field)]
    earlier = upload_of(field)
    kept = None
    st.session_state[_upload_problem_key(field)] = None
    if file is not None:
        try:
            kept = Upload(submit.keep_upload(store, file.name, file.getvalue()), file.name, file.size)
        except DiskFullError as error:
            st.session_state[_upload_problem_key(field)] = str(error)
            return
    st.session_state[_upload_key(field)] = kept
    if earlier is not None:
        submit.forget_upload(earlier.path)


def use_texts(store: RunStore, train: Path, held_out: Path | None) -> None:
    """Put two files into the form as if they had been uploaded there: one to learn from, and one to check on.

    Without a second one, lines are set aside. Everything else stays as it is. Raises DiskFullError.
    """
    if _ORIGIN not in st.session_state:
        st.session_state[RECIPE] = DEFAULT_RECIPE
        _start_from(launch_origin.of_recipe(DEFAULT_RECIPE))
    for field, path in zip(TEXT_FIELDS, (train, held_out), strict=True):
        if path is not None:
            kept = Upload(submit.keep_upload(store, path.name, path.read_bytes()), path.name, path.stat().st_size)
            st.session_state[field_key(field)] = "upload"
            st.session_state[_upload_key(field)] = kept
            st.session_state[_upload_problem_key(field)] = None
    st.session_state[field_key("data.validation")] = "fraction" if held_out is None else "file"
    st.session_state[field_key("data.column")] = "text"


def shown_path(value: str) -> str:
    """A text setting's value as people know it: the name an upload had, not where it is kept."""
    for field in TEXT_FIELDS:
        upload = upload_of(field)
        if upload is not None and str(upload.path) == value:
            return upload.name
    return value


def suggest_name(name: str) -> None:
    """Put a run name into its field, unless somebody has typed one of their own."""
    # All that were suggested, not the last alone: where a drawing is cut short, the browser never hears of the last one
    # and sends the one before again.
    suggested: set[str] = st.session_state.setdefault(_SUGGESTED_NAMES, {""})
    if st.session_state.get(NAME, "") in suggested:
        st.session_state[NAME] = name
    suggested.add(name)
