"""How a page shows findings: what is the matter, what to do, and a button where a change of settings removes it.

Where a page lets somebody accept findings (`Accepting`), those that were accepted come last, muted, with the reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from bcecore.errors import BceError, RunError
from bcecore.findings.finding import Finding, Fix
from bcecore.report.finding_words import Noted, noted
from bcecore.store import acknowledged
from bcecore.store.acknowledged import MAX_REASON_CHARACTERS, Acknowledgement
from bcecore.ui import news
from bcecore.ui.words import moment, plain

OnFix = Callable[[Fix], None]
"""Puts a fix into effect; called before the page is drawn anew."""


@dataclass(frozen=True)
class Accepting:
    """Where it is kept which findings somebody has accepted."""

    directory: Path
    """The folder of the run, the evaluation or the study that they are about."""
    changed: Callable[[], None] | None = None
    """Called after something was accepted or withdrawn, before the page is drawn anew."""

    def noted(self, findings: Iterable[Finding]) -> tuple[Noted, ...]:
        """Each finding with its acceptance, the most serious first."""
        return noted(findings, acknowledged.read(self.directory))


def show_findings(
    findings: Iterable[Finding],
    *,
    key: str,
    on_fix: OnFix | None = None,
    fix_words: Callable[[Fix], str] | None = None,
    acknowledge: Accepting | None = None,
) -> None:
    """One box for each, in the order given; `key` tells this list from others on the page.

    `fix_words` says in Markdown what a fix changes, which then stands beside its button. With `acknowledge`, findings
    can be accepted with a reason, and those that were come last.
    """
    if acknowledge is None:
        _show([Noted(finding) for finding in findings], key, on_fix, fix_words, None)
        return
    found = acknowledge.noted(findings)
    _show([each for each in found if each.accepted is None], key, on_fix, fix_words, acknowledge)
    show_accepted([each for each in found if each.accepted is not None], key=key, acknowledge=acknowledge)


def _show(
    found: Sequence[Noted],
    key: str,
    on_fix: OnFix | None,
    fix_words: Callable[[Fix], str] | None,
    acknowledge: Accepting | None,
) -> None:
    # The place among those of its rule, and not in the list: what comes and goes above does not move it.
    places: Counter[str] = Counter()
    for each in found:
        finding = each.finding
        own = f"{key}-{finding.id}-{places[finding.id]}"
        places[finding.id] += 1
        with st.container(key=own, gap="xsmall"):
            show_finding(finding)
            with st.container(horizontal=True, vertical_alignment="center", key=f"{own}-do"):
                if finding.fix is not None and on_fix is not None:
                    _fix(finding.fix, own, on_fix, fix_words)
                if acknowledge is not None:
                    _accept(finding, own, acknowledge)


def show_finding(finding: Finding) -> None:
    """Its words; how serious it is shows in icon and colour."""
    words = f"**{plain(finding.sentence)}** {plain(finding.what_to_do)}"
    if finding.blocks:
        st.error(words, icon=":material/block:")
    elif finding.severity == "W":
        st.warning(words, icon=":material/warning:")
    else:
        st.info(words, icon=":material/info:")


def _fix(fix: Fix, key: str, on_fix: OnFix, fix_words: Callable[[Fix], str] | None) -> None:
    st.button(fix.label, icon=":material/build:", key=f"{key}-fix", on_click=on_fix, args=(fix,))
    if fix_words is not None:
        st.markdown(fix_words(fix), width="content")


# -- accepting


def _accept(finding: Finding, key: str, acknowledge: Accepting) -> None:
    """A field for the reason behind a small button. What is typed stays while the page refreshes."""
    typed, problem = f"{key}-reason", f"{key}-problem"
    popover = st.popover("Accept with a reason", icon=":material/check:", type="tertiary", key=f"{key}-accept")
    with popover, st.form(f"{key}-form", border=False):
        st.text_area(
            "Why can this be accepted?",
            key=typed,
            max_chars=MAX_REASON_CHARACTERS,
            placeholder="For example: this run only tries out the machine",
            help="The finding is then shown muted and stands in nobody's way. Every report states it with this "
            "reason. It is shown again if it becomes more serious.",
        )
        if message := st.session_state.get(problem):
            st.error(plain(message), icon=":material/edit:")
        st.form_submit_button(
            "Accept", icon=":material/check:", on_click=_accepted, args=(finding, typed, problem, acknowledge)
        )


def _accepted(finding: Finding, typed: str, problem: str, acknowledge: Accepting) -> None:
    st.session_state.pop(problem, None)
    try:
        acknowledged.acknowledge(acknowledge.directory, finding, st.session_state.get(typed) or "")
    except RunError as error:
        st.session_state[problem] = str(error)
    except (BceError, OSError) as error:
        news.say(_unwritten(error), icon=":material/error:")
    else:
        news.say("Accepted. The report states it with your reason.", icon=":material/check:")
        _tell(acknowledge)


def show_accepted(found: Sequence[Noted], *, key: str, acknowledge: Accepting) -> None:
    """Findings that somebody has accepted: muted, with the reason and the way back."""
    for number, each in enumerate(found):
        if each.accepted is None:
            continue
        own = f"{key}-accepted-{each.finding.id}-{number}"
        with st.container(border=True, key=own, gap="xsmall"):
            st.caption(f":material/check: {plain(each.finding.sentence)}")
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(
                    f"Accepted {plain(moment(each.accepted.when))}: “{plain(each.accepted.reason)}”", width="content"
                )
                st.button(
                    "Withdraw",
                    icon=":material/undo:",
                    type="tertiary",
                    key=f"{own}-withdraw",
                    help="The finding counts again.",
                    on_click=_withdrawn,
                    args=(each.accepted, acknowledge),
                )


def _withdrawn(accepted: Acknowledgement, acknowledge: Accepting) -> None:
    try:
        acknowledged.withdraw(acknowledge.directory, accepted)
    except (BceError, OSError) as error:
        news.say(_unwritten(error), icon=":material/error:")
    else:
        _tell(acknowledge)


def _tell(acknowledge: Accepting) -> None:
    if acknowledge.changed is not None:
        acknowledge.changed()


def _unwritten(error: Exception) -> str:
    return (
        str(error) if isinstance(error, BceError) else f"This cannot be kept now: {getattr(error, 'strerror', error)}."
    )
