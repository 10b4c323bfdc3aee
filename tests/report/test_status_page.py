"""docs/statuses.md has exactly the code's table."""

from __future__ import annotations

import re
from pathlib import Path

from bcecore.report.status_page import statuses_markdown
from bcecore.store.record import STATUSES, TRANSITIONS, following

PAGE = Path(__file__).parents[2] / "docs" / "statuses.md"


def rows(page: str, heading: str) -> list[tuple[str, ...]]:
    table = page.split(heading)[1].split("\n\n")[0]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.strip().splitlines()[1:]]


def test_the_page_is_what_the_code_says() -> None:
    assert PAGE.read_text(encoding="utf-8") == statuses_markdown()


def test_the_page_has_every_status_and_exactly_the_transitions_that_the_code_allows() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert [row[0] for row in rows(page, "| status | the run | its process |\n")] == list(STATUSES)
    changes = rows(page, "| status | what happens | next |\n")
    assert changes == [tuple(transition) for transition in TRANSITIONS]
    allowed = {(before, after) for before in STATUSES for after in following(before)}
    assert {(before, after) for before, _, after in changes} == allowed
    final = re.search(r"Final: ([a-z, ]+)\.", page)
    assert final is not None
    assert set(final[1].split(", ")) == {status for status in STATUSES if not following(status)}
