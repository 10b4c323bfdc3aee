"""Texts of a dataset on the Hugging Face Hub, read in a process of its own: `python -m bcecore.evaluation.hub`.

The `datasets` library takes a second and 100 MB to import: the dashboard does without it. And without a connection it
would try for minutes: it is told beforehand.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bcecore.errors import TextError
from bcecore.text.sources import hub_is_reachable

_READ_SECONDS = 900.0


@dataclass(frozen=True)
class HubDataset:
    """One split of a dataset, as `datasets.load_dataset(path, config, split=split)` names it, and its text column."""

    path: str
    config: str | None = None
    split: str = "validation"
    column: str = "text"

    def __str__(self) -> str:
        config = f", {self.config}" if self.config else ""
        return f"{self.path}{config}, {self.split}"


WIKITEXT_2 = HubDataset("Salesforce/wikitext", "wikitext-2-raw-v1")
"""What the report calls wikitext-2 (raw)."""

KNOWN = {"wikitext-2": WIKITEXT_2}
"""Datasets with a short name."""


@dataclass(frozen=True)
class HubTexts:
    """What was read of a dataset."""

    texts: list[str]
    """Non-empty lines, stripped, in the dataset's order."""
    empty: int
    """Rows without text among those that were read."""


def read_hub(dataset: HubDataset, limit: int | None = None) -> HubTexts:
    """The first `limit` non-empty texts of a dataset (default: all), by the `datasets` library in a process of its own.

    Raises TextError for a dataset, configuration, split or column that is not there, and where the Hub cannot be
    reached and the dataset was not read here before.
    """
    environment = dict(os.environ)
    if not hub_is_reachable():
        environment |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "texts.json"
        request = json.dumps({"dataset": asdict(dataset), "limit": limit, "output": str(output)})
        try:
            process = subprocess.run(
                [sys.executable, "-m", "bcecore.evaluation.hub", request],
                cwd=Path(__file__).parent.parent.parent,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_READ_SECONDS,
            )
        except subprocess.TimeoutExpired as error:
            raise TextError(
                f"{dataset} could not be read within {_READ_SECONDS / 60:.0f} minutes. Download it once as a file and "
                "evaluate on that."
            ) from error
        if not output.is_file():
            last = (process.stderr.strip().splitlines() or ["it ended without a word"])[-1]
            raise TextError(f"{dataset} could not be read from the Hugging Face Hub: {last}")
        answer = json.loads(output.read_text(encoding="utf-8"))
    if "error" in answer:
        raise TextError(_explained(dataset, answer["error"], is_unreachable=answer.get("is_unreachable", False)))
    return HubTexts(answer["texts"], answer["empty"])


def _explained(dataset: HubDataset, error: str, *, is_unreachable: bool) -> str:
    if is_unreachable:
        return (
            f"{dataset} is on the Hugging Face Hub, which cannot be reached from this machine, and it was not read "
            "here before. Connect to the internet once (it is then kept for later), or copy its texts into a file and "
            "evaluate on that."
        )
    return f"{dataset} could not be read from the Hugging Face Hub: {error} Check the name, configuration and split."


def main(argv: list[str] | None = None) -> int:
    """Read what the one argument, a JSON object, asks for, and write it as JSON to the `output` that it names."""
    parser = argparse.ArgumentParser(prog="python -m bcecore.evaluation.hub", description=__doc__)
    parser.add_argument("request", type=json.loads)
    request = parser.parse_args(argv).request
    answer = _read(HubDataset(**request["dataset"]), request["limit"])
    Path(request["output"]).write_text(json.dumps(answer), encoding="utf-8")
    return 0


def _read(dataset: HubDataset, limit: int | None) -> dict[str, Any]:
    import datasets

    try:
        rows = datasets.load_dataset(dataset.path, dataset.config, split=dataset.split)
    except Exception as error:  # noqa: BLE001 - the library raises whatever its readers and its connection do
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return {"error": words, "is_unreachable": isinstance(error, ConnectionError)}
    if dataset.column not in rows.column_names:
        return {"error": f"it has no column '{dataset.column}' but {', '.join(rows.column_names)}."}
    texts: list[str] = []
    empty = 0
    for row in rows.select_columns(dataset.column):
        if len(texts) == limit:
            break
        text = row[dataset.column]
        if not isinstance(text, str | None):
            return {"error": f"its column '{dataset.column}' holds {text!r} where a text was expected."}
        stripped = (text or "").strip()
        if stripped:
            texts.append(stripped)
        else:
            empty += 1
    return {"texts": texts, "empty": empty}


if __name__ == "__main__":
    sys.exit(main())
