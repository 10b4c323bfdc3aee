"""A little of `bench chaos`: whatever is killed, cut off or filled up, every run comes to the very same end."""

from __future__ import annotations

import os
import sys

import pytest

from tests.benchmarks import chaos

PLAN = (
    "kill training",
    "kill supervisor",
    "kill dashboard",
    "kill everything",
    "kill in a checkpoint",
    "suspend",
    "truncated run.json",
    "truncated trainer_state.json",
    "truncated checkpoint",
    "reused pid",
    "changed boot",
)
CONFIGS = {name: chaos.CONFIGS[name] for name in ("plain", "accumulating")}

pytestmark = [
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the faults are Linux's"),
    pytest.mark.timeout(900),  # less than a minute on two cores that nobody else uses
]


def test_every_run_survives_whatever_happens(capsys: pytest.CaptureFixture[str]) -> None:
    result = chaos.inject(PLAN, CONFIGS, seed=1, during_write=1)
    assert result["violations"] == [], capsys.readouterr().err
    assert result["injected"] >= len(PLAN)
    assert result["met"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk takes root")
def test_a_run_survives_a_full_disk() -> None:
    result = chaos.inject(["full disk"], {"plain": CONFIGS["plain"]}, seed=1, during_write=0)
    assert result["violations"] == []
    assert result["met"] or result["left_out"]
