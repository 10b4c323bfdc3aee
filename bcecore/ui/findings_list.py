"""How a page shows findings: what is the matter, what to do, and a button where a change of settings removes it.

Where a page lets somebody accept findings (`Accepting`), those that were accepted come last, muted, with the reason.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import streamlit as st

from bcecore.errors import BceError, RunError
from bcecore.findings.finding import Finding, Fix
from bcecore.report.finding_words import Noted, noted
from bcecore.store import acknowledged
from bcecore.store.acknowledged import MAX_REASON_CHARACTERS, Acknowledgement
from bcecore.ui import news
from bcecore.ui.words import moment, plain

# Numbers, and ids of runs and evaluations.
_NUMBERS = re.compile(r"[\w-]*\d[\w.,-]*")

OnFix = Callable[[Fix], None]
"""Puts a fix into effect; called before the page is drawn anew."""


class Accepting:
    """Which findings about a run, an evaluation or a study somebody has accepted, as kept in its folder."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def accepted(self) -> Sequence[Acknowledgement]:
        """What was accepted by now."""
        return acknowledged.read(self._directory)

    def accept(self, findings: Sequence[Finding], reason: str) -> None:
        """Accept findings that are alike. Raises RunError for a reason that is none, DiskFullError, OSError."""
        for finding in findings:
            acknowledged.acknowledge(self._directory, finding, reason)

    def withdraw(self, accepted: Acknowledgement) -> None:
        """Take an acceptance back. Raises RunError, DiskFullError, OSError."""
        acknowledged.withdraw(self._directory, accepted)

    def can_be(self, finding: Finding) -> bool:
        """Whether there is any use in accepting a finding."""
        return True


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
    found = noted(findings, acknowledge.accepted())
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
    for alike in (
        _alike([each.finding for each in found]) if acknowledge is not None else [[each.finding] for each in found]
    ):
        finding = alike[0]
        own = f"{key}-{finding.id}-{places[finding.id]}"
        places[finding.id] += 1
        with st.container(key=own, gap="xsmall"):
            show_finding(finding)
            if len(alike) > 1:
                with st.expander(f"{len(alike) - 1:,} more like this", key=f"{own}-alike"):
                    st.markdown("\n".join(f"- {plain(each.sentence)}" for each in alike[1:]))
            fixes = finding.fix is not None and on_fix is not None
            accepts = acknowledge is not None and acknowledge.can_be(finding)
            if not (fixes or accepts):
                continue
            with st.container(horizontal=True, vertical_alignment="center", key=f"{own}-do"):
                if finding.fix is not None and on_fix is not None:
                    _fix(finding.fix, own, on_fix, fix_words)
                if acknowledge is not None and accepts:
                    _accept(alike, own, acknowledge)


def _alike(findings: Sequence[Finding]) -> list[list[Finding]]:
    """Findings that say the same, but for numbers and names, together; in the order of the first of each."""
    groups: dict[tuple[str, str, str], list[Finding]] = {}
    for finding in findings:
        what = _NUMBERS.sub("#", finding.sentence)
        groups.setdefault((finding.id, finding.severity, what), []).append(finding)
    return list(groups.values())


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


def _accept(findings: Sequence[Finding], key: str, acknowledge: Accepting) -> None:
    """A field for the reason behind a small button. What is typed stays while the page refreshes."""
    typed, problem = f"{key}-reason", f"{key}-problem"
    popover = st.popover("Accept with a reason", icon=":material/check:", type="tertiary", key=f"{key}-accept")
    with popover, st.form(f"{key}-form", border=False):
        st.text_area(
            "Why can this be accepted?",
            key=typed,
            max_chars=MAX_REASON_CHARACTERS,
            height=80,
            placeholder="For example: this run only tries out the machine",
            help="The finding is then shown muted and stands in nobody's way. Every report states it with this "
            "reason. It is shown again if it becomes more serious.",
        )
        if message := st.session_state.get(problem):
            st.error(plain(message), icon=":material/edit:")
        st.form_submit_button(
            "Accept", icon=":material/check:", on_click=_accepted, args=(findings, typed, problem, acknowledge)
        )


def _accepted(findings: Sequence[Finding], typed: str, problem: str, acknowledge: Accepting) -> None:
    st.session_state.pop(problem, None)
    try:
        acknowledge.accept(findings, st.session_state.get(typed) or "")
    except RunError as error:
        st.session_state[problem] = str(error)
    except (BceError, OSError) as error:
        news.say(_unwritten(error), icon=":material/error:")
    else:
        news.say("Accepted. The report states it with your reason.", icon=":material/check:")


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
        acknowledge.withdraw(accepted)
    except (BceError, OSError) as error:
        news.say(_unwritten(error), icon=":material/error:")


def _unwritten(error: Exception) -> str:
    return (
        str(error) if isinstance(error, BceError) else f"This cannot be kept now: {getattr(error, 'strerror', error)}."
    )
