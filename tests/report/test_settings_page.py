"""docs/settings.md is what the program says of its settings."""

from __future__ import annotations

import re
from pathlib import Path

from bcecore.report import settings_page
from bcecore.report.settings_page import settings_markdown
from bcecore.settings import describe

PAGE = Path(__file__).parent.parent.parent / "docs" / "settings.md"


def test_the_committed_page_is_the_present_one() -> None:
    assert PAGE.read_text(encoding="utf-8") == settings_markdown(), (
        f"the settings have changed:\n{settings_page.__doc__}"
    )


def test_every_setting_has_one_whole_row_in_its_section() -> None:
    sections = re.split(r"^## ", settings_markdown(), flags=re.MULTILINE)[1:]
    assert [section.splitlines()[0] for section in sections] == [
        "Model",
        "Text",
        "Training",
        "BCE",
        "Logging and checkpoints",
    ]
    rows = [line for section in sections for line in section.splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [setting.key for setting in describe()]
    # Six cells each: a bar within a cell is escaped.
    assert {len(re.split(r"(?<!\\)\|", row)) for row in rows} == {8}


def test_rows_say_what_a_setting_takes() -> None:
    page = settings_markdown()
    assert "| steps | whole number, at least 1, empty | empty |" in page  # training.max_steps
    assert "| number, above 0, at most 10 | `5e-5` |" in page
    assert "| `seed`, `active` | `active` |" in page
    assert "| `true`, `false` | `true` |" in page
    assert "| names | empty |" in page
    assert "| text | `sample` |" in page
