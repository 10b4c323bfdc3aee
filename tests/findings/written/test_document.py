"""Tables and sentences of a report, each with its line and what it stands under."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bcecore.findings.written.document import parse

REPORT = """# The whole

Lead with `3 commands`.

## Facts

**Values at step 8**

| A | B |
| --- | --- |
| *x* | `0.5` |
| y | 2 \\| 3 |

- point one
  goes on
- point two

```bash
python -c "print(5)"
```

### Deeper

| S | T |
| - | - |
| 1 | 2 |

## Other
text
"""


def test_a_report_is_taken_apart() -> None:
    written = parse(REPORT)
    facts, deeper = written.tables
    assert (facts.section, facts.caption, facts.header) == (("Facts",), "Values at step 8", ("A", "B"))
    assert [(row.line, row.cells) for row in facts.rows] == [(11, ("x", "0.5")), (12, ("y", "2 | 3"))]
    assert (deeper.section, deeper.caption, deeper.rows[0].line) == (("Facts", "Deeper"), "", 26)
    assert [(one.line, one.text) for one in written.passages] == [
        (3, "Lead with `_ commands`."),
        (7, "Values at step 8"),
        (14, "point one"),
        (15, "goes on"),
        (16, "point two"),
        (29, "text"),
    ]
    assert written.passages[-1].title == "Other"


@given(st.text())
def test_anything_is_markdown(text: str) -> None:
    parse(text)
