"""Small tables as HTML: what lines up, what is left empty, and that nothing in them is taken for markup."""

from __future__ import annotations

import pandas as pd

from bcecore.ui.evaluate_tables import table_html

ROWS = pd.DataFrame(
    {
        "split": ["<b>val</b>", "<b>val</b>", "other"],
        "mode": ["BCE on", "BCE off", "BCE on"],
        "loss": ["1.0", "2.0", "<script>"],
        "unused": ["x", "x", "x"],
    }
)
TITLES = {"split": "Text", "mode": "Mode", "loss": "Loss & more"}


def test_words_and_figures() -> None:
    html = table_html(ROWS, TITLES, 'said "so"', words=("mode",))
    assert 'role="region" tabindex="0" aria-label="said &quot;so&quot;"' in html
    assert (
        '<th scope="col">Text</th><th scope="col">Mode</th><th scope="col" class="number">Loss &amp; more</th>' in html
    )
    assert html.count("<tr>") == 4
    assert '<th scope="row">&lt;b&gt;val&lt;/b&gt;</th><td class="side"><span class="mark on"' in html
    # The name of a row is not said twice in a row.
    assert '<th scope="row"></th><td class="side"><span class="mark off"' in html
    assert '<td class="number">&lt;script&gt;</td>' in html
    assert "<script>" not in html and ">x<" not in html


def test_titles_that_mean_on_and_off_are_marked() -> None:
    html = table_html(ROWS.assign(mode="–"), {"split": "Text", "mode": "BCE off"}, "a table")
    assert '<th scope="col" class="number side"><span class="mark off" aria-hidden="true"></span>BCE off</th>' in html
    assert '<td class="number">–</td>' in html
