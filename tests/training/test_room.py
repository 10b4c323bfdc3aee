"""The room that a run needs on the disk: from above, but not far from what its files take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bcecore.config import RunConfig
from bcecore.errors import DiskFullError
from bcecore.files import directory_size
from bcecore.store.checkpoints import mark_complete
from bcecore.training import room
from bcecore.training.trainer import BCETrainer


@pytest.mark.parametrize(
    ("saves", "limit", "checkpoints", "logs"),
    [(10, None, 10, 5.5), (10, 3, 5, 5), (4, 3, 4, 2.5), (1, 1, 1, 1), (2, 9, 2, 1.5)],
)
def test_it_counts_what_is_there_at_once(saves: int, limit: int | None, checkpoints: int, logs: float) -> None:
    needed = room.needed_bytes(checkpoint=10**9, model=10**8, log=10**7, saves=saves, limit=limit)
    small = (checkpoints + 1) * room.needed_bytes(checkpoint=0, model=0, log=0, saves=0, limit=None)
    assert needed == checkpoints * 10**9 + 10**8 + logs * 10**7 + small


def test_a_margin_stays_free() -> None:
    assert room.has_room(free=5 * 10**9, needed=48 * 10**8)
    assert not room.has_room(free=5 * 10**9 - 1, needed=48 * 10**8)


def test_the_message_gives_both_numbers() -> None:
    message = room.room_message(Path("/data/runs"), free=1_230_000_000, needed=45_600_000_000)
    assert "45.60 GB" in message and "1.23 GB free" in message and "/data/runs" in message
    assert "Keep fewer checkpoints, save less often, or free some space" in message


@pytest.mark.parametrize("optimizer", ["adamw_torch_fused", "adamw_torch", "adafactor", "sgd"])
@pytest.mark.parametrize("profile", ["seed", "active"])
def test_a_real_checkpoint_is_no_larger(
    make_trainer: Callable[..., BCETrainer],
    small_config: Callable[..., RunConfig],
    tmp_path: Path,
    optimizer: str,
    profile: str,
) -> None:
    # Large enough for the weights, and a memory large enough, to outweigh the small files.
    changes: dict[str, Any] = {
        "training.optimizer": optimizer, "training.max_steps": 6, "bce.profile": profile, "bce.memory_size": 4096,
        "model.hidden_size": 256, "model.intermediate_size": 1024, "logging.save_steps": 6,
    }  # fmt: skip
    trainer, config = make_trainer(changes), small_config(changes)
    trainer.train()
    trainer._save_checkpoint(trainer.model, None)
    weights = sum(parameter.numel() * 4 for parameter in trainer.model.parameters())
    own = room.optimizer_bytes(config, trainer.model) + room.memory_bytes(config, trainer.model)
    expected = room.needed_bytes(checkpoint=weights + own, model=0, log=6 * 1200, saves=1, limit=None)
    size = directory_size(tmp_path / "checkpoints" / "checkpoint-6")
    assert size <= expected
    if optimizer != "adafactor" and profile == "active":
        assert size >= 0.8 * expected


def test_what_is_there_is_paid(
    make_trainer: Callable[..., BCETrainer],
    small_config: Callable[..., RunConfig],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trainer, config = make_trainer(), small_config({"logging.save_total_limit": 1})
    (tmp_path / "data" / "tokenizer").mkdir(parents=True)

    def asks_for(steps: int) -> int:
        monkeypatch.setattr(room, "has_room", lambda free, needed: asked.append(needed) or True)
        asked: list[int] = []
        room.check_room(config, trainer.model, steps, tmp_path)
        return asked[0]

    before = asks_for(9000)
    checkpoint = tmp_path / "checkpoints" / "checkpoint-5"
    checkpoint.mkdir(parents=True)
    (checkpoint / "weights").write_bytes(bytes(300_000))
    mark_complete(checkpoint)
    assert asks_for(9000) == before - directory_size(checkpoint)
    (checkpoint / "weights").write_bytes(bytes(before * 2))
    assert asks_for(9000) == 0
    monkeypatch.setattr(room, "has_room", lambda free, needed: False)
    with pytest.raises(DiskFullError, match="GB free"):
        room.check_room(config, trainer.model, 9000, tmp_path)
