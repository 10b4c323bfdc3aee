"""Datasets of the Hub, by the real `datasets` library, from a folder that stands for one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bcecore.errors import TextError
from bcecore.evaluation import hub
from bcecore.evaluation.hub import WIKITEXT_2, HubDataset, HubTexts, read_hub

LINES = ["", " = Robert Boulter = \n", "", " Robert Boulter is an actor . \n", "third\n", None]
CARD = """---
configs:
- config_name: raw
  data_files:
  - split: validation
    path: raw/validation.parquet
- config_name: numbers
  data_files:
  - split: validation
    path: raw/numbers.parquet
---
"""


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> HubDataset:
    """A dataset laid out as on the Hub, and a cache of its own."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(hub, "hub_is_reachable", lambda: False)
    folder = tmp_path / "dataset"
    (folder / "raw").mkdir(parents=True)
    (folder / "README.md").write_text(CARD)
    pd.DataFrame({"text": LINES}).to_parquet(folder / "raw" / "validation.parquet")
    pd.DataFrame({"text": [1, 2]}).to_parquet(folder / "raw" / "numbers.parquet")
    return HubDataset(str(folder), "raw")


def test_the_first_lines_that_are_not_empty(dataset: HubDataset) -> None:
    assert read_hub(dataset, 2) == HubTexts(["= Robert Boulter =", "Robert Boulter is an actor ."], empty=2)
    assert read_hub(dataset) == HubTexts(["= Robert Boulter =", "Robert Boulter is an actor .", "third"], empty=3)


def test_wikitext_is_asked_for_as_the_report_did(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import datasets

    asked: list[tuple[Any, ...]] = []

    def load(*names: Any, **options: Any) -> datasets.Dataset:
        asked.append((*names, options))
        return datasets.Dataset.from_dict({"text": ["", "a", "b"]})

    monkeypatch.setattr(datasets, "load_dataset", load)
    dataset = {"path": WIKITEXT_2.path, "config": WIKITEXT_2.config, "split": "validation", "column": "text"}
    output = tmp_path / "out.json"
    assert hub.main([json.dumps({"dataset": dataset, "limit": 1, "output": str(output)})]) == 0
    assert asked == [("Salesforce/wikitext", "wikitext-2-raw-v1", {"split": "validation"})]
    assert json.loads(output.read_text()) == {"texts": ["a"], "empty": 1}


def test_offline_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    with pytest.raises(TextError) as caught:
        read_hub(WIKITEXT_2, 400)
    assert str(caught.value) == (
        "Salesforce/wikitext, wikitext-2-raw-v1, validation is on the Hugging Face Hub, which cannot be reached from "
        "this machine, and it was not read here before. Connect to the internet once (it is then kept for later), or "
        "copy its texts into a file and evaluate on that."
    )


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"config": "other"}, "BuilderConfig 'other' not found"),
        ({"split": "test"}, "Unknown split"),
        ({"column": "body"}, "it has no column 'body' but text."),
        ({"config": "numbers"}, "its column 'text' holds 1 where a text was expected."),
    ],
)
def test_what_a_dataset_does_not_have_is_told_and_not_blamed_on_the_connection(
    dataset: HubDataset, changes: dict[str, str], why: str
) -> None:
    with pytest.raises(TextError) as caught:
        read_hub(HubDataset(**{**vars(dataset), **changes}))
    assert why in str(caught.value) and "Check the name, configuration and split." in str(caught.value)


def test_a_reader_that_dies_or_hangs_is_told(dataset: HubDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    real = subprocess.run

    def dies(_command: Any, **options: Any) -> Any:
        return real([sys.executable, "-c", "raise SystemExit('Killed')"], **options)

    def hangs(_command: Any, **options: Any) -> Any:
        return real([sys.executable, "-c", "import time; time.sleep(60)"], **options | {"timeout": 0.1})

    monkeypatch.setattr(subprocess, "run", dies)
    with pytest.raises(TextError, match="could not be read from the Hugging Face Hub: Killed"):
        read_hub(dataset)
    monkeypatch.setattr(subprocess, "run", hangs)
    with pytest.raises(TextError, match="could not be read within 15 minutes"):
        read_hub(dataset)


def test_the_caller_does_not_load_the_library() -> None:
    program = (
        "import sys; from bcecore.evaluation import splits, template; "
        "print({'datasets', 'torch', 'transformers', 'pandas'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"
