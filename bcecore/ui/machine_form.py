"""What can be set for this machine, as a form. What was typed stays as it was typed, with what is wrong beside it."""

from __future__ import annotations

from typing import Any

import streamlit as st
from pydantic import ValidationError

from bcecore.errors import BceError
from bcecore.jobs import devices
from bcecore.jobs.notify import notify
from bcecore.settings import readable_number
from bcecore.store.identity import this_machine
from bcecore.store.preferences import MAX_SLOTS, Preferences, load_preferences, save_preferences
from bcecore.store.record import RunRecord, now
from bcecore.store.runs import RunStore
from bcecore.ui import news
from bcecore.ui.config_form import show_problems
from bcecore.ui.words import plain

_PROBLEMS = "machine:problems"
_COMMAND, _WEBHOOK = "notify_command", "notify_webhook"
# What to say beside a field that cannot be read.
_EXPECTED = {
    "slots": f"A whole number from 1 to {MAX_SLOTS} is needed here.",
    "keep_free_gb": "A number from 0 to 10,000 is needed here.",
    "warn_runs_gb": "A number from 0 to 1,000,000 is needed here.",
    _COMMAND: "A command is needed here, or nothing.",
    _WEBHOOK: "A web address begins with http:// or https://.",
}
_DEVICES = {"cpu": "on the processor (CPU)", "cuda": "on an NVIDIA card (CUDA)", "mps": "on an Apple card (MPS)"}


def show_form(store: RunStore) -> None:
    """All settings of the machine."""
    preferences = load_preferences(store)
    found = devices.found(store)
    kinds: list[devices.Kind] = found.kinds() if found is not None else ["cpu"]
    with st.container(border=True, key="machine-runs"):
        st.header("Running", anchor=False)
        with st.grid(3, min_column_width=260) as grid:
            for kind in kinds:
                with grid.cell():
                    _text(
                        f"Runs at once {_DEVICES[kind]}",
                        f"slots.{kind}",
                        str(preferences.slots_for(kind)),
                        f"More than one share the device: each is slower. At most {MAX_SLOTS}.",
                    )
            with grid.cell():
                _text(
                    "Disk to keep free (GB)",
                    "keep_free_gb",
                    readable_number(preferences.keep_free_gb),
                    "No run is started when less than this would stay free.",
                )
            with grid.cell():
                _text(
                    "Warn when runs take more than (GB)",
                    "warn_runs_gb",
                    readable_number(preferences.warn_runs_gb),
                    "All runs together, without the trash.",
                )
        st.toggle(
            "Start runs at once",
            preferences.keep_warm,
            key=_key("keep_warm"),
            help="Keeps a process ready that has everything loaded. It takes about 0.4 GB of memory. "
            "On Linux only; elsewhere every run and evaluation loads everything anew.",
        )
    with st.container(border=True, key="machine-notify"):
        st.header("When a run or an evaluation ends", anchor=False)
        if (preferences.notify_command or preferences.notify_webhook) and preferences.machine != this_machine():
            st.info("These were set on another machine, and do nothing here until you save them here.")
        _text(
            "Command to run",
            _COMMAND,
            preferences.notify_command,
            "Run by the shell. BCE_RUN_NAME, BCE_RUN_STATUS and BCE_RUN_ID tell it which one, and how it "
            "ended; BCE_JOB is “run” or “evaluation”.",
            placeholder='notify-send "$BCE_RUN_NAME" "$BCE_RUN_STATUS"',
        )
        _text(
            "Web address to tell (webhook)",
            _WEBHOOK,
            preferences.notify_webhook,
            "A JSON object is posted to it: its name, its status, how far it was, and a text that chat services show.",
            placeholder="https://example.org/hook",
        )
        if st.button(
            "Try it",
            icon=":material/notifications_active:",
            key="machine-try",
            help="Tells what stands above of a made-up run that has finished. Nothing has to be saved for that.",
        ):
            _try_it()
    st.button("Save", icon=":material/check:", type="primary", key="machine-save", on_click=_save, args=(store,))


def _key(name: str) -> str:
    return f"machine:{name}"


def _text(label: str, name: str, value: str, help: str, placeholder: str | None = None) -> None:
    st.text_input(label, value, key=_key(name), help=help, placeholder=placeholder)
    problem = st.session_state.get(_PROBLEMS, {}).get(name)
    show_problems([problem] if problem else [])


def _save(store: RunStore) -> None:
    """Keep every field that can be kept, and remember what is wrong with the others; as a callback."""
    changes: dict[str, Any] = {"keep_warm": st.session_state[_key("keep_warm")]}
    slots: dict[str, int] = dict(load_preferences(store).slots)
    problems: dict[str, str] = {}
    for name in (*(f"slots.{kind}" for kind in _DEVICES), *_EXPECTED):
        typed = st.session_state.get(_key(name))
        if typed is None:
            continue  # a device that this machine does not have
        setting, _, kind = name.partition(".")
        try:
            value = _read(setting, {kind: typed} if kind else typed.strip())
        except ValidationError:
            problems[name] = _EXPECTED[setting]
            continue
        if kind:
            slots |= value
        else:
            changes[setting] = value
    st.session_state[_PROBLEMS] = problems
    try:
        save_preferences(store, **changes, slots=slots)
    except BceError as error:
        news.say(str(error), icon=":material/error:")
    else:
        said = "Saved, but for what is marked." if problems else "Saved."
        news.say(said, icon=":material/warning:" if problems else ":material/check:")


def _read(setting: str, typed: object) -> Any:
    """A setting as it was typed. Raises ValidationError."""
    return getattr(Preferences.model_validate({setting: typed}), setting)


def _try_it() -> None:
    """Tell what stands in the fields of a made-up run, and say what came of it."""
    typed = {name: st.session_state[_key(name)].strip() for name in (_COMMAND, _WEBHOOK)}
    if not any(typed.values()):
        st.caption("Nobody is told: fill in one of the fields above first.")
        return
    try:
        preferences = Preferences.model_validate(typed | {"machine": this_machine()})
    except ValidationError:
        show_problems([_EXPECTED[_WEBHOOK]])
        return
    moment = now()
    record = RunRecord(
        id=f"{moment:%Y%m%d-%H%M%S}-an-example-0000",
        name="An example",
        created=moment,
        status="finished",
        status_since=moment,
    )
    complaints: list[str] = []
    with st.spinner("Telling of a made-up run…"):
        notify(preferences, record, complaints.append)
    for complaint in complaints:
        st.warning(plain(complaint), icon=":material/warning:")
    if not complaints:
        what = {_COMMAND: "the command ended well", _WEBHOOK: "the web address took the message"}
        done = " and ".join(words for name, words in what.items() if typed[name])
        st.success(f"{done[0].upper()}{done[1:]}.", icon=":material/check_circle:")
