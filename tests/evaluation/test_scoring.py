"""Scored examples against independent ways to the same numbers: the model itself, the Trainer, the regulariser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, DataCollatorForLanguageModeling, Trainer, TrainingArguments

from bcecore.config import BCEConfig
from bcecore.evaluation.loading import Arithmetic, find_weights, load_forward, load_run_tokenizer
from bcecore.evaluation.pages import Row
from bcecore.evaluation.scoring import score_page
from bcecore.evaluation.summarising import Totals, summary
from bcecore.store.evaluations import SplitSpec
from bcecore.store.runs import RunStore
from bcecore.text.tokenizing import encode, load_tokenizer
from bcecore.training.engine import Example, TokenizedText, build_trainer
from bcecore.training.models import load_tokenizer as load_transformers_tokenizer
from bcecore.training.models import prepare_model
from bcecore.training.regularizer import COMPONENTS, Regularizer
from tests.evaluation.scored import trained_run

BLOCK_SIZE = 48
SAMPLE = Path(__file__).parents[2] / "bcecore" / "samples" / "turkish_english_validation.txt"


def split(**changes: Any) -> SplitSpec:
    values: dict[str, Any] = {
        "name": "s",
        "kind": "file",
        "file": "data/0.jsonl",
        "source": "",
        "sha256": "",
        "rows": 1,
        "block_size": BLOCK_SIZE,
    }
    return SplitSpec(**values | changes)


def lines_of(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def score(
    store: RunStore, run_id: str, texts: list[str], batch_tokens: int = 1024, **changes: Any
) -> list[dict[str, Any]]:
    directory = store.directory(run_id)
    weights = find_weights(directory, 20, 20)
    forward = load_forward(store.config(run_id), directory, weights, Arithmetic("cpu", "fp32"), BLOCK_SIZE)
    tokenizer, _ = load_run_tokenizer(directory)
    page = [Row(number, text) for number, text in enumerate(texts)]
    return score_page(forward, tokenizer, split(**changes), 20, page, batch_tokens).rows


def plain_model(store: RunStore, run_id: str) -> Any:
    """The checkpoint as anybody would load it, by Hugging Face's own means alone."""
    model = AutoModelForCausalLM.from_pretrained(store.directory(run_id) / "checkpoints" / "checkpoint-20").eval()
    assert model.config.is_decoder is store.config(run_id).model.causal
    prepare_model(model)
    return model


def ids_of(store: RunStore, run_id: str, texts: list[str]) -> list[list[int]]:
    tokenizer = load_tokenizer(store.directory(run_id) / "data" / "tokenizer")
    return encode(tokenizer, texts, BLOCK_SIZE).ids


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunStore, str]:
    """A run as the report's: BERT that sees the words it has to predict, the seed profile."""
    store = RunStore(tmp_path_factory.mktemp("leaky") / "runs")
    return store, trained_run(store, model__causal=False, bce__profile="seed")


@pytest.fixture(params=["trained", "leaky"])
def run(request: pytest.FixtureRequest) -> tuple[RunStore, str]:
    found: tuple[RunStore, str] = request.getfixturevalue(request.param)
    return found


def check_against_the_model(store: RunStore, run_id: str, texts: list[str]) -> None:
    model = plain_model(store, run_id)
    expected = []
    with torch.no_grad():
        for ids in ids_of(store, run_id, texts):
            row = torch.tensor([ids])
            expected.append(float(model(input_ids=row, labels=row).loss))
    for batch_tokens in (1, 300, 5000):
        rows = score(store, run_id, texts, batch_tokens)
        assert [row["example"] for row in rows] == list(range(len(texts)))
        assert [row["ce"] for row in rows] == pytest.approx(expected, abs=1e-5)


def test_ce_is_the_models_own_loss_whatever_the_batch(run: tuple[RunStore, str]) -> None:
    check_against_the_model(*run, lines_of(SAMPLE))


