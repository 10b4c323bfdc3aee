"""Small studies for tests: texts that share nothing, settings that train in a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bcecore.evaluation.study.drafting import Draft, HeldOut, known_arm, with_held_out
from bcecore.settings import with_values
from bcecore.store.runs import RunStore
from tests.jobs.test_supervisor import small

_WORDS = "river stone cloud lamp paper glass wheat tower bread cabin north ember willow copper harbour".split()


def document(number: int, of: str) -> str:
    """A line of eight words that no other line of any text shares with it in this order."""
    chosen = [_WORDS[(number * step + len(of)) % len(_WORDS)] for step in (1, 3, 5, 7, 11, 13)]
    return f"{of} {number} {' '.join(chosen)}."


def texts(folder: Path, *, train: int = 40, held_out: int = 32) -> tuple[Path, Path]:
    """Two files: lines to learn from, and others to measure on."""
    paths = folder / "train.txt", folder / "held_out.txt"
    for path, lines in zip(paths, (train, held_out), strict=True):
        if not path.exists():
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text("".join(document(number, path.stem) + "\n" for number in range(lines)), encoding="utf-8")
    return paths


def draft(store: RunStore, *, held_out: int = 32, steps: int = 6, **changes: Any) -> Draft:
    """Off against active on two seeds, unless `changes` say otherwise; keys with a dot change the base settings."""
    train, other = texts(store.root.parent / f"texts-{held_out}", held_out=held_out)
    base = with_held_out(small(data__train_file=str(train), max_steps=steps), other)
    base = with_values(base, {key: value for key, value in changes.items() if "." in key})
    values: dict[str, Any] = {
        "name": "does it help",
        "base": base,
        "arms": (known_arm("off"), known_arm("active")),
        "seeds": (1, 2),
        "looks": (2,),
        "held_out": (HeldOut("held out", other),),
    }
    return Draft(**values | {key: value for key, value in changes.items() if "." not in key})
