"""Finished evaluations with planted figures, made in a moment and without a model: for tests of what people see."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Widget

from bcecore.evaluation.summarising import Totals, summary
from bcecore.store.evaluations import EvaluationRequest, EvaluationStore, SplitTexts, write_result
from bcecore.store.examples import merge_parts, write_part
from bcecore.store.objective import BCE_COMPONENTS
from bcecore.store.runs import RunStore
from tests.examples import example_run

WEIGHT = 0.25


def run_with_training(store: RunStore, training: Sequence[str], name: str = "a run") -> str:
    """A finished run that learnt from these lines."""
    run_id = example_run(store, name=name)
    lines = "".join(json.dumps({"text": text}) + "\n" for text in training)
    (store.directory(run_id) / "data" / "train.jsonl").write_text(lines, encoding="utf-8")
    return run_id


def token_places(text: str) -> tuple[list[int], list[int]]:
    """Where the words of a text begin and end, but for the first, which is not predicted."""
    starts, ends, at = [], [], 0
    for number, word in enumerate(text.split(" ")):
        if number:
            starts.append(at)
            ends.append(at + len(word))
        at += len(word) + 1
    return starts, ends


def evaluated(
    store: RunStore,
    run_id: str,
    split: SplitTexts,
    losses: Mapping[int, Sequence[float]],
    *,
    name: str = "planted",
    tokenizer: str = "t" * 64,
    scores: Mapping[int, Sequence[Sequence[float]]] | None = None,
    whole: bool = True,
) -> str:
    """The key of an evaluation of one split; `losses` has the CE of each text by the checkpoint's step.

    The tokens of a text are its words. `scores` has the log-likelihood of each label by step. Not `whole`: its parts
    are not put together yet, as while it is at work.
    """
    evaluations = EvaluationStore(store)
    steps = tuple(sorted(losses))

    def fill(directory: Path) -> EvaluationRequest:
        return EvaluationRequest(checkpoints=steps, splits=(split.freeze(directory, 0),))

    key = evaluations.create(run_id, name, fill).key
    directory = evaluations.directory(key)
    summaries: dict[str, Any] = {}
    for number, step in enumerate(steps):
        rows = [example_row(split, step, example, ce, scores) for example, ce in enumerate(losses[step])]
        write_part(directory, number, rows)
        totals = Totals(BCE_COMPONENTS)
        totals.add({column: [row[column] for row in rows] for column in totals.columns})
        summaries[str(step)] = summary(totals, weight=WEIGHT, first_weight=0.0005, runtime=1.0, steps=1)
    if whole:
        merge_parts(directory)
    write_result(
        directory,
        {
            "version": 1,
            "complete": whole,
            "splits": {split.name: {"checkpoints": summaries}},
            "settings": {"tokenizer": tokenizer, "bce": True, "profile": "seed"},
        },
    )
    for status in ("starting", "running", "finished") if whole else ("starting", "running"):
        evaluations.transition(key, status)  # type: ignore[arg-type]
    return key


def example_row(
    split: SplitTexts,
    step: int,
    example: int,
    ce: float,
    scores: Mapping[int, Sequence[Sequence[float]]] | None = None,
) -> dict[str, Any]:
    """A row of the examples, with every token as hard as the others."""
    text = split.texts[example]
    starts, ends = token_places(text)
    tokens = len(starts)
    row: dict[str, Any] = {
        "checkpoint": step,
        "split": split.name,
        "example": example,
        "text": text,
        "tokens": tokens,
        "length": tokens + 1,
        "bytes": len(text.encode()),
        "windows": 1,
        "cut": False,
        "ce": ce,
        "nll": ce * tokens,
        "bce_loss": -0.4,
        **{f"bce_{component}": 0.5 for component in BCE_COMPONENTS},
        "token_ids": list(range(tokens)),
        "token_nll": [ce] * tokens,
        "token_starts": starts,
        "token_ends": ends,
    }
    if scores is not None and split.labels is not None and split.labels_of_texts is not None:
        values = list(scores[step][example])
        row |= {
            "label": split.labels_of_texts[example],
            "label_scores": values,
            "label_means": values,
            "predicted": None if any(map(math.isnan, values)) else split.labels[int(np.argmax(values))],
        }
    return row


def opened(module: str, function: str, store: RunStore, key: str, **address: str) -> AppTest:
    """A page that shows one part of an evaluation, opened at an address."""

    def script(root: str, module: str, function: str, key: str) -> None:
        import importlib
        from pathlib import Path

        from bcecore.store.evaluations import EvaluationStore
        from bcecore.store.runs import RunStore

        store = RunStore(Path(root))
        run_id, _, evaluation_id = key.partition("/")
        show = getattr(importlib.import_module(f"bcecore.ui.{module}"), function)
        show(store, run_id, evaluation_id, EvaluationStore(store).result(key))

    app = AppTest.from_function(script, args=(str(store.root), module, function, key), default_timeout=30)
    for name, value in address.items():
        app.query_params[name.replace("_", "-")] = value
    return run(app)


def run(changed: AppTest | Widget) -> AppTest:
    """Run the script, after what was done to a widget; nothing may have gone wrong."""
    app: AppTest = changed.run()
    assert not app.exception
    return app


def words(app: AppTest) -> str:
    """All sentences on the page, and the HTML."""
    found = [*app.markdown, *app.caption, *app.error, *app.warning, *app.info, *app.subheader]
    html = [element.proto.body for element in app.get("html")]
    return "\n".join([*(element.value for element in found), *html]).replace("\\", "")


def listed(app: AppTest) -> list[int]:
    """The numbers of the texts on the page of the list that is shown."""
    return next(list(frame.value["number"]) for frame in app.dataframe if "number" in frame.value)
