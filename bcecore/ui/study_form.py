"""The form for a new study: what is wrong stands beside what causes it, and beside it all what it will see."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import streamlit as st

from bcecore.config import SAMPLE_TEXT, RunConfig
from bcecore.errors import BceError
from bcecore.evaluation.statistics import FEW_SEEDS
from bcecore.evaluation.study import creating, foretelling
from bcecore.evaluation.study.drafting import KNOWN_ARMS
from bcecore.findings.finding import Finding
from bcecore.jobs.disk import disk_problem
from bcecore.recipes import DEFAULT_RECIPE, load_recipe, recipe_names
from bcecore.store.acknowledged import Acknowledgement, accepted_now
from bcecore.store.runs import MAX_NAME_CHARACTERS, RunStore
from bcecore.store.studies import MARGIN, MAX_ARMS
from bcecore.text.reading import SUFFIXES
from bcecore.ui import study_draft
from bcecore.ui.actions import once
from bcecore.ui.config_form import SETTINGS, choice_words, help_text, label, show_problems, value_words
from bcecore.ui.evaluate_uploads import show_upload, uploader, uploads
from bcecore.ui.findings_list import Accepting, show_findings
from bcecore.ui.launch_words import steps_words, text_words
from bcecore.ui.page import ABOUT_PAGE
from bcecore.ui.study_draft import PAST_RUN, PLACES, Form, Place
from bcecore.ui.study_list import open_study
from bcecore.ui.study_outlook import disk_bytes, show_outlook
from bcecore.ui.words import count, moment, plain

_ARMS = {"off": "Off", "seed": "As in the report", "active": "Acting"}
_SEEDS = {"3": "3 · quick look", "5": "5", "8": "8 · recommended", study_draft.OTHER_NUMBER: "Another number"}
_MOST_OWN_ARMS = MAX_ARMS - 1
_SEEDS_MEAN = {
    "3": "A quick look. It never names a winner, whatever comes out: three pairs can agree by chance.",
    "5": "The fewest with which a study may name a winner.",
    "8": "Sees smaller differences, for more time.",
}


def show_form(store: RunStore) -> None:
    """Choose what to study and create it; nothing typed is lost by an error, or by leaving."""
    _prepare()
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        with st.container(horizontal=True, vertical_alignment="center", width="content"):
            st.title("New study", anchor=False, width="content")
            form = study_draft.read_form(store)
        st.button("All studies", icon=":material/list:", key="all-studies", on_click=open_study, args=(None,))
    left, right = st.columns([3, 2], gap="large")
    with left:
        _start(store, form)
        _arms(form)
        _seeds(form)
        _held_out(store, form)
        _plan(form)
    with right:
        show_outlook(store, form)
    _foot(store, form)


def _prepare() -> None:
    state = st.session_state
    for key, value in (
        (study_draft.BASE, DEFAULT_RECIPE),
        (study_draft.ARMS, ["off", "active"]),
        (study_draft.OWN_ARMS, 0),
        (study_draft.SEEDS, "5"),
        (study_draft.HELD_OUT, "own"),
        (study_draft.TRAIN, "base"),
        (study_draft.MARGIN_TYPED, f"{MARGIN:g}"),
        (study_draft.NAME, ""),
    ):
        state.setdefault(key, value)
    for number in range(_MOST_OWN_ARMS):
        state.setdefault(study_draft.own_key(number, "name"), f"own {number + 1}")
        state.setdefault(study_draft.own_key(number, "bce.profile"), "active")
    title = load_recipe(state[study_draft.BASE]).title if state[study_draft.BASE] != PAST_RUN else "A past run"
    suggested = f"{title}: does BCE help"
    if state[study_draft.NAME] in ("", state.get(study_draft.SUGGESTED)):
        state[study_draft.NAME] = suggested
    state[study_draft.SUGGESTED] = suggested


@contextmanager
def _section(place: Place, form: Form) -> Iterator[None]:
    with st.container(border=True, key=f"study-section-{place}"):
        st.header(PLACES[place], anchor=False)
        yield
        show_problems(form.problems.get(place, ()))
        show_findings(form.findings.get(place, ()), key=f"study-{place}", acknowledge=_Accepting())


class _Accepting(Accepting):
    """What is accepted of the plan; it is kept with the study when there is one."""

    def __init__(self) -> None:
        pass

    def accepted(self) -> Sequence[Acknowledgement]:
        return study_draft.accepted()

    def accept(self, findings: Sequence[Finding], reason: str) -> None:
        study_draft.accepted().extend(accepted_now(finding, reason, of_plan=True) for finding in findings)

    def withdraw(self, accepted: Acknowledgement) -> None:
        study_draft.accepted().remove(accepted)

    def can_be(self, finding: Finding) -> bool:
        return finding.blocks


# -- what to train


def _start(store: RunStore, form: Form) -> None:
    with _section("start", form):
        runs = {record.id: record for record in store.records() if record.status != "imported"}
        chosen = st.pills(
            "All runs of the study are alike but for BCE and the seed. Start from",
            [*recipe_names(), *([PAST_RUN] if runs else [])],
            format_func=lambda name: "A past run" if name == PAST_RUN else load_recipe(name).title,
            key=study_draft.BASE,
            required=True,
            persist_state="session",
        )
        assert chosen is not None  # one of them is always chosen
        if chosen == PAST_RUN:
            st.selectbox(
                "Run to begin from",
                list(runs),
                index=None,
                format_func=lambda run_id: f"{runs[run_id].name} · {moment(runs[run_id].created)}",
                key=study_draft.RUN,
                placeholder="Choose a run",
                width=460,
                persist_state="session",
            )
        else:
            recipe = load_recipe(chosen)
            network = " It needs the internet, once, to fetch its model." if recipe.needs_network else ""
            st.markdown(recipe.summary + network)
        _text(store, chosen)
        with st.grid(2, min_column_width=200):
            for key in (study_draft.STEPS, study_draft.WARMUP):
                _changeable(key)
        _reading(store)
        st.caption("All else is as it begins from. For other settings, train one run with them and start from that.")
        if form.ready is not None:
            checked = form.ready.checked
            steps = steps_words(checked.config, checked, checked.total_steps)
            st.markdown(f":material/notes: {text_words(checked)}\n\n:material/calculate: {steps}")


def _changeable(key: str, words: str | None = None) -> None:
    described = SETTINGS[study_draft.CHANGEABLE[key]]
    st.text_input(
        words or label(described),
        key=key,
        placeholder="as it begins from",
        help=help_text(described),
        width=320,
        persist_state="session",
    )


def _reading(store: RunStore) -> None:
    """The way out of a base whose model sees the words that it has to predict."""
    origin = study_draft.origin_of(store)
    if isinstance(origin, str) or origin[0].model.causal:
        return
    described = SETTINGS["model.causal"]
    st.toggle(described.title, key=study_draft.CAUSAL, help=help_text(described), persist_state="session")


def _text(store: RunStore, base: str) -> None:
    own = base == PAST_RUN or load_recipe(base).config.data.train_file != SAMPLE_TEXT
    options = {
        "base": "The same text" if own else "Sample text",
        "file": "A file on this machine",
        "upload": "Upload a file",
    }
    chosen = st.pills(
        "Text to learn from",
        list(options),
        format_func=options.__getitem__,
        key=study_draft.TRAIN,
        required=True,
        persist_state="session",
    )
    if chosen == "file":
        _path("Path of the text", study_draft.TRAIN_PATH)
    elif chosen == "upload":
        _uploads(store, study_draft.TRAIN_SLOT, "Text to learn from, one example a line", several=False)


def _path(words: str, key: str) -> None:
    st.text_input(words, key=key, placeholder="/home/me/texts/my-text.txt", persist_state="session")


def _uploads(store: RunStore, slot: str, words: str, *, several: bool) -> None:
    uploader(store, slot, words, SUFFIXES, several=several)
    for place, upload in enumerate(uploads(slot)):
        show_upload(slot, upload, "the verdict is about this one" if several and place == 0 else "")


# -- what to compare


def _arms(form: Form) -> None:
    with _section("arms", form):
        st.pills(
            "Ways of training (arms)",
            list(KNOWN_ARMS),
            selection_mode="multi",
            format_func=_ARMS.__getitem__,
            key=study_draft.ARMS,
            help="Off: the weight of BCE is 0 at every step. As in the report: BCE is computed and logged, but adds "
            "nothing to the gradient. Acting: BCE acts on what the model learns.",
            persist_state="session",
        )
        number = st.segmented_control(
            "Arms with values of your own",
            list(range(_MOST_OWN_ARMS + 1)),
            format_func=lambda n: "None" if n == 0 else str(n),
            key=study_draft.OWN_ARMS,
            required=True,
            persist_state="session",
        )
        for place in range(int(number or 0)):
            _own_arm(place, form.base)
        _changeable(study_draft.BCE_WARMUP, "BCE warm-up of all arms (steps)")
        arms = form.draft.arms if form.draft is not None else ()
        if len(arms) > 1:
            others = ", ".join(f"“{arm.name}”" for arm in arms[1:])
            st.markdown(f":material/compare_arrows: {others} against “{arms[0].name}”")
        if len(arms) == 2 and {arm.name for arm in arms} == {"off", "seed"}:
            st.caption(
                "As in the report, BCE adds nothing to the gradient: this study will end with “BCE changed nothing”, "
                "and prove it."
            )
        st.page_link(ABOUT_PAGE, label="What is BCE?", icon=":material/help:")


def _own_arm(number: int, base: RunConfig | None) -> None:
    profile = SETTINGS["bce.profile"]
    with st.container(border=True, key=f"study-own-{number}"), st.grid(2, min_column_width=200):
        key, kind = study_draft.own_key(number, "name"), study_draft.own_key(number, "bce.profile")
        st.text_input("Name of the arm", key=key, max_chars=30, persist_state="session")
        st.selectbox(
            profile.title,
            profile.choices,
            format_func=lambda choice: choice_words("bce.profile", choice),
            key=kind,
            help=help_text(profile),
            persist_state="session",
        )
        for setting in study_draft.OWN_VALUES:
            described = SETTINGS[setting]
            default = None if base is None else getattr(base.bce, setting.partition(".")[2])
            st.text_input(
                label(described),
                key=study_draft.own_key(number, setting),
                placeholder="as it begins from" if base is None else value_words(described, default),
                help=help_text(described),
                persist_state="session",
            )


# -- how many times


def _seeds(form: Form) -> None:
    with _section("seeds", form):
        chosen = st.segmented_control(
            "Pairs of twins (seeds)",
            list(_SEEDS),
            format_func=_SEEDS.__getitem__,
            key=study_draft.SEEDS,
            required=True,
            help="Each seed is another random start: other first weights, another order of the text, other dropout. "
            "Within a seed all arms start the same.",
            persist_state="session",
        )
        if chosen == study_draft.OTHER_NUMBER:
            st.text_input("How many seeds", key=study_draft.SEEDS_TYPED, width=160, persist_state="session")
        else:
            st.caption(_SEEDS_MEAN[str(chosen)])


# -- what to measure on


def _held_out(store: RunStore, form: Form) -> None:
    with _section("held-out", form):
        data = form.base.data if form.base is not None else None
        aside = data is not None and data.validation == "fraction" and _chosen() == "own"
        options = {
            "own": "Lines set aside" if aside else "As it begins from",
            "aside": "Lines set aside instead",
            "file": "A file on this machine",
            "upload": "Upload files",
        }
        if aside:
            del options["aside"]
        chosen = st.pills(
            "Text that no run learns from",
            list(options),
            format_func=options.__getitem__,
            key=study_draft.HELD_OUT,
            required=True,
            persist_state="session",
        )
        if chosen == "file":
            _path("Path of the text to measure on", study_draft.HELD_OUT_PATH)
        elif chosen == "upload":
            words = "Texts to measure on, one document a line"
            _uploads(store, study_draft.HELD_OUT_SLOT, words, several=True)
            if len(uploads(study_draft.HELD_OUT_SLOT)) > 1:
                st.caption("The others tell where the arms differ: by kind of text.")
        elif data is not None and data.validation == "fraction":
            st.text_input(
                "Share to measure on (%)",
                key=study_draft.SHARE,
                placeholder=f"{100 * data.validation_fraction:g}",
                help="These lines are taken out of the text to learn from, the same for all runs.",
                width=220,
                persist_state="session",
            )
        if form.ready is not None:
            counts = [f"{count(len(split.texts), 'document')} of “{plain(split.name)}”" for split in form.ready.splits]
            st.markdown(f":material/fact_check: Measured on {', '.join(counts)}.")


def _chosen() -> object:
    return st.session_state.get(study_draft.HELD_OUT)


# -- what would matter


def _plan(form: Form) -> None:
    with _section("plan", form), st.grid(2, min_column_width=220):
        st.text_input(
            "Margin (nats per token)",
            key=study_draft.MARGIN_TYPED,
            help="A difference of CE smaller than this does not matter to you, in either direction. It is fixed now, "
            "before any result is seen.",
            persist_state="session",
        )
        st.text_input(
            "Looks in between, at so many seeds",
            key=study_draft.EARLIER,
            placeholder="none: only at the end",
            help="With “5”, the first 5 seeds are trained and looked at; the rest only if you ask for them then. Every "
            "look is one more chance to be wrong, so all intervals get wider for it.",
            persist_state="session",
        )


# -- creating


def _foot(store: RunStore, form: Form) -> None:
    with st.container(border=True, key="study-foot"):
        st.text_input(
            PLACES["name"], key=study_draft.NAME, max_chars=MAX_NAME_CHARACTERS, width=480, persist_state="session"
        )
        show_problems(form.problems.get("name", ()))
        reason = _reason(store, form)
        with st.container(horizontal=True, horizontal_alignment="right", vertical_alignment="center"):
            if reason:
                st.markdown(f":material/block: {reason}", width="content")
            elif form.draft is not None:
                st.markdown(_amount_words(form), width="content")
            pressed = st.button(
                "Create the study",
                icon=":material/science:",
                type="primary",
                key="create-study",
                disabled=bool(reason),
                help="Freezes the plan and puts its runs into the queue.",
            )
        # A press can arrive together with the change that makes the study impossible.
        if pressed and not reason and form.draft is not None:
            _create(store, form)


def _reason(store: RunStore, form: Form) -> str:
    """Why the study cannot be created now; empty when it can."""
    if form.blocked:
        return f"Not ready yet. Look at: {plain(_listed([PLACES[place] for place in form.blocked]))}."
    if disk_problem(store, disk_bytes(form) or 0) is not None:
        return "The disk has no room for its runs. See beside the form."
    return ""


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"“{name}”" for name in names)


def _amount_words(form: Form) -> str:
    assert form.draft is not None
    first, arms = form.draft.looks[0], len(form.draft.arms)
    few = " · will name no winner" if first < FEW_SEEDS and len(form.draft.looks) == 1 else ""
    return f"{count(arms, 'arm')} × {count(first, 'seed')} = {count(first * arms, 'run')}{few}"


def _create(store: RunStore, form: Form) -> None:
    draft = form.draft
    assert draft is not None
    try:
        with st.spinner("Freezing the plan and preparing its runs…"):
            study_id = once(
                ("study", draft.name, str(draft.arms), str(draft.seeds), draft.base.model_dump_json()),
                lambda: (
                    creating.create(
                        store,
                        draft,
                        lambda ready, found: foretelling.as_expectations(foretelling.foretell(store, ready, found)),
                        form.reasons,
                    ).id
                ),
            )
    except (BceError, OSError) as error:
        message = str(error) if isinstance(error, BceError) else f"The study cannot be written: {error.strerror}."
        st.error(plain(message), icon=":material/error:")
        return
    study_draft.accepted().clear()  # they are of this plan, and with it now
    open_study(study_id)
    st.rerun()
