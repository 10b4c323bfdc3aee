"""`docs/statuses.md`: every status, every event and what follows, written from the code's own table."""

from __future__ import annotations

from bcecore.store.record import ACTIVE, STATUSES, TRANSITIONS, WAITING, Status

_MEANING: dict[Status, str] = {
    "queued": "waits for its turn",
    "held": "waits, and does not start before somebody releases it",
    "removed": "was taken out of the queue",
    "starting": "its process loads the text and the model",
    "running": "trains",
    "stopping": "was asked to stop and has not stopped yet",
    "finished": "did all its steps; its model is saved",
    "stopped": "ended before its last step because somebody asked for it",
    "failed": "ended because of an error, which its page names",
    "crashed": "its process was gone without a word: killed, out of memory, or the machine went down",
    "imported": "was trained elsewhere and only read here",
}


def _process(status: Status) -> str:
    if status in ACTIVE:
        return "is alive"
    return "is not started" if status in WAITING or status == "removed" else "is gone"


def statuses_markdown() -> str:
    """The whole page."""
    lines = [
        "# Statuses of a run",
        "",
        "Written from the table in `bcecore/store/record.py`; a test keeps the two equal. A change that is not in the "
        "second table is refused.",
        "",
        "| status | the run | its process |",
        "|---|---|---|",
    ]
    for status in STATUSES:
        lines.append(f"| {status} | {_MEANING[status]} | {_process(status)} |")
    lines += ["", "| status | what happens | next |", "|---|---|---|"]
    lines += [f"| {before} | {event} | {after} |" for before, event, after in TRANSITIONS]
    final = [status for status in STATUSES if status not in {transition.before for transition in TRANSITIONS}]
    lines += ["", f"Final: {', '.join(final)}. A finished run can be trained further as a new run.", ""]
    return "\n".join(lines)
