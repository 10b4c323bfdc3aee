"""All rules over the files of the real report, over those of healthy runs, and over what is not whole."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from bcecore.findings.collect_files import collect_files, files_with_run
from bcecore.findings.finding import Finding
from bcecore.findings.of_files import ROW_RULES, Looked, of_files, of_files_with_run
from bcecore.findings.of_study import Member
from bcecore.store.runs import RunStore


def by_id(looked: Looked) -> dict[str, list[Finding]]:
    found = defaultdict(list)
    for finding in looked.findings:
        found[finding.id].append(finding)
    return found


def wrong(finding: Finding) -> list[tuple[int, str, str]]:
    return [(one["line"], one["claimed"], one["true"]) for one in finding.numbers["wrong"]]


@pytest.fixture(scope="module")
def looked(shared_data: Path) -> Looked:
    files = collect_files([shared_data / "report", shared_data / "tokenizer" / "config.json"])
    return of_files(files)


def test_all_that_the_report_did_not_notice(looked: Looked) -> None:
    found = by_id(looked)
    assert {name: "".join(one.severity for one in of_one) for name, of_one in found.items()} == {
        "metric-contains-regulariser": "BBB",
        "off-not-off": "B",
        "future-leak": "B",
        "split-reuse": "BB",
        "overlap": "B",
        "claim-mismatch": "WWWWWWW",
        "scored-twice": "W",
        "too-small": "WW",
        "single-run": "W",
        "too-good": "W",
        "lr-zero": "N",
    }
    term = {one.numbers["text"].rpartition(", ")[2]: one.numbers for one in found["metric-contains-regulariser"]}
    assert (term["auto_val"]["on"], term["auto_val"]["off"]) == (0.0580, 0.05827)
    assert [round(term["wikitext2"][name], 5) for name in ("on", "off")] == [1.66911, 1.66934]
    for numbers in term.values():
        assert numbers["weight_difference"] == 0.0005 and numbers["r"] == pytest.approx(-0.464, abs=0.004)
    assert term["wikitext2"]["r"] == pytest.approx(-0.4637, abs=5e-5)
    assert found["off-not-off"][0].numbers["weights"] == {"auto_val": 0.4, "val_small": 0.4}
    assert found["future-leak"][0].numbers == {"model_type": "bert", "is_decoder": False}
    reuse = {one.numbers["text"]: one.numbers for one in found["split-reuse"]}
    assert (reuse["auto_val"]["rows"], reuse["auto_val"]["first_row"]) == (2, 0)
    assert [found["overlap"][0].numbers[name] for name in ("documents", "exact", "clean")] == [29, 29, 0]
    assert [one.numbers["documents"] for one in found["too-small"]] == [2, 29]
    assert found["single-run"][0].numbers["seeds"] == 1
    assert found["scored-twice"][0].numbers["texts"] == 8
    (checked,) = found["too-good"][0].numbers.values()
    assert round(checked["ce"], 3) == 0.058
    assert found["lr-zero"][0].steps == (1,)


def test_what_is_wrong_in_the_report_itself(looked: Looked) -> None:
    claims = {one.numbers["kind"]: one for one in looked.findings if one.id == "claim-mismatch"}
    rows = [one for one in looked.findings if one.id == "claim-mismatch" and one.numbers["kind"] == "row"]
    assert [one.steps for one in rows] == [(400,), (1000,), (1500,)]
    assert wrong(rows[0]) == [
        (35, "7.1730", "2.8085"),
        (35, "30.83", "32.66"),
        (35, "4.375e-05", "4.9875e-05"),
        (35, "0.085", "0.200"),
        (35, "-0.4645", "-0.4650"),
    ]
    assert [len(wrong(one)) for one in rows] == [5, 5, 5]
    assert wrong(claims["perplexity"]) == [
        (58, "1.0598", "1.0600"),
        (68, "1.2262", "1.2264"),
        (77, "1.0598", "1.0600"),
        (79, "1.2262", "1.2264"),
        (81, "5.3074", "5.3087"),
    ]
    assert wrong(claims["percentage"]) == [(78, "+0.47%", "+0.40%")]
    assert "comes from the rounded figures 0.0580 and 0.05827" in claims["percentage"].sentence
    assert wrong(claims["count"]) == [(81, "400", "3,760"), (82, "400", "3,760"), (93, "400", "3,760")]
    assert "They took 66.8 s at 56.3 per second, which is 3,760." in claims["count"].sentence
    assert wrong(claims["weight"]) == [(89, "0.40", "0")]
    (check,) = looked.checks.values()
    assert (check.figures, check.checked, len(check.unchecked)) == (122, 112, 10)
    assert looked.could_not == {}


def test_the_figures_that_are_left_unchecked_are_named(looked: Looked) -> None:
    (check,) = looked.checks.values()
    block_size = check.unchecked[0]
    assert (block_size.place.line, block_size.place.row, block_size.figure) == (11, "Block size", "128")


@pytest.mark.parametrize("name", ["cpt-generation", "rl-two-cadences", "t5-summarization"])
def test_logs_of_healthy_runs_give_notes_at_most(shared_data: Path, name: str) -> None:
    looked = of_files(collect_files([shared_data / "trainer_states" / f"{name}.json"]))
    assert [finding.id for finding in looked.findings if finding.severity != "N"] == []
    assert set(ROW_RULES) <= set(looked.rules)
    assert looked.could_not["future-leak"] == "no config.json of a model was given"


def test_a_real_run_of_ours_as_files_and_as_a_run(trained: tuple[Path, tuple[Member, ...]], tmp_path: Path) -> None:
    store, member = RunStore(trained[0]), trained[1][2]
    output = tmp_path / "output"
    shutil.copytree(store.directory(member.run) / "checkpoints" / "checkpoint-8", output)
    looked = of_files(collect_files([output]))
    assert [finding.id for finding in looked.findings if finding.severity != "N"] == []
    assert {"future-leak", "overfit"} <= set(looked.rules)

    held_out = tmp_path / "val.txt"
    train = [json.loads(line)["text"] for line in (store.directory(member.run) / "data" / "train.jsonl").open()]
    held_out.write_text("\n".join(train[:40]), encoding="utf-8")
    clean = tmp_path / "valid.txt"
    clean.write_text("\n".join(f"A line {n} of which no run has {n} heard." for n in range(120)), encoding="utf-8")
    found = of_files_with_run(store, member.run, files_with_run(store, member.run, [held_out]))
    assert {finding.id for finding in found.findings if finding.severity != "N"} == {
        "overlap",
        "split-reuse",
        "too-small",
    }
    found = of_files_with_run(store, member.run, files_with_run(store, member.run, [clean]))
    assert [finding.id for finding in found.findings if finding.severity != "N"] == []


SIDE: dict[str, Any] = {
    "mean_ce": 2.0,
    "p50_ce": 2.0,
    "p90_ce": 2.0,
    "min_ce": 2.0,
    "max_ce": 2.0,
    "ppl": 7.38905609893,
}


def stats(off_weight: float, off_ce: float) -> dict[str, Any]:
    def side(ce: float, weight: float) -> dict[str, Any]:
        row = {"idx": 0, "text": "a text", "len": 9, "ce_loss": ce, "bce_loss": -0.46, "bce_eff_w": weight}
        row["total_loss"] = ce - 0.46 * weight
        mean = SIDE | {"mean_ce": ce, "mean_total": row["total_loss"], "bucket_mean": {}}
        return mean | {"best3": [row], "worst3": [row]}

    return {"held": {"bce_on": side(2.0, 0.4), "bce_off": side(off_ce, off_weight)}}


def test_a_sound_stats_file_is_silent_where_a_faulty_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "stats.json"
    faults = {"scored-twice", "off-not-off"}
    path.write_text(json.dumps(stats(off_weight=0.1, off_ce=2.0)))
    assert {finding.id for finding in of_files(collect_files([path])).findings} & faults == faults
    path.write_text(json.dumps(stats(off_weight=0.0, off_ce=2.1)))
    looked = of_files(collect_files([path]))
    assert {finding.id for finding in looked.findings} & faults == set() and faults <= set(looked.rules)


def test_results_of_a_trainers_script(tmp_path: Path) -> None:
    path = tmp_path / "eval_results.json"
    path.write_text(json.dumps({"eval_loss": 2.0, "perplexity": 7.5, "eval_samples": 500, "epoch": 3.0}))
    looked = of_files(collect_files([tmp_path]))
    assert [finding.id for finding in looked.findings] == ["metric-contains-regulariser"]  # exp(2.0) is 7.389
    path.write_text(json.dumps({"eval_loss": 0.05, "perplexity": 1.0512710963760241, "eval_samples": 5}))
    assert {finding.id for finding in of_files(collect_files([tmp_path])).findings} == {"too-good", "too-small"}
