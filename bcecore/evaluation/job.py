"""One evaluation from its request to its files: every checkpoint on every split, page by page.

Pages come in one fixed order, and page n is part n of the examples. Whoever goes on with an evaluation that was ended
counts the whole parts and begins with the page after them; what they hold is taken into the figures as if it had been
scored just now.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any, Protocol

import pyarrow.parquet as pq

from bcecore.config import RunConfig
from bcecore.errors import RunError
from bcecore.evaluation.forward import Forward
from bcecore.evaluation.loading import arithmetic, find_weights, load_forward, load_run_tokenizer
from bcecore.evaluation.pages import Row, pages
from bcecore.evaluation.scoring import score_page
from bcecore.evaluation.summarising import Totals, summary
from bcecore.files import read_json
from bcecore.store.evaluations import RESULT_FILE, EvaluationRequest, SplitSpec, write_result
from bcecore.store.examples import parts, write_part
from bcecore.store.weights import weights_hash
from bcecore.training.memory import MEMORY_FILE
from bcecore.training.regularizer import COMPONENTS

RESULT_VERSION = 1


class Watcher(Protocol):
    """Somebody who follows an evaluation. What it raises ends the work; pages that are done stay."""

    def begin(self, done: int) -> None:
        """Scoring begins now; so many examples were done before, each counted once for every checkpoint."""

    def at(self, done: int) -> None:
        """So many examples are done."""

    def kept(self, done: int) -> None:
        """So many examples are written down: they stay whatever happens."""


class EvaluationJob:
    """The work of one evaluation, in its `directory`.

    `last_step` is the run's, whose weights may be in `model/` only. Raises RunError or ModelError for a checkpoint that
    is not there, before anything is scored.
    """

    def __init__(
        self,
        directory: Path,
        run_directory: Path,
        config: RunConfig,
        request: EvaluationRequest,
        last_step: int | None,
        watcher: Watcher,
    ) -> None:
        self._directory = directory
        self._run_directory = run_directory
        self._config = config
        self._request = request
        self._watcher = watcher
        self._last_step = last_step
        self._weights = {step: find_weights(run_directory, step, last_step) for step in request.checkpoints}
        self._using = arithmetic(config)
        self._tokenizer, fingerprint = load_run_tokenizer(run_directory)
        self._parts = _whole_parts(directory)
        self._earlier = _earlier_result(directory)
        self._number = 0  # of the next page
        self._done = 0
        self._loaded: tuple[int, Forward] | None = None
        self._hashes: dict[int, str] = {}  # of the weights that were scored, by step
        self._result: dict[str, Any] = {
            "version": RESULT_VERSION,
            "complete": False,
            # What an earlier session has measured stays to be seen, until it is counted again.
            "splits": {split.name: {"checkpoints": self._earlier_figures(split)} for split in request.splits},
            "settings": {
                "batch_tokens": request.batch_tokens,
                "seed": request.seed,
                "device": self._using.device,
                "precision": self._using.precision,
                "dtype": config.model.dtype,
                "causal": config.model.causal,
                "bce": config.bce.enabled,
                "profile": config.bce.profile,
                "tokenizer": fingerprint,
            },
        }

    def run(self) -> None:
        """Score every page that is not scored yet. Raises what the watcher raises, BceErrors."""
        for split in self._request.splits:
            _check_texts(self._directory, split)
        for step in self._request.checkpoints:
            for split in self._request.splits:
                self._score_split(step, split)
        self._result["complete"] = True
        write_result(self._directory, self._result)

    def _score_split(self, step: int, split: SplitSpec) -> None:
        totals = Totals(COMPONENTS)
        timing = Timing()
        rows = 0
        is_new = False
        for page in pages(self._directory / split.file):
            rows += len(page)
            is_new = self._number >= len(self._parts)
            if is_new:
                scored = self._score(step, split, page, timing)
                totals.add({name: [row[name] for row in scored] for name in totals.columns})
            else:
                totals.add(pq.read_table(self._parts[self._number], columns=totals.columns).to_pydict())
                timing = self._earlier_timing(step, split)
            self._number += 1
            self._done += len(page)
            self._watcher.kept(self._done)
            if is_new:
                self._write(step, split, totals, rows, timing)
        if not is_new:
            self._write(step, split, totals, rows, timing)

    def _score(self, step: int, split: SplitSpec, page: list[Row], timing: Timing) -> list[dict[str, Any]]:
        """Score one page and write it down; its rows."""
        forward = self._model(step)
        if self._number == len(self._parts):
            self._watcher.begin(self._done)
        began = perf_counter()
        scored = score_page(
            forward,
            self._tokenizer,
            split,
            step,
            page,
            self._request.batch_tokens,
            lambda share: self._watcher.at(self._done + int(share * len(page))),
        )
        write_part(self._directory, self._number, scored.rows)
        timing.runtime += perf_counter() - began
        timing.steps += scored.steps
        return scored.rows

    def _model(self, step: int) -> Forward:
        """The model at `step`; one is in memory at a time, and none for a checkpoint that is scored already."""
        if self._loaded is None or self._loaded[0] != step:
            self._loaded = None
            # Looked for once more: a run that went on from an earlier step may have set it aside since.
            weights = find_weights(self._run_directory, step, self._last_step)
            longest = max(split.block_size for split in self._request.splits)
            self._loaded = step, load_forward(self._config, self._run_directory, weights, self._using, longest)
            self._hashes[step] = weights_hash(weights.directory)
        return self._loaded[1]

    # -- the result

    def _write(self, step: int, split: SplitSpec, totals: Totals, rows: int, timing: Timing) -> None:
        figures = summary(
            totals,
            weight=self._config.bce.weight(max(step, 1)),
            first_weight=self._config.bce.weight(1),
            runtime=timing.runtime,
            steps=timing.steps,
        )
        figures["too_short"] = rows - totals.examples
        figures["has_memory"] = (self._weights[step].memory / MEMORY_FILE).is_file()
        earlier = self._earlier_figures(split).get(str(step), {})
        figures["weights_sha256"] = self._hashes.get(step) or earlier.get("weights_sha256")
        self._result["splits"][split.name]["checkpoints"][str(step)] = figures
        write_result(self._directory, self._result)

    def _earlier_figures(self, split: SplitSpec) -> dict[str, Any]:
        try:
            return dict(self._earlier["splits"][split.name]["checkpoints"])
        except (KeyError, TypeError, ValueError):
            return {}

    def _earlier_timing(self, step: int, split: SplitSpec) -> Timing:
        """What earlier sessions took. It is missing for a page after which the process was killed at once."""
        try:
            figures = self._earlier_figures(split)[str(step)]
            return Timing(float(figures["runtime"]), int(figures["steps"]))
        except (KeyError, TypeError, ValueError):
            return Timing()


@dataclass
class Timing:
    """What scoring took: seconds, model loading left out, and forward passes."""

    runtime: float = 0.0
    steps: int = 0


def _whole_parts(directory: Path) -> list[Path]:
    """The parts without a gap from the first one on."""
    found = []
    for number, path in enumerate(parts(directory)):
        if path.name != f"part-{number:05d}.parquet":
            break
        found.append(path)
    return found


def _earlier_result(directory: Path) -> dict[str, Any]:
    try:
        result = read_json(directory / RESULT_FILE)
    except (FileNotFoundError, ValueError):
        return {}
    return result if isinstance(result, dict) else {}


def _check_texts(directory: Path, split: SplitSpec) -> None:
    """Raise RunError unless a split's texts are the ones that the evaluation was made with."""
    digest = hashlib.sha256()
    try:
        with (directory / split.file).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except FileNotFoundError:
        raise RunError(
            f"The texts of '{split.name}' ({directory / split.file}) are gone. Start a new evaluation."
        ) from None
    if digest.hexdigest() != split.sha256:
        raise RunError(
            f"The texts of '{split.name}' ({directory / split.file}) have changed since this evaluation was made, so "
            "its examples would not belong together. Start a new evaluation."
        )
