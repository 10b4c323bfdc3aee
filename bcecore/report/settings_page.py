"""docs/settings.md: every setting of a run in tables, made from the fields of RunConfig. Pure.

A test keeps the file equal to what this gives. To write it anew, from the repository root:

    python -c "import bcecore.report.settings_page as page; print(page.settings_markdown(), end='')" > docs/settings.md
"""

from __future__ import annotations

from itertools import groupby
from typing import Any

from bcecore.settings import Described, describe, readable_number

_LEAD = """# Settings

Every setting of a run: as the Launch page shows it, and as the command line takes it, for example
`python -m bcecore train --recipe quick-look --set training.epochs=3`. A configuration file is a JSON object of the
sections, `{"training": {"epochs": 3}}`; what is left out keeps its default.

BCE is the Behavioral Consciousness Engine, a regulariser; it is not binary cross-entropy.

This page is made from the program (`bcecore/report/settings_page.py`) and kept true by a test.
"""
_COLUMNS = ("Key", "Name", "What it does", "Unit", "Allowed", "Default")


def settings_markdown() -> str:
    """The whole page, a table for each section."""
    parts = [_LEAD]
    for title, settings in groupby(describe(), key=lambda setting: setting.section_title):
        rows = [_COLUMNS, ("---",) * len(_COLUMNS), *map(_row, settings)]
        table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
        parts.append(f"## {title}\n\n{table}\n")
    return "\n".join(parts)


def _row(setting: Described) -> tuple[str, ...]:
    cells = (setting.title, setting.help, setting.unit or "", _allowed(setting), _default(setting.default))
    return (f"`{setting.key}`", *(cell.replace("|", "\\|") for cell in cells))


def _allowed(setting: Described) -> str:
    if setting.choices:
        return ", ".join(f"`{choice}`" for choice in setting.choices)
    kinds = {"bool": "`true`, `false`", "int": "whole number", "float": "number", "text": "text", "list": "names"}
    return ", ".join(filter(None, [kinds[setting.kind], setting.bounds, "empty" if setting.optional else ""]))


def _default(value: Any) -> str:
    if value is None or value == ():
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return f"`{value if isinstance(value, str) else readable_number(value)}`"
