"""The preview of a text as the model will see it: its tokens one by one, which of them count, and what is cut off."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from html import escape

import streamlit as st

from bcecore.jobs.submit import Checked
from bcecore.text.tokenizing import PreviewToken, preview
from bcecore.ui.words import count

_SIDE = "launch:preview:side"
_LINE = "launch:preview:line"
_SHOWN_TOKENS = 400
# The tokenizer is shared by all sessions, and a preview switches its truncation on and off.
_LOCK = threading.Lock()
# Shapes besides shades, so that nothing depends on seeing colours; shades of the text's own colour suit both themes.
_STYLE = """<style>
.bce-tokens { line-height: 2.1; overflow-wrap: anywhere; }
.bce-tokens span { border-radius: 4px; padding: 2px 5px; margin: 0 2px 2px 0; display: inline-block; line-height: 1.3;
  white-space: pre-wrap; border: 1px solid transparent; font-family: monospace; font-size: 0.85rem; }
.bce-tokens .scored { background: color-mix(in srgb, currentColor 11%, transparent); }
.bce-tokens .special { border: 1px dashed currentColor; }
</style>"""
_VISIBLE = str.maketrans({"\n": "⏎", "\t": "⇥"})


def show_preview(checked: Checked | None) -> None:
    """Choose a line of the text and see its tokens."""
    if checked is None:
        st.caption("Shown as soon as the text and the model can be read.")
        return
    sides = {"To learn from": checked.text.train, "To check against": checked.text.validation}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        side = st.segmented_control(
            "Lines", [name for name, texts in sides.items() if texts], default="To learn from", required=True, key=_SIDE
        )
        texts = sides[side]
        # The line that was chosen may be beyond the end of another text.
        st.session_state[_LINE] = min(st.session_state.get(_LINE, 1), len(texts))
        line = st.number_input(f"Line (1 to {len(texts):,})", 1, len(texts), step=1, key=_LINE, width=180)
    with _LOCK:
        tokens, cut = preview(checked.tokenizer, texts[line - 1], checked.config.data.block_size)
    st.html(_STYLE + _legend() + tokens_html(tokens, cut))
    scored = sum(token.scored for token in tokens)
    st.caption(
        f"{count(len(tokens), 'token')}, {scored:,} of them to predict. "
        "Nothing comes before the first token, so it is only read."
        + (f" {count(cut, 'more token')} cut off: the longest example is {len(tokens):,}." if cut else "")
    )


def _legend() -> str:
    return (
        '<p class="bce-tokens"><span class="scored">to predict</span> <span>only read</span> '
        '<span class="scored special">special: put there by the tokenizer</span></p>'
    )


def tokens_html(tokens: Sequence[PreviewToken], cut: int) -> str:
    """The tokens as one paragraph, each in its own box; the first ones only where there are very many."""
    boxes = []
    for token in tokens[:_SHOWN_TOKENS]:
        classes = " ".join(["scored"] * token.scored + ["special"] * token.special)
        boxes.append(f'<span class="{classes}">{escape(token.text.translate(_VISIBLE))}</span>')
    if len(tokens) > _SHOWN_TOKENS:
        boxes.append(f"… and {count(len(tokens) - _SHOWN_TOKENS, 'token')} more, not drawn here")
    if cut:
        boxes.append(f" &nbsp;✂ {count(cut, 'token')} cut off")
    return f'<p class="bce-tokens" lang="und">{"".join(boxes)}</p>'