def test_ce_is_the_models_own_loss_on_the_reports_text(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "report" / "huggingface_turkish_english_sample.txt"
    store = RunStore(tmp_path / "runs")
    run_id = trained_run(store, data__train_file=str(path), model__vocab_size=2000)
    check_against_the_model(store, run_id, lines_of(path))


def test_ce_is_that_of_the_plain_trainers_evaluation_at_batch_1(run: tuple[RunStore, str], tmp_path: Path) -> None:
    store, run_id = run
    texts = lines_of(SAMPLE)
    tokenizer = load_transformers_tokenizer(store.directory(run_id) / "data" / "tokenizer")
    examples = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in ids_of(store, run_id, texts)]
    arguments = TrainingArguments(
        str(tmp_path), per_device_eval_batch_size=1, report_to=[], use_cpu=True, disable_tqdm=True
    )
    trainer = Trainer(
        plain_model(store, run_id), arguments, data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False)
    )
    rows = score(store, run_id, texts)
    for number in range(0, len(examples), 10):
        alone = trainer.evaluate([examples[number]])["eval_loss"]
        assert rows[number]["ce"] == pytest.approx(alone, abs=1e-5)
    totals = Totals(COMPONENTS)
    totals.add({name: [row[name] for row in rows] for name in totals.columns})
    found = summary(totals, weight=0.0, first_weight=0.0, runtime=1.0, steps=1)
    assert found["ce_mean"] == pytest.approx(trainer.evaluate(examples)["eval_loss"], abs=1e-5)


def test_ce_and_r_of_a_split_are_those_of_our_trainers_evaluation(
    trained: tuple[RunStore, str], tmp_path: Path
) -> None:
    store, run_id = trained
    directory = store.directory(run_id)
    texts = lines_of(SAMPLE)
    rows = score(store, run_id, texts)
    examples = [Example(torch.tensor(ids)) for ids in ids_of(store, run_id, texts)]
    tokenizer = load_transformers_tokenizer(directory / "data" / "tokenizer")
    trainer = build_trainer(store.config(run_id), TokenizedText(examples, examples, tokenizer), tmp_path)
    checkpoint = directory / "checkpoints" / "checkpoint-20"
    trainer._load_from_checkpoint(str(checkpoint))
    assert trainer.regularizer is not None
    trainer.regularizer.memory.load(checkpoint, torch.device("cpu"))
    metrics = trainer.evaluate()
    tokens = sum(row["tokens"] for row in rows)
    assert sum(row["nll"] for row in rows) / tokens == pytest.approx(metrics["eval_loss"], abs=1e-5)
    weighted = sum(row["bce_loss"] * row["tokens"] for row in rows) / tokens
    assert weighted == pytest.approx(metrics["eval_bce_loss"], abs=1e-6)


def test_r_is_that_of_the_regulariser_with_the_checkpoints_memory(run: tuple[RunStore, str]) -> None:
    store, run_id = run
    model = plain_model(store, run_id)
    reference = Regularizer(store.config(run_id).bce)
    reference.memory.load(store.directory(run_id) / "checkpoints" / "checkpoint-20", torch.device("cpu"))
    assert reference.memory.count > 16
    texts = lines_of(SAMPLE)
    rows = score(store, run_id, texts, batch_tokens=700)
    with torch.no_grad():
        for row, ids in zip(rows, ids_of(store, run_id, texts), strict=True):
            output = model(input_ids=torch.tensor([ids]), output_hidden_states=True)
            r = reference(output.hidden_states[-1].mean(dim=1))  # no padding: φ is the plain mean
            assert row["bce_loss"] == pytest.approx(float(r.loss), abs=1e-5)
            components = [row[f"bce_{name}"] for name in COMPONENTS]
            assert components == pytest.approx(r.components[0].tolist(), abs=1e-5)
    assert len({round(row["bce_loss"], 5) for row in rows}) > 10  # of each example, not of its batch


