"""How a page shows findings: what is the matter, what to do, and a button where a change of settings removes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import streamlit as st

from bcecore.findings.finding import Finding, Fix
from bcecore.ui.words import plain

OnFix = Callable[[Fix], None]
"""Puts a fix into effect; called before the page is drawn anew."""


def show_findings(findings: Iterable[Finding], *, key: str, on_fix: OnFix | None = None) -> None:
    """One box for each, in the order given; `key` tells this list from others on the page."""
    for number, finding in enumerate(findings):
        with st.container(key=f"{key}-{finding.id}-{number}", gap="xsmall"):
            show_finding(finding)
            if finding.fix is not None and on_fix is not None:
                st.button(
                    finding.fix.label,
                    icon=":material/build:",
                    key=f"{key}-{finding.id}-{number}-fix",
                    on_click=on_fix,
                    args=(finding.fix,),
                )


def show_finding(finding: Finding) -> None:
    """Its words; how serious it is shows in icon and colour."""
    words = f"**{plain(finding.sentence)}** {plain(finding.what_to_do)}"
    if finding.blocks:
        st.error(words, icon=":material/block:")
    elif finding.severity == "W":
        st.warning(words, icon=":material/warning:")
    else:
        st.info(words, icon=":material/info:")
