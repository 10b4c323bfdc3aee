"""What the model wrote when somebody asked for a sample: at one step, or how one beginning went on over the run."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import streamlit as st

from bcecore.store.record import RunRecord
from bcecore.store.runs import RunStore
from bcecore.store.samples import Sample, read_samples
from bcecore.ui.words import plain

_NEWEST = 0
_PROMPT_CHARACTERS = 60
_VIEWS = {"step": "One step", "prompt": "One beginning, over the run"}
# Underlined as well as shaded, so that nothing depends on seeing shades.
_STYLE = """<style>
.bce-sample { margin: 0 0 0.6rem; line-height: 1.6; overflow-wrap: anywhere; white-space: pre-wrap; }
.bce-sample mark { color: inherit; background: color-mix(in srgb, currentColor 9%, transparent); border-radius: 4px;
  padding: 1px 2px; text-decoration: underline dotted; text-underline-offset: 3px; }
</style>"""


def show_samples(store: RunStore, record: RunRecord) -> None:
    """The samples of a run, the newest first."""
    samples = read_samples(store.directory(record.id))
    if not samples:
        how = " Press “Sample now” above." if record.status == "running" else ""
        st.caption(f"What the model writes when it goes on with the first words of your lines is shown here.{how}")
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        view = st.segmented_control(
            "Show",
            list(_VIEWS),
            format_func=lambda name: _VIEWS[name],
            default="step",
            required=True,
            key="samples-view",
        )
        shown = _of_step(samples) if view == "step" else _of_prompt(samples)
    st.html(_STYLE + samples_html(shown))
    st.caption("The marked part is the model's own; what stands before it is the beginning that it was given.")


def _of_step(samples: list[Sample]) -> list[tuple[str, Sample]]:
    steps = sorted({sample.step for sample in samples}, reverse=True)
    step = st.selectbox(
        "Step",
        [_NEWEST, *steps],
        format_func=lambda step: f"The newest, step {steps[0]:,}" if step == _NEWEST else f"Step {step:,}",
        key="samples-step",
        width=260,
    )
    # The last word counts where a step was asked for twice.
    newest = {sample.prompt: sample for sample in samples if sample.step == (step or steps[0])}
    return [("", sample) for sample in newest.values()]


def _of_prompt(samples: list[Sample]) -> list[tuple[str, Sample]]:
    prompt = st.selectbox(
        "Beginning",
        list(dict.fromkeys(sample.prompt for sample in samples)),
        format_func=lambda text: plain(text[:_PROMPT_CHARACTERS]),
        key="samples-prompt",
        width=460,
    )
    newest = {sample.step: sample for sample in samples if sample.prompt == prompt}
    return [(f"Step {step:,}", newest[step]) for step in sorted(newest, reverse=True)]


def samples_html(samples: Iterable[tuple[str, Sample]]) -> str:
    """Each text as a paragraph, its title before it; nothing in a text is taken for markup."""
    paragraphs = []
    for title, sample in samples:
        before = f"<strong>{escape(title)}</strong>\n" if title else ""
        text = f"{escape(sample.prompt)}<mark>{escape(sample.text)}</mark>"
        paragraphs.append(f'<p class="bce-sample" lang="und">{before}{text}</p>')
    return "".join(paragraphs)
