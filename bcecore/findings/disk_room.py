"""disk-room (W): the checkpoints of a run will not fit on the disk. Pure.

Fires where the run, at its fullest, leaves less free than a person set aside for everything else; so does the queue
when its turn comes, and by then nobody may be looking.
"""

from __future__ import annotations

from bcecore.config import LoggingConfig
from bcecore.findings.finding import Finding, Fix, counted

_GB = 10**9


def disk_room(
    subject: str,
    logging: LoggingConfig,
    total_steps: int,
    *,
    free_bytes: int,
    keep_free_bytes: float,
    checkpoint_bytes: int = 0,
    model_bytes: int = 0,
) -> list[Finding]:
    """The finding about a run of so many steps, if there is one; without its sizes, about a disk that is full already.

    `keep_free_bytes` is what is to stay free besides, `model_bytes` what the finished model takes beside its
    checkpoints.
    """
    needed = logging.most_checkpoints(total_steps) * checkpoint_bytes + model_bytes
    room = free_bytes - keep_free_bytes
    if needed <= room:
        return []
    fix = _fix(logging, total_steps, room, checkpoint_bytes, model_bytes) if checkpoint_bytes else None
    need = f", and this run needs up to {_size(needed)}" if needed else ""
    fewer = "Keep fewer checkpoints, delete" if fix is not None else "Delete"
    return [
        Finding(
            id="disk-room",
            severity="W",
            subject=subject,
            numbers={"free": free_bytes, "keep_free": keep_free_bytes, "needed": needed},
            sentence=(
                f"The disk has no room for this run: {_size(free_bytes)} are free{need}, "
                f"while {_size(keep_free_bytes)} are to stay free (see Settings)."
            ),
            what_to_do=f"{fewer} old runs, or empty the trash.",
            field="logging.save_steps",
            fix=fix,
        )
    ]


def _fix(logging: LoggingConfig, total_steps: int, room: float, checkpoint_bytes: int, model_bytes: int) -> Fix | None:
    """As many checkpoints as there is room for: by keeping fewer, or where that is not enough by writing fewer."""
    most = int((room - model_bytes) // checkpoint_bytes)
    if most < 1:
        return None
    if most > 2:  # besides those that are kept there can be an older best one, and a new one that is being written
        return Fix(
            label=f"Keep {counted(most - 2, 'checkpoint')} at a time", changes={"logging.save_total_limit": most - 2}
        )
    every = -(-total_steps // most)
    return Fix(label=f"Save every {counted(every, 'step')} only", changes={"logging.save_steps": every})


def _size(size: float) -> str:
    return f"{size / _GB:.2f} GB"
