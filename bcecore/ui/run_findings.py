"""The findings of one run on its page: how many there are, beside its name; what they say; and a run with the fix.

They are looked for again whenever the page is drawn, so that a run that goes on tells at once what is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Any

import streamlit as st

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.findings.finding import Finding, Fix
from bcecore.findings.of_run import rules_of
from bcecore.findings.tally import keep_tally
from bcecore.jobs import derive
from bcecore.report.finding_words import SEVERITY_WORDS, Noted, counts_words, looked_words, noted
from bcecore.settings import flatten
from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.ui.config_form import SETTINGS, value_words
from bcecore.ui.findings_list import Accepting, show_accepted, show_findings
from bcecore.ui.live import findings_of
from bcecore.ui.page import use_settings
from bcecore.ui.words import plain

DETAILS = "details"
"""The key of the tabs below the charts."""
TAB = "Findings"
_KEY = "findings"
_FIX, _JUMPS = "findings:fix", "findings:jumps"
# So many of one kind are shown at once; the others are behind an expander.
_SHOWN = 5
# Once for each click, and not again when the page is drawn anew or somebody comes back to it. For two seconds, because
# what is above the tabs may still be being drawn and move them away; less where somebody scrolls.
_JUMP = """
<script>
(() => {
  if (JUMPS <= (window.bceJumps || 0)) return;
  window.bceJumps = JUMPS;
  let left = 20;
  const stop = () => { left = 0; };
  for (const event of ['wheel', 'touchmove', 'keydown', 'mousedown'])
    window.addEventListener(event, stop, { once: true, passive: true });
  const jump = () => {
    if (left-- <= 0) return;
    const tabs = document.querySelector('.st-key-DETAILS');
    if (tabs) tabs.scrollIntoView({ block: 'start' });
    setTimeout(jump, 100);
  };
  jump();
})();
</script>
"""


@dataclass(frozen=True)
class Seen:
    """What is noticed about a run now."""

    noted: tuple[Noted, ...]
    problem: str = ""
    """Why the run could not be looked over."""
    whole: bool = True
    """Whether everything was looked at by now."""

    @property
    def standing(self) -> list[Finding]:
        """Those that nobody has accepted."""
        return [each.finding for each in self.noted if each.accepted is None]


def look(store: RunStore, record: RunRecord) -> Seen:
    """Look a run over; what was found is told to the table of runs as well."""
    try:
        found, whole = findings_of(store, record.id)
        seen = Seen(noted(found, _accepting(store, record.id).accepted()), whole=whole)
    except RunError as error:
        return Seen((), str(error))
    if whole:
        keep_tally(store, record, found)
    return seen


def _accepting(store: RunStore, run_id: str) -> Accepting:
    return Accepting(store.directory(run_id))


def show_badge(store: RunStore, record: RunRecord) -> None:
    """How many findings a run has, as a sign on its card; nothing where there are none."""
    standing = look(store, record).standing
    if standing:
        worst = SEVERITY_WORDS[standing[0].severity]
        st.badge(counts_words(finding.severity for finding in standing), icon=worst.icon, color=worst.color)


def show_count(seen: Seen) -> None:
    """How many findings there are, as a button that leads to them. Inside of a horizontal container."""
    standing = seen.standing
    if not standing:
        return
    worst = SEVERITY_WORDS[standing[0].severity]
    st.button(
        f":{worst.color}[{counts_words(finding.severity for finding in standing)}]",
        icon=worst.icon,
        type="tertiary" if standing[0].severity == "N" else "secondary",
        key="findings-count",
        help="What was noticed about this run, and what to do. Below the charts.",
        on_click=_lead_there,
    )


def _lead_there() -> None:
    st.session_state[DETAILS] = TAB
    st.session_state[_JUMPS] = st.session_state.get(_JUMPS, 0) + 1


def show_jump() -> None:
    """Takes the reader to the tabs below the charts after a click on the count. Beside the count."""
    script = _JUMP.replace("JUMPS", str(st.session_state.get(_JUMPS, 0))).replace("DETAILS", "run-details")
    st.html(script, width="content", unsafe_allow_javascript=True)


def show_list(store: RunStore, record: RunRecord, config: RunConfig | None, seen: Seen) -> None:
    """All findings, the most serious first, with what to do. `config` is None for a run that was imported."""
    asked: Fix | None = st.session_state.pop(_FIX, None)
    if asked is not None:
        use_settings(record.id, asked.changes)
    if seen.problem:
        st.warning(f"**This run could not be looked over.** {plain(seen.problem)}", icon=":material/search_off:")
        return
    accepting = _accepting(store, record.id)
    if not seen.whole:
        st.caption("The texts of this run are still being looked over. What they show appears here.")
    if not seen.noted and seen.whole:
        st.success(looked_words(len(rules_of(config))), icon=":material/check_circle:")
        if not record.is_over:
            st.caption("They look again at every step that is logged.")
    # What is offered beside the run's name already is not offered again here.
    offered = derive.suggested_changes(record, config) if config is not None else {}
    for severity, found in groupby(seen.standing, key=lambda finding: finding.severity):
        group = [
            finding if _is_new(finding, offered) else finding.model_copy(update={"fix": None}) for finding in found
        ]
        _group(store, record, config, group, accepting, folded=severity == "N")
    accepted = [each for each in seen.noted if each.accepted is not None]
    if accepted:
        st.markdown(f"**Accepted ({len(accepted):,})**")
        show_accepted(accepted, key=_KEY, acknowledge=accepting)


def _is_new(finding: Finding, offered: Mapping[str, Any]) -> bool:
    return finding.fix is None or not finding.fix.changes.keys() <= offered.keys()


def _group(
    store: RunStore,
    record: RunRecord,
    config: RunConfig | None,
    found: Sequence[Finding],
    accepting: Accepting,
    *,
    folded: bool,
) -> None:
    """The findings that are equally serious: a few at once, the others behind an expander, as notes are."""
    words, severity = SEVERITY_WORDS[found[0].severity], found[0].severity
    show = partial(
        show_findings,
        on_fix=None if config is None else _fix_asked,
        fix_words=None if config is None else partial(_fix_words, store, record.id),
        acknowledge=accepting,
    )
    shown = [] if folded else found[:_SHOWN]
    if shown:
        show(shown, key=f"{_KEY}-{severity}")
    rest = found[len(shown) :]
    if rest:
        more = "more " if shown else ""
        title = f"{len(rest):,} {more}{words.one if len(rest) == 1 else words.many}"
        with st.expander(title, icon=words.icon, key=f"{_KEY}-{severity}-rest"):
            show(rest, key=f"{_KEY}-{severity}-more")


def _fix_asked(fix: Fix) -> None:
    # A callback cannot leave the page: that is done when it is drawn next.
    st.session_state[_FIX] = fix


def _fix_words(store: RunStore, run_id: str, fix: Fix) -> str:
    """What a run with the fix would have otherwise than this one."""
    before = flatten(derive.clone_config(store, run_id))
    changes = []
    for key, value in fix.changes.items():
        setting = SETTINGS[key]
        words = [plain(value_words(setting, each)) for each in (before[key], value)]
        changes.append(f"{plain(setting.title)}: {words[0]} → **{words[1]}**")
    return f"Trains again, as a new run: {', '.join(changes)}. Nothing starts before you have seen it."
