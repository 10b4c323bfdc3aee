"""The verdict of a study: the answer, its picture, and after that how it was reached, and its report.

What is below the answer is the study's report, section by section, so that page and report never disagree.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Literal

import streamlit as st

from bcecore.errors import BceError
from bcecore.evaluation.outcome import Comparison, Outcome, StudyMaterial
from bcecore.evaluation.study.material import study_material
from bcecore.evaluation.study.progress import StudyProgress
from bcecore.evaluation.study.verdicts import can_be_accepted, look_again, outcome_of
from bcecore.evaluation.verdict import Verdict
from bcecore.findings.finding import Finding
from bcecore.report.document import Block, Code, Items, Paragraph, Section, Table
from bcecore.report.finding_words import noted
from bcecore.report.study_charts import curves_alt, curves_chart, difference_alt, difference_chart
from bcecore.report.study_report import (
    DESIGN,
    FORETOLD,
    LIMITS,
    NOTICED,
    REACHED,
    REPEAT,
    RESULTS,
    VERDICT,
    WHERE,
    study_report,
)
from bcecore.report.study_words import proof_words
from bcecore.report.study_writing import study_report_of
from bcecore.store.runs import RunStore
from bcecore.store.studies import StudyStore
from bcecore.ui.findings_list import Accepting, show_accepted, show_findings
from bcecore.ui.run_tables import show_table
from bcecore.ui.study_progress import attempt_of_study, show_grid
from bcecore.ui.study_words import VERDICT_WORDS
from bcecore.ui.words import count, moment, plain

_ICONS = {
    REACHED: ":material/account_tree:",
    RESULTS: ":material/table_chart:",
    WHERE: ":material/straighten:",
    NOTICED: ":material/notifications:",
    DESIGN: ":material/architecture:",
    FORETOLD: ":material/insights:",
    LIMITS: ":material/visibility_off:",
    REPEAT: ":material/replay:",
}
# Longer lines to copy scroll within themselves.
_CODE_LINES, _CODE_HEIGHT = 12, 280


def show_result(store: RunStore, found: StudyProgress) -> None:
    """Everything about the last look that was taken."""
    try:
        material = study_material(store, found.plan.id)
    except BceError as error:
        st.error(f"**The result cannot be read.** {plain(str(error))}", icon=":material/broken_image:")
        return
    if material.outcome is None:
        return
    if material.alteration is not None and found.alteration is None:  # that of frozen files stands above already
        st.error(f"**There is no verdict any more.** {plain(material.alteration)}", icon=":material/edit_off:")
        for each in material.outcome.comparisons:
            if each.verdict.despite:  # what was accepted may have been withdrawn, and can be accepted again
                _blocking(store, each, material)
        return
    for each in material.outcome.comparisons:
        _answer(store, each, material)
    if material.outcome.is_blocked:
        st.button(
            "Look again",
            icon=":material/refresh:",
            key="study-again",
            help="When what stood in the way is mended or accepted. Nobody has seen a result yet, so this look may be "
            "repeated.",
            on_click=attempt_of_study,
            args=(partial(look_again, store, found.plan.id),),
        )
    _looks(found)
    sections = [section for section in study_report(material, {}).sections if section.title != VERDICT]
    for section in sections:
        _expander(section, material)
    with st.expander("Its runs", icon=":material/grid_view:", key="study-runs"):
        show_grid(found)
    _downloads(material)


def show_plan(store: RunStore, found: StudyProgress) -> None:
    """What was frozen, what was noticed and what was foretold, of a study that has no result yet."""
    try:
        material = study_material(store, found.plan.id)
    except BceError:
        return  # deleted a moment ago
    for section in study_report(material, {}).sections:
        if section.title in (DESIGN, NOTICED, FORETOLD, REPEAT):
            _expander(section, material)


# -- the answer


def _answer(store: RunStore, found: Comparison, material: StudyMaterial) -> None:
    verdict = found.verdict
    words = VERDICT_WORDS[verdict.kind]
    with st.container(border=True, key=f"verdict-{found.arm}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.badge(words.word, icon=words.icon, color=words.color)
            if found.planted:
                st.badge("Positive control: says nothing about BCE", icon=":material/verified:", color="gray")
        st.header(plain(verdict.headline), anchor=False)
        if verdict.kind == "blocked":
            _blocking(store, found, material)
            return
        picture, beside = st.columns([2, 1], gap="large")
        with picture:
            _picture(found, verdict, material.plan.margin)
        with beside:
            _beside(found, verdict)
        despite = [each for each in noted(found.findings, material.accepted) if each.accepted and each.finding.blocks]
        if despite:
            st.markdown("**Accepted**")
            show_accepted(despite, key=f"despite-{found.arm}", acknowledge=_Accepting(store, material))


def _beside(found: Comparison, verdict: Verdict) -> None:
    if verdict.kind == "nothing-changed":
        for sentence in proof_words(found):
            st.markdown(f":material/fingerprint: {plain(sentence)}")
    else:
        seeds, documents = count(verdict.seeds, "seed"), count(verdict.documents, "document")
        st.markdown(
            f":material/group: {seeds}, {documents} that no run has learnt from\n\n"
            f":material/width: A difference of {verdict.margin:g} nats per token would matter\n\n"
            f":material/search: This study would likely have seen one of {verdict.mde:.2g}"
        )
    for advice in verdict.what_to_do:
        st.markdown(f":material/arrow_forward: {plain(advice)}")


def _picture(found: Comparison, verdict: Verdict, margin: float) -> None:
    if found.difference is None:
        return
    st.vega_lite_chart(difference_chart(found, margin), alt=difference_alt(found, margin), key=f"picture-{found.arm}")
    if verdict.kind != "nothing-changed":
        st.caption(
            f"A point is the difference at one seed, its line how well these two models are told apart; the strong one "
            f"is over all seeds. Within the grey band, ±{margin:g}, a difference would not matter."
        )


class _Accepting(Accepting):
    def __init__(self, store: RunStore, material: StudyMaterial) -> None:
        super().__init__(StudyStore(store).directory(material.plan.id))

    def can_be(self, finding: Finding) -> bool:
        return can_be_accepted(finding)


def _blocking(store: RunStore, found: Comparison, material: StudyMaterial) -> None:
    blocking = [finding for finding in found.findings if finding.blocks]
    show_findings(blocking, key=f"blocking-{found.arm}", acknowledge=_Accepting(store, material))


def _looks(found: StudyProgress) -> None:
    """Which planned looks were taken, and what the earlier ones said."""
    plan, looks = found.plan, found.state.looks
    if len(plan.looks) == 1:
        return
    lines = []
    for look in looks:
        lines.append(f"- At {look.seeds} seeds, {moment(look.taken)}: {plain(_headlines(outcome_of(look)))}")
    if found.next_look is not None:
        lines.append(f"- At {found.next_look} seeds: not trained yet.")
    st.markdown("**Planned looks**\n" + "\n".join(lines))


def _headlines(outcome: Outcome) -> str:
    return " ".join(each.verdict.headline for each in outcome.comparisons)


# -- how it was reached


def _expander(section: Section, material: StudyMaterial) -> None:
    key = f"section-{section.title.lower().replace(' ', '-')}"
    with st.expander(section.title, icon=_ICONS.get(section.title), key=key):
        if section.title == WHERE and any(len(curve.steps) > 1 for curve in material.curves):
            st.markdown("**Held-out CE over training**")
            st.vega_lite_chart(curves_chart(material.curves), alt=curves_alt(material.curves), key="study-curves")
            st.caption("The line is the mean over the seeds, the band one standard deviation.")
        for block in section.blocks:
            _block(block)


def _block(block: Block) -> None:
    match block:
        case Paragraph(text=text):
            st.markdown(plain(text))
        case Items(items=items):
            st.markdown("\n".join(_points(items)))
        case Table():
            show_table(block, titled=True)
        case Code(text=text, language=language):
            height: Literal["content"] | int = _CODE_HEIGHT if text.count("\n") > _CODE_LINES else "content"
            st.code(text, language=language or None, wrap_lines=True, height=height)


def _points(items: tuple[object, ...]) -> Iterator[str]:
    for item in items:
        title, text = getattr(item, "title", ""), getattr(item, "text", "")
        yield f"- **{plain(title)}.** {plain(text)}" if title else f"- {plain(text)}"


# -- taken away


def _downloads(material: StudyMaterial) -> None:
    st.markdown("**The report**: all of this on one page, with the frozen plan and how to repeat it.")
    study_id = material.plan.id
    with st.container(horizontal=True, key="study-downloads"):
        st.download_button(
            "Download the page",
            lambda: study_report_of(material).html,
            file_name=f"{study_id}.html",
            mime="text/html",
            on_click="ignore",
            icon=":material/html:",
            key="download-study-html",
        )
        st.download_button(
            "Download the text",
            lambda: study_report_of(material).markdown,
            file_name=f"{study_id}.md",
            mime="text/markdown",
            on_click="ignore",
            icon=":material/markdown:",
            key="download-study-md",
        )
