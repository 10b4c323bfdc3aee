"""The sections of the Launch page, from top to bottom: their settings, what is wrong with them, and what follows.

A setting that has no place in a section of its own appears under "More options", so that none can be missing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import streamlit as st

from bcecore.config import AUTO_TOKENIZER, ModelConfig
from bcecore.recipes import load_recipe, recipe_names
from bcecore.store.runs import RunStore
from bcecore.text.reading import SUFFIXES
from bcecore.ui import launch_state, launch_words
from bcecore.ui.config_form import SETTINGS, field, field_key, help_text, show_problems
from bcecore.ui.findings_list import show_findings
from bcecore.ui.launch_draft import Draft, try_again
from bcecore.ui.launch_estimate import show_estimate
from bcecore.ui.launch_preview import show_preview
from bcecore.ui.launch_schedules import show_schedules
from bcecore.ui.page import ABOUT_PAGE
from bcecore.ui.words import moment, plain, size

_MORE = "launch:more"
_TITLES = {2: "Text", 3: "Model", 4: "How long and how fast", 5: "BCE"}
_SECTION_OF = {"data": 2, "model": 3, "training": 4, "logging": 4, "bce": 5}
"""The section that shows what is noticed about settings whose names begin so, wherever their fields are."""
SECTION_LINKS = {name: f"[{_TITLES[number]}](#launch-{number})" for name, number in _SECTION_OF.items()}
"""The same as links to them."""
_FINDING = "launch-finding"
_UPLOAD_MEGABYTES = 50
_TEXT_FROM = {"sample": "Sample text", "file": "A file on this machine", "upload": "Upload a file"}
_MODEL_FROM = {"offline": "Built here", "hub": "From the Hugging Face Hub", "local": "A folder on this machine"}
_MODEL_NAME = {"hub": ("Name on the Hub", "owner/name"), "local": ("Folder of the model", "/home/me/models/my-model")}
_BCE = {"off": "Off", "seed": "As in the report", "active": "Acting"}
_BCE_MEANS = {
    "off": "Ordinary training: the weight of BCE is 0 at every step.",
    "seed": "BCE is computed and logged as in the report.",
    "active": "BCE acts on what the model learns, through its hidden states.",
}
_LENGTH = (
    "training.epochs",
    "training.max_steps",
    "training.batch_size",
    "training.learning_rate",
    "training.warmup_steps",
    "training.seed",
    "logging.save_steps",
)
_WEIGHTS = ("bce.base_weight", "bce.max_weight", "bce.warmup_steps", "bce.boost_span")
# What the one choice of section 5 stands for.
_ONE_CHOICE = {"bce.enabled", "bce.profile"}
_ACTIVE_ONLY = {
    f"bce.{name}"
    for name in ("character_decay", "context_decay", "reward_decay", "memory_size", "neighbors", "neighbor_width")
}
_BUILT_HERE_ONLY = {f"model.{name}" for name in ModelConfig.model_fields} - {
    "model.source",
    "model.tokenizer",
    "model.causal",
    "model.dtype",
}


def show_form(store: RunStore, draft: Draft) -> None:
    """All sections, and a list of what is wrong that belongs to no field."""
    show_problems(draft.problems.get("", ()))
    placed: set[str] = set(_ONE_CHOICE)
    with _section(1, "Start from"):
        _start_from(store, draft)
    with _section(2, _TITLES[2]):
        placed |= _text(store, draft)
    with _section(3, _TITLES[3]):
        placed |= _model(draft)
    with _section(4, _TITLES[4]):
        placed |= _fields(_LENGTH, draft)
        _length(store, draft)
    with _section(5, _TITLES[5]):
        _bce_choice(draft)
        placed |= _fields(_WEIGHTS, draft)
        _noticed(draft, 5, but=_ONE_CHOICE)
        show_schedules(draft.config, draft.total_steps)
    _more_options(draft, [key for key in SETTINGS if key not in placed])


@contextmanager
def _section(number: int, title: str) -> Iterator[None]:
    with st.container(border=True, key=f"launch-section-{number}"):
        st.header(f"{number} · {title}", anchor=f"launch-{number}")
        yield


def _start_from(store: RunStore, draft: Draft) -> None:
    runs = {record.id: record for record in store.records()}
    chosen = st.pills(
        "Recipe",
        [*recipe_names(), *([launch_state.PAST_RUN] if runs else [])],
        format_func=lambda name: "A past run" if name == launch_state.PAST_RUN else load_recipe(name).title,
        key=launch_state.RECIPE,
        required=True,
        on_change=launch_state.choose,
        args=(store,),
        label_visibility="collapsed",
        persist_state="session",
    )
    if chosen == launch_state.PAST_RUN:
        st.selectbox(
            "Run to begin from",
            list(runs),
            index=None,
            format_func=lambda run_id: f"{runs[run_id].name} · {moment(runs[run_id].created)}",
            key=launch_state.RUN,
            placeholder="Choose a run",
            on_change=launch_state.choose,
            args=(store,),
            width=460,
            persist_state="session",
        )
        if draft.origin.run_id is None:
            st.caption("The form stays as it is until a run is chosen.")
            return
    origin = draft.origin
    network = " It needs the internet, once, to fetch its model." if origin.needs_network else ""
    st.markdown(origin.summary + network)
    noticed = {finding.field for finding in draft.findings}
    for key, note in origin.notes.items():
        # What is noticed about a setting says more, and says it beside the setting.
        if key not in draft.changes and key not in noticed:
            st.markdown(f":material/info: **{SETTINGS[key].title}.** {note}")


def _text(store: RunStore, draft: Draft) -> set[str]:
    mode = st.session_state[field_key("data.validation")]
    placed = {"data.train_file", "data.validation_file", "data.validation", "data.block_size"}
    _text_source(store, draft, "data.train_file")
    _noticed_of(draft, {"data.train_file"})
    own: tuple[str, ...] = ("data.validation",)
    own += {"fraction": ("data.validation_fraction",), "first_rows_of_training": ("data.validation_rows",)}.get(
        mode, ()
    )
    own += ("data.block_size",)
    if not _is_plain_text(draft):
        own += ("data.column",)
    placed |= _fields(own, draft)
    if mode == "file":
        _text_source(store, draft, "data.validation_file")
    if draft.text is not None:
        st.markdown(f":material/notes: {launch_words.text_words(draft.text)}")
        _noticed(draft, 2, but={"data.train_file"})
    else:
        st.caption("How many lines there are, and what becomes of them, is said here as soon as the text can be read.")
    with st.expander("The text as the model will see it", icon=":material/visibility:", key="launch-preview"):
        show_preview(draft.text)
    return placed


def _is_plain_text(draft: Draft) -> bool:
    """Whether the text has no columns to choose from."""
    config = draft.config
    names = (config.data.train_file, config.data.validation_file) if config else ()
    return all(name is None or Path(name).suffix.lower() in ("", ".txt") for name in names)


def _text_source(store: RunStore, draft: Draft, key: str) -> None:
    described = SETTINGS[key]
    source = st.pills(
        described.title,
        list(_TEXT_FROM),
        format_func=lambda choice: _TEXT_FROM[choice],
        key=field_key(key),
        help=help_text(described),
        required=True,
        persist_state="session",
    )
    if source == "file":
        st.text_input(
            f"Path of the {described.title.lower()}",
            key=launch_state.path_key(key),
            placeholder="/home/me/texts/my-text.txt",
            persist_state="session",
        )
    if source == "upload":
        file = st.file_uploader(
            f"{described.title}, one example a line",
            [suffix.removeprefix(".") for suffix in SUFFIXES],
            key=launch_state.uploader_key(key),
            max_upload_size=_UPLOAD_MEGABYTES,
            help=f"Up to {_UPLOAD_MEGABYTES} MB. For a larger text give its path on this machine instead.",
            on_change=launch_state.take_upload,
            args=(store, key),
        )
        upload = launch_state.upload_of(key)
        if file is None and upload is not None:
            # The uploader forgets its file when another page is visited; the upload itself is still there.
            st.markdown(f":material/attach_file: Using {plain(upload.name)} ({size(upload.bytes)}), uploaded before.")
        show_problems([message for message in [launch_state.upload_problem(key)] if message])
    _source_problems(draft, key)


def _source_problems(draft: Draft, key: str) -> None:
    """What is wrong with a text or model; that none has been named yet is no mistake."""
    messages = draft.problems.get(key, ())
    if launch_state.missing_words(key) in messages:
        st.caption(launch_state.missing_words(key))
    else:
        show_problems(messages)


def _model(draft: Draft) -> set[str]:
    described = SETTINGS["model.source"]
    kind = st.pills(
        described.title,
        list(_MODEL_FROM),
        format_func=lambda choice: _MODEL_FROM[choice],
        key=field_key("model.source"),
        help=help_text(described),
        required=True,
        persist_state="session",
    )
    if kind in _MODEL_NAME:
        words, example = _MODEL_NAME[kind]
        st.text_input(words, key=launch_state.model_key(kind), placeholder=example, persist_state="session")
    _source_problems(draft, "model.source")
    if draft.text is not None:
        st.markdown(f":material/network_node: {launch_words.model_words(draft.text)}")
    if draft.hub_failed:
        st.button("Try again", icon=":material/refresh:", key="launch-try-again", on_click=try_again)
    field(SETTINGS["model.causal"], draft.problems)
    _noticed(draft, 3)
    return {"model.source", "model.causal"}


def _length(store: RunStore, draft: Draft) -> None:
    if draft.config is not None and draft.text is not None and draft.total_steps is not None:
        st.markdown(f":material/calculate: {launch_words.steps_words(draft.config, draft.text, draft.total_steps)}")
    else:
        st.caption("The length of the run is worked out here as soon as the text and the settings above are possible.")
    show_estimate(store, draft.checked)
    _noticed(draft, 4)


def _bce_choice(draft: Draft) -> None:
    enabled, profile = SETTINGS["bce.enabled"], SETTINGS["bce.profile"]
    choice = st.segmented_control(
        enabled.title,
        list(_BCE),
        format_func=lambda name: _BCE[name],
        key=launch_state.BCE,
        help=f"{help_text(enabled)} {help_text(profile)}",
        required=True,
        persist_state="session",
    )
    assert choice is not None  # one of them is always chosen
    st.markdown(_BCE_MEANS[choice])
    _noticed_of(draft, _ONE_CHOICE)
    st.page_link(ABOUT_PAGE, label="What is BCE?", icon=":material/help:")
    show_problems([*draft.problems.get("bce.enabled", ()), *draft.problems.get("bce.profile", ())])


def _noticed(draft: Draft, section: int, but: Collection[str] = ()) -> None:
    """What was noticed about the settings of a section, without those of which it is said elsewhere in it."""
    fields = {str(finding.field) for finding in draft.findings}
    _noticed_of(draft, {key for key in fields if _SECTION_OF[key.partition(".")[0]] == section and key not in but})


def _noticed_of(draft: Draft, keys: Collection[str]) -> None:
    """What was noticed about these settings, with the changes that remove it."""

    config = draft.config
    # While another setting is impossible there is nothing that could be changed as a whole.
    on_fix = None if config is None else partial(launch_state.mend, config)
    show_findings([finding for finding in draft.findings if finding.field in keys], key=_FINDING, on_fix=on_fix)


def _more_options(draft: Draft, keys: list[str]) -> None:
    wrong = [key for key in keys if key in draft.problems]
    if wrong:
        st.session_state[_MORE] = True  # a message in a closed drawer would not be seen
    with st.expander("6 · More options", key=_MORE, on_change="rerun"):
        for title in dict.fromkeys(SETTINGS[key].section_title for key in keys):
            st.subheader(title, anchor=False)
            _fields(tuple(key for key in keys if SETTINGS[key].section_title == title), draft)


def _fields(keys: tuple[str, ...], draft: Draft) -> set[str]:
    """The fields of these settings, in as many columns as there is room for."""
    grid = st.grid(4)
    for key in keys:
        with grid.cell():
            field(SETTINGS[key], draft.problems, disabled=not _counts(key))
            if key in draft.problems and key in draft.fixes:
                _fix_problem(draft, key)
    return set(keys)


def _fix_problem(draft: Draft, key: str) -> None:
    """A button that removes what is wrong with the field above."""
    fix = draft.fixes[key]
    st.button(
        fix.label,
        icon=":material/build:",
        key=f"launch-fix-{key}",
        on_click=launch_state.mend,
        args=(draft.config, fix),
    )


def _counts(key: str) -> bool:
    """Whether a setting makes a difference, as the others are now."""
    state = st.session_state
    validation = state[field_key("data.validation")]
    built_here = bool(state[field_key("model.source")] == "offline")
    if key in ("data.validation_fraction", "data.split_seed"):
        return bool(validation == "fraction")
    if key == "data.validation_rows":
        return bool(validation == "first_rows_of_training")
    if key in ("data.max_validation_examples", "logging.eval_steps"):
        return bool(validation != "none")
    if key == "model.vocab_size":
        return built_here and bool(state[field_key("model.tokenizer")].strip() == AUTO_TOKENIZER)
    if key in _BUILT_HERE_ONLY:
        return built_here
    if key in _ACTIVE_ONLY:
        return bool(state[launch_state.BCE] == "active")
    return not key.startswith("bce.") or bool(state[launch_state.BCE] != "off")
