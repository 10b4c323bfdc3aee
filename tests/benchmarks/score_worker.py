"""A scoring process for `tests.benchmarks.score`: `score_worker ours|plain DATA_DIRECTORY`.

Reads requests from standard input and answers each with one line of JSON: `losses n` with the CE of every example of
page n, `round n` with the seconds that scoring page n on and off takes, `memory 0` with the peak memory at a tenth and
at the end of an evaluation of the whole text.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import torch
from transformers import DataCollatorForLanguageModeling, Trainer, TrainingArguments, set_seed
from transformers.trainer_callback import PrinterCallback

from bcecore.evaluation.job import EvaluationJob
from bcecore.evaluation.loading import arithmetic, find_weights, load_forward, load_run_tokenizer
from bcecore.evaluation.pages import PAGE_CHARACTERS, Row, pages
from bcecore.evaluation.scoring import score_page
from bcecore.jobs.submit import submit
from bcecore.recipes import load_recipe
from bcecore.settings import with_values
from bcecore.store.evaluations import EvaluationRequest, EvaluationStore, SplitSpec
from bcecore.store.examples import write_part
from bcecore.store.runs import RunStore
from bcecore.text.tokenizing import encode, load_tokenizer
from bcecore.training.models import build_model
from bcecore.training.models import load_tokenizer as load_transformers_tokenizer

BLOCK_SIZE = 128
BATCH_TOKENS = 4096
STEP = 1


def _run(data: Path, scratch: Path) -> tuple[RunStore, str]:
    """A run with a model of bert-tiny's size, random weights and BERT's vocabulary, as if it had been trained."""
    store = RunStore(scratch / "runs")
    config = with_values(
        load_recipe("report-10-epoch-offline").config,
        {"model.causal": True, "model.tokenizer": str(data / "tokenizer"), "data.block_size": BLOCK_SIZE},
    )
    run_id = submit(store, config, name="bench")
    directory = store.directory(run_id)
    set_seed(0)
    model = build_model(config.model, load_transformers_tokenizer(directory / "data" / "tokenizer"))
    model.save_pretrained(directory / "model")
    return store, run_id


def _page_texts(data: Path, scratch: Path) -> list[list[str]]:
    """The lines of WikiText-2 in the pages in which they are scored."""
    path = scratch / "lines.jsonl"
    if not path.exists():
        lines = (data / "wikitext-2" / "valid.txt").read_text(encoding="utf-8").splitlines()
        path.write_text("".join(json.dumps({"text": line}) + "\n" for line in lines if line.strip()), encoding="utf-8")
    found = [[row.text for row in page] for page in pages(path)]
    return [texts for texts in found if sum(map(len, texts)) > PAGE_CHARACTERS / 2]  # the last may be short


class Ours:
    """One pass for on and off, from the text to the written part."""

    def __init__(self, data: Path, scratch: Path) -> None:
        self._scratch = scratch
        self._store, self._run_id = _run(data, scratch)
        directory = self._store.directory(self._run_id)
        config = self._store.config(self._run_id)
        weights = find_weights(directory, STEP, STEP)
        self._tokenizer, _ = load_run_tokenizer(directory)
        self._forward = load_forward(config, directory, weights, arithmetic(config), BLOCK_SIZE)
        self._pages = _page_texts(data, scratch)
        self._split = self._spec(scratch / "lines.jsonl")

    def _spec(self, path: Path) -> SplitSpec:
        content = path.read_bytes()
        return SplitSpec(
            name="wikitext",
            kind="file",
            file="data/0.jsonl",
            source="WikiText-2",
            sha256=hashlib.sha256(content).hexdigest(),
            rows=content.count(b"\n"),
            block_size=BLOCK_SIZE,
        )

    def losses(self, number: int) -> dict[str, Any]:
        return {"ce": [row["ce"] for row in self._score(number)]}

    def round(self, number: int) -> dict[str, Any]:
        began = time.perf_counter()
        rows = self._score(number)
        write_part(self._scratch, number, rows)
        return {"seconds": time.perf_counter() - began, "examples": len(rows)}

    def _score(self, number: int) -> list[dict[str, Any]]:
        texts = self._pages[number % len(self._pages)]
        page = [Row(example, text) for example, text in enumerate(texts)]
        return score_page(self._forward, self._tokenizer, self._split, STEP, page, BATCH_TOKENS).rows

    def memory(self, _: int) -> dict[str, Any]:
        """Peak memory (MB) of this process over a whole evaluation, model and libraries included."""
        lines = self._scratch / "lines.jsonl"

        def fill(directory: Path) -> EvaluationRequest:
            shutil.copyfile(lines, directory / "data" / "0.jsonl")
            return EvaluationRequest(checkpoints=(STEP,), splits=(self._split,), batch_tokens=BATCH_TOKENS)

        evaluations = EvaluationStore(self._store)
        record = evaluations.create(self._run_id, "memory", fill)
        assert record.request is not None
        peaks: dict[str, Any] = {}
        total = record.request.examples

        class Watcher:
            def begin(self, done: int) -> None:
                pass

            def at(self, done: int) -> None:
                if done >= total / 10:
                    peaks.setdefault("at_a_tenth", _peak_megabytes())

        directory, run_directory = evaluations.directory(record.key), self._store.directory(self._run_id)
        config = self._store.config(self._run_id)
        began = time.perf_counter()
        EvaluationJob(directory, run_directory, config, record.request, STEP, Watcher()).run()
        return peaks | {
            "at_the_end": _peak_megabytes(),
            "examples": total,
            "seconds": round(time.perf_counter() - began, 1),
        }


def _peak_megabytes() -> float:
    """The most memory that this process ever had, as Linux counts it."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


