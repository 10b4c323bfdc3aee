"""twin-mismatch on real runs: silent on twins, and says what differs where something was done to one of them."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bcecore.config import RunConfig
from bcecore.findings import collect
from bcecore.findings.finding import Finding
from bcecore.findings.of_study import Member
from bcecore.findings.twin_mismatch import Twin, twin_mismatch
from bcecore.settings import with_values
from bcecore.store.runs import RunStore

Twins = list[Twin]


def read(store: RunStore, members: tuple[Member, ...]) -> Twins:
    return [collect.twin(store, member.run, member.arm, member.seed) for member in members]


@pytest.fixture(scope="module")
def real(trained: tuple[Path, tuple[Member, ...]]) -> Twins:
    return read(RunStore(trained[0]), trained[1])


def of(found: list[Finding], severity: str) -> list[Finding]:
    assert {finding.id for finding in found} <= {"twin-mismatch"}
    return [finding for finding in found if finding.severity == severity]


def test_real_twins_are_twins_whatever_bce_did(real: Twins) -> None:
    assert twin_mismatch("s", real) == []
    weights = {(twin.arm, twin.seed): twin.record["final_weights"] for twin in real if twin.record}
    for seed in (1, 2):
        # The seed profile ends with the weights of off, bit for bit; the active one does not.
        assert weights["off", seed] == weights["seed profile", seed] != weights["active", seed]
    gradients = {twin.arm: twin.record["bce_gradient"]["largest"] for twin in real if twin.record}
    assert gradients["off"] is None and gradients["seed profile"] == 0 and gradients["active"] > 0


def changed(twin: Twin, **record: Any) -> Twin:
    assert twin.record is not None
    return replace(twin, record={**twin.record, **record})


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("initial_weights", "the first weights"),
        ("data_order", "the order of the text"),
        ("random_start", "the random numbers (dropout) at the start"),
        ("random_end", "the random numbers (dropout) up to the end"),
    ],
)
def test_one_different_hash_is_named_with_its_seed(real: Twins, key: str, words: str) -> None:
    (finding,) = twin_mismatch("s", [*real[:-1], changed(real[-1], **{key: "0" * 64})])
    assert finding.blocks and finding.subject == "s"
    assert finding.numbers["seed"] == 2 and list(finding.numbers["differ"]) == [key]
    assert f"The runs with seed 2 are no twins: besides BCE they differ in {words}." in finding.sentence


def test_other_steps_and_other_settings_are_named_with_their_values(real: Twins) -> None:
    longer = changed(real[1], steps=9)
    faster = replace(real[1], config=with_values(real[1].config, {"training.learning_rate": 0.5}))
    (steps,) = twin_mismatch("s", [real[0], longer])
    assert steps.numbers["differ"] == {"steps": [8, 9]} and "the number of steps (8 and 9)" in steps.sentence
    (rate,) = twin_mismatch("s", [real[0], faster])
    before = real[0].config.training.learning_rate
    assert rate.numbers["differ"] == {"training.learning_rate": [before, 0.5]}
    assert f"“Learning speed (learning rate)” ({before} and 0.5)" in rate.sentence
    # Between the seeds of an arm, too: also a setting of BCE, which the arms of one seed may differ in.
    other = replace(real[5], config=with_values(real[5].config, {"bce.max_weight": 0.9}))
    (arm,) = twin_mismatch("s", [*real[:5], other])
    assert arm.numbers["arm"] == "active" and list(arm.numbers["differ"]) == ["bce.max_weight"]


def test_another_text_is_no_twin_but_another_path_to_the_same_is(real: Twins) -> None:
    moved = replace(real[1], config=with_values(real[1].config, {"data.train_file": "/elsewhere/text.txt"}))
    assert twin_mismatch("s", [real[0], moved]) == []
    text = replace(real[1], texts={**real[1].texts, "validation": "0" * 64})
    (finding,) = twin_mismatch("s", [real[0], text])
    assert list(finding.numbers["differ"]) == ["text"] and "differ in the text." in finding.sentence


@pytest.mark.parametrize("key", ["initial_weights", "data_order", "random_start"])
def test_seeds_that_vary_nothing_are_the_same_run_twice(real: Twins, key: str) -> None:
    offs = [real[0], real[3]]
    assert real[0].record is not None
    (finding,) = twin_mismatch("s", [offs[0], changed(offs[1], **{key: real[0].record[key]})])
    assert finding.blocks and finding.numbers == {"arm": "off", "seeds": [1, 2], "shared": [key]}


def test_a_loaded_model_starts_from_the_same_weights_with_every_seed(real: Twins) -> None:
    assert real[0].record is not None
    loaded = [
        replace(
            changed(twin, initial_weights=real[0].record["initial_weights"]),
            config=with_values(twin.config, {"model.source": "someone/model"}),
        )
        for twin in (real[0], real[3])
    ]
    (finding,) = twin_mismatch("s", loaded)
    assert finding.severity == "N" and finding.numbers["shared"] == ["initial_weights"]


def test_what_was_not_recorded_is_said(real: Twins) -> None:
    assert real[0].record is not None
    partly = {key: value for key, value in real[0].record.items() if key != "data_order"}
    found = twin_mismatch("s", [replace(real[0], record=partly), replace(real[1], record={}), *real[2:]])
    (finding,) = of(found, "W")
    assert finding.numbers["runs"][real[0].run] == ["data_order"]
    assert len(finding.numbers["runs"][real[1].run]) == 5
    assert finding.sentence.startswith("Nobody can check whether 2 runs had")
    # Runs that are still to be trained have nothing to say yet.
    assert twin_mismatch("s", [replace(twin, record=None) for twin in real]) == []


def test_another_machine_is_a_note(real: Twins) -> None:
    machine = {**real[1].machine, "device": "NVIDIA H200", "torch": "9.9"}
    (finding,) = twin_mismatch("s", [real[0], replace(real[1], machine=machine)])
    assert finding.severity == "N" and set(finding.numbers["machine"]) == {"device", "torch"}
    assert "device (NVIDIA H200, cpu)" in finding.sentence


def test_one_changed_bit_of_a_saved_model_is_seen(twins: tuple[RunStore, tuple[Member, ...]]) -> None:
    store, members = twins
    path = store.directory(members[0].run) / "model" / "model.safetensors"
    content = bytearray(path.read_bytes())
    (header,) = struct.unpack("<Q", content[:8])
    content[8 + header + 40] ^= 1
    path.write_bytes(content)
    (finding,) = twin_mismatch("s", read(store, members))
    assert finding.blocks and finding.numbers["run"] == members[0].run
    assert "not those that it was trained to" in finding.sentence


def test_a_run_of_another_seed_than_it_is_filed_under(real: Twins) -> None:
    (finding,) = twin_mismatch("s", [real[0], replace(real[4], seed=1)])
    assert finding.numbers["differ"]["training.seed"] == [1, 2]


def test_plans_are_compared_before_anything_is_trained() -> None:
    plan = [
        Twin(f"{arm} {seed}", arm, seed, with_values(RunConfig(), {"training.seed": seed, "bce.enabled": arm == "on"}))
        for arm in ("off", "on")
        for seed in (1, 2)
    ]
    assert twin_mismatch("s", plan) == []
    plan[3] = replace(plan[3], config=with_values(plan[3].config, {"data.split_seed": 2}))
    found = twin_mismatch("s", plan)
    assert [list(finding.numbers["differ"]) for finding in found] == [["data.split_seed"], ["data.split_seed"]]
