"""future-leak: on the report's model settings, and on what the probe finds in real models."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from bcecore.config import RunConfig
from bcecore.findings import collect
from bcecore.findings.future_leak import architecture_of, future_leak
from bcecore.findings.of_study import Member
from bcecore.settings import with_values
from bcecore.store.runs import RunStore
from bcecore.training.models import build_model, load_tokenizer, probe_future_leak, random_tokens_score


def test_the_report_s_model_sees_the_future_by_its_settings(shared_data: Path) -> None:
    architecture = json.loads((shared_data / "tokenizer" / "config.json").read_text())
    (finding,) = future_leak("report", None, architecture)
    assert finding.blocks and finding.numbers == {"model_type": "bert", "is_decoder": False}
    assert "sees the words that it has to predict" in finding.sentence
    assert future_leak("report", None, architecture | {"is_decoder": True}) == []
    assert future_leak("report", None, architecture | {"model_type": "gpt2"}) == []


def test_real_runs_are_silent(trained: tuple[Path, tuple[Member, ...]]) -> None:
    store = RunStore(trained[0])
    for member in trained[1]:
        probe = collect.leak_probe(store, member.run)
        assert probe is not None and probe["largest_change"] == 0
        assert future_leak(member.run, probe, architecture_of(store.config(member.run))) == []


def test_a_real_model_that_leaks(trained: tuple[Path, tuple[Member, ...]]) -> None:
    store, run = RunStore(trained[0]), trained[1][0].run
    config = with_values(store.config(run), {"model.causal": False})
    model = build_model(config.model, load_tokenizer(store.directory(run) / "data" / "tokenizer"))
    probe = probe_future_leak(model).as_dict()
    (finding,) = future_leak(run, probe)
    assert finding.blocks and finding.numbers["largest_change"] == probe["largest_change"] > 1e-4
    assert f"by up to {probe['largest_change']:.3g}" in finding.sentence
    # The settings alone say so, too, before anything is trained.
    assert len(future_leak(run, None, architecture_of(config))) == 1


def test_real_runs_do_not_foresee_random_tokens(trained: tuple[Path, tuple[Member, ...]]) -> None:
    store = RunStore(trained[0])
    for member in trained[1]:
        random = collect.random_tokens(store, member.run)
        assert random is not None and random["ce"] > random["chance"] - 0.1 > 5 and random["tokens"] > 100
        assert future_leak(member.run, None, random=random) == []


def test_a_model_that_copies_foresees_random_tokens(trained: tuple[Path, tuple[Member, ...]]) -> None:
    """The word behind each one, which is the one to predict, made the likeliest: what a leak teaches a model."""
    store, run = RunStore(trained[0]), trained[1][0].run
    model = build_model(store.config(run).model, load_tokenizer(store.directory(run) / "data" / "tokenizer"))
    real = model.forward

    def copying(input_ids: torch.Tensor, **others: Any) -> Any:
        output = real(input_ids=input_ids, **others)
        output.logits = torch.nn.functional.one_hot(input_ids.roll(-1, 1), output.logits.shape[-1]) * 20.0
        return output

    assert future_leak(run, None, random=random_tokens_score(model)) == []
    model.forward = copying
    random = random_tokens_score(model)
    (finding,) = future_leak(run, None, random=random)
    assert finding.blocks and finding.numbers == {"random_ce": random["ce"], "chance": random["chance"]}
    assert "which nobody can foresee, with a CE of 0.000" in finding.sentence


@pytest.mark.parametrize(("ce", "fires"), [(5.0, 0), (4.91, 0), (4.89, 1), (0.1, 1)])
def test_the_limit_of_chance(ce: float, fires: int) -> None:
    assert len(future_leak("run", None, random={"ce": ce, "chance": 5.0, "tokens": 504})) == fires


@pytest.mark.parametrize(("change", "fires"), [(0.0, 0), (1e-4, 0), (1.1e-4, 1), (math.inf, 1), (math.nan, 1)])
def test_the_limit(change: float, fires: int) -> None:
    found = future_leak("run", {"leaks": True, "largest_change": change, "positions": 8})
    assert len(found) == fires
    for finding in found:
        json.dumps(finding.model_dump(), allow_nan=False)


def test_what_the_settings_say() -> None:
    assert architecture_of(RunConfig()) == {"model_type": "bert", "is_decoder": True}
    loaded = with_values(RunConfig(), {"model.source": "someone/model"})
    assert architecture_of(loaded) is None
    leaky = architecture_of(with_values(loaded, {"model.causal": False}))
    assert len(future_leak("run", None, leaky)) == 1
    assert future_leak("run", None, None) == []