def test_the_seed_profiles_r_is_the_formula(leaky: tuple[RunStore, str]) -> None:
    store, run_id = leaky
    assert store.config(run_id).bce == BCEConfig(**store.config(run_id).bce.model_dump() | {"profile": "seed"})
    texts = lines_of(SAMPLE)[:20]
    model = plain_model(store, run_id)
    with torch.no_grad():
        for row, ids in zip(score(store, run_id, texts), ids_of(store, run_id, texts), strict=True):
            hidden = model(input_ids=torch.tensor([ids]), output_hidden_states=True).hidden_states[-1]
            length = float(torch.linalg.vector_norm(hidden.mean(dim=1)[0, :8]))
            assert row["bce_loss"] == pytest.approx(-(0.8 / 9) * (4.737667 + 0.5 * math.tanh(length)), abs=2e-6)


def test_a_row_has_everything_of_its_tokens(trained: tuple[RunStore, str]) -> None:
    text = "Kapı açık, güneş doğar."
    (row,) = score(*trained, [text])
    (ids,) = ids_of(*trained, [text])
    assert row["token_ids"] == ids[1:] and row["tokens"] == len(ids) - 1 == row["length"] - 1
    assert float(row["token_nll"].sum()) == pytest.approx(row["nll"], abs=1e-4)
    assert row["nll"] / row["tokens"] == pytest.approx(row["ce"])
    shown = [text[start:end] for start, end in zip(row["token_starts"], row["token_ends"], strict=True)]
    assert "".join(shown) == text.replace(" ", "") and shown[-1] == ""
    assert (row["windows"], row["cut"], row["bytes"]) == (1, False, len(text.encode()))
    assert (row["checkpoint"], row["split"], row["text"], row["label"]) == (20, "s", text, None)


LONG = " ".join(["The baker sells bread; güneş doğar, kapı açık."] * 12)


def test_a_long_text_is_cut_as_in_the_report(trained: tuple[RunStore, str]) -> None:
    (row,) = score(*trained, [LONG])
    assert row["cut"] and row["windows"] == 1 and row["tokens"] == BLOCK_SIZE - 1 and row["length"] > BLOCK_SIZE
    assert row["bytes"] == len(LONG[: max(row["token_ends"])].encode()) < len(LONG.encode())


def test_a_long_text_is_read_in_windows_each_token_once(trained: tuple[RunStore, str]) -> None:
    store, run_id = trained
    stride = 10
    (row,) = score(store, run_id, [LONG], long_texts="window", stride=stride)
    tokenizer = load_tokenizer(store.directory(run_id) / "data" / "tokenizer")
    ids = tokenizer.encode(LONG).ids
    assert row["token_ids"] == ids[1:] and row["tokens"] == len(ids) - 1 and not row["cut"]
    assert row["windows"] == 1 + math.ceil((len(ids) - BLOCK_SIZE) / stride) and row["bytes"] == len(LONG.encode())
    model = plain_model(store, run_id)
    expected: list[float] = []
    with torch.no_grad():
        while len(expected) < len(ids) - 1:
            # The next ten tokens, from the 48 that end with them.
            end = BLOCK_SIZE if not expected else min(len(expected) + 1 + stride, len(ids))
            read = torch.tensor(ids[end - BLOCK_SIZE : end])
            loss = torch.nn.functional.cross_entropy(
                model(input_ids=read[None]).logits[0, :-1], read[1:], reduction="none"
            )
            expected += loss[-(end - len(expected) - 1) :].tolist()
    assert row["token_nll"] == pytest.approx(expected, abs=1e-5)
    # A short text beside it is not changed by the windows.
    short, again = score(store, run_id, ["No.", LONG], long_texts="window", stride=stride)
    assert short["windows"] == 1 and again["ce"] == pytest.approx(row["ce"], abs=1e-6)


def test_a_text_without_two_tokens_is_left_out(trained: tuple[RunStore, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bcecore.evaluation.encoding.MIN_TOKENS", 4)
    rows = score(*trained, ["", "The door is open.", "", "Kapı açık."])
    assert [row["example"] for row in rows] == [1, 3]
    assert score(*trained, ["", ""]) == []
