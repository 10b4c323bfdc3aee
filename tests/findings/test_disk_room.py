"""disk-room: the room that checkpoints take, by brute force over the steps at which they are written."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import LoggingConfig
from bcecore.findings.disk_room import disk_room
from bcecore.findings.finding import Finding

GB = 10**9


def found(logging: LoggingConfig, steps: int, free: int, checkpoint: int = 0, model: int = 0) -> list[Finding]:
    return disk_room(
        "run",
        logging,
        steps,
        free_bytes=free,
        keep_free_bytes=1 * GB,
        checkpoint_bytes=checkpoint,
        model_bytes=model,
    )


def test_what_fits_is_silent_and_what_does_not_is_told_with_the_numbers() -> None:
    logging = LoggingConfig(save_steps=100, save_total_limit=None)
    # Ten checkpoints of half a GB and the model: 6 GB, while one is to stay free.
    assert found(logging, 1000, 7 * GB, GB // 2, GB) == []
    (finding,) = found(logging, 1000, 7 * GB - 1, GB // 2, GB)
    assert finding.severity == "W" and finding.numbers["needed"] == 6 * GB
    assert "7.00 GB are free, and this run needs up to 6.00 GB, while 1.00 GB are to stay free" in finding.sentence
    assert finding.fix is not None and finding.fix.changes == {"logging.save_total_limit": 7}


def test_a_disk_that_is_full_already_needs_no_measurement() -> None:
    assert found(LoggingConfig(), 1000, GB) == []
    (finding,) = found(LoggingConfig(), 1000, GB - 1)
    assert finding.fix is None and finding.what_to_do == "Delete old runs, or empty the trash."


@given(st.integers(1, 500), st.integers(1, 600), st.integers(1, 12) | st.none(), st.integers(1, 40), st.integers(0, 40))
def test_the_fix_makes_it_fit_whenever_one_checkpoint_does(
    steps: int, every: int, limit: int | None, room: int, model: int
) -> None:
    logging = LoggingConfig(save_steps=every, save_total_limit=limit)
    for finding in found(logging, steps, GB + room, 3, model):
        if finding.fix is None:
            assert 3 + model > room
            continue
        changes = {key.removeprefix("logging."): value for key, value in finding.fix.changes.items()}
        assert found(logging.model_copy(update=changes), steps, GB + room, 3, model) == []
