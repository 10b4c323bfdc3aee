"""What commands that launch a run say about it beforehand: what is noticed, and which options would remove it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from bcecore.store.runs import RunStore

if TYPE_CHECKING:
    from bcecore.findings.finding import Finding, Fix, Severity
    from bcecore.jobs.submit import Checked

_SEVERITY_WORDS: dict[Severity, str] = {"B": "No result will count", "W": "Warning", "N": "Note"}


def say_beforehand(store: RunStore, checked: Checked) -> list[Finding]:
    """Look over a run that is about to be launched, say what is noticed on stderr, and return it."""
    from bcecore.findings import before_launch
    from bcecore.jobs import estimate

    of_text = before_launch.of_text(checked, before_launch.compare(checked.text))
    space = estimate.space(store, checked)
    found = before_launch.together(of_text + before_launch.of_settings(checked.config, checked.total_steps, space))
    for finding in found:
        said = f"{_SEVERITY_WORDS[finding.severity]} ({finding.id}): {finding.sentence} {finding.what_to_do}"
        fix = f"\n  {finding.fix.label}: {_as_options(finding.fix)}" if finding.fix is not None else ""
        print(said + fix, file=sys.stderr)
    return found


def _as_options(fix: Fix) -> str:
    """The changes of a fix as `--set` takes them."""
    values = {key: value if isinstance(value, str) else json.dumps(value) for key, value in fix.changes.items()}
    return " ".join(f"--set {key}={value}" for key, value in values.items())
