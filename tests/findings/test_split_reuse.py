"""split-reuse: on the report's automatic split, on real submitted runs, and at its limits."""

from __future__ import annotations

import json
from pathlib import Path

from bcecore.findings import collect
from bcecore.findings.of_study import Member
from bcecore.findings.split_reuse import split_reuse
from bcecore.store.runs import RunStore
from bcecore.text.reading import read_texts
from tests.training.processes import submit_small


def test_the_report_s_automatic_split(shared_data: Path) -> None:
    report = shared_data / "report"
    train = read_texts(report / "huggingface_turkish_english_sample.txt", "text")
    shown = json.loads((report / "bce_eval_stats.json").read_text())["auto_val"]["bce_on"]
    held_out = [row["text"] for row in sorted(shown["best3"], key=lambda row: row["idx"])]
    (finding,) = split_reuse("report", train, held_out)
    assert finding.blocks and finding.numbers["first_row"] == 0 and finding.numbers["rows"] == 2
    assert "they are the first 2 training lines" in finding.sentence


def test_a_run_that_uses_its_first_lines_again(store: RunStore, trained: tuple[Path, tuple[Member, ...]]) -> None:
    run = submit_small(store, data__validation="first_rows_of_training", data__validation_rows=3)
    (finding,) = split_reuse(run, *collect.texts(store, run))
    assert finding.blocks and finding.numbers["rows"] == 3
    healthy = RunStore(trained[0])
    assert split_reuse("run", *collect.texts(healthy, trained[1][0].run)) == []


def test_a_block_anywhere_counts_and_single_lines_do_not() -> None:
    train = ["a", "b", "c", "b", "d", "e"]
    (finding,) = split_reuse("run", train, ["b", "d"])
    assert "they are the training lines 4 to 5" in finding.sentence
    assert split_reuse("run", train, ["d", "b"]) == split_reuse("run", train, ["e", "f"]) == []
    assert split_reuse("run", train, ["c"]) == []  # a duplicate, of which `overlap` speaks
    assert split_reuse("run", train, []) == split_reuse("run", [], ["a", "b"]) == []
    (by_setting,) = split_reuse("run", train, ["c"], re_used_by_setting=True)
    assert by_setting.numbers["by_setting"] and "by its settings" in by_setting.sentence