class Plain:
    """The report's method: the plain Trainer's evaluation at batch 1, once for on and once for off."""

    def __init__(self, data: Path, scratch: Path) -> None:
        store, run_id = _run(data, scratch)
        directory = store.directory(run_id)
        config = store.config(run_id)
        tokenizer = load_transformers_tokenizer(directory / "data" / "tokenizer")
        source = config.model.model_copy(update={"source": str(directory / "model")})
        self._model = build_model(source, tokenizer)
        fast = load_tokenizer(directory / "data" / "tokenizer")
        self._ids = [encode(fast, texts, BLOCK_SIZE).ids for texts in _page_texts(data, scratch)]
        self._tables = [
            datasets.Dataset.from_dict({"input_ids": page, "attention_mask": [[1] * len(ids) for ids in page]})
            for page in self._ids
        ]
        arguments = TrainingArguments(
            str(scratch / "out"), per_device_eval_batch_size=1, report_to=[], use_cpu=True, disable_tqdm=True
        )
        self._trainer = Trainer(
            self._model, arguments, data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False)
        )
        self._trainer.remove_callback(PrinterCallback)

    @torch.no_grad()
    def losses(self, number: int) -> dict[str, Any]:
        self._model.eval()
        found = []
        for ids in self._ids[number]:
            row = torch.tensor([ids])
            found.append(float(self._model(input_ids=row, labels=row).loss))
        return {"ce": found}

    def round(self, number: int) -> dict[str, Any]:
        table = self._tables[number % len(self._tables)]
        began = time.perf_counter()
        for _ in ("on", "off"):
            self._trainer.evaluate(table)
        return {"seconds": time.perf_counter() - began, "examples": len(table)}


def main() -> None:
    variant, data = sys.argv[1], Path(sys.argv[2])
    answers = sys.stdout
    sys.stdout = sys.stderr
    with tempfile.TemporaryDirectory() as scratch:
        scorer: Any = (Ours if variant == "ours" else Plain)(data, Path(scratch))
        for line in sys.stdin:
            what, number = line.split()
            action: Callable[[int], dict[str, Any]] = getattr(scorer, what)
            answers.write(json.dumps(action(int(number))) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
