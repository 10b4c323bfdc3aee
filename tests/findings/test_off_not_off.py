"""off-not-off: on the report's settings and log, on real runs, and against a look at every single step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import BCEConfig
from bcecore.findings import collect
from bcecore.findings.of_study import Member
from bcecore.findings.off_not_off import off_not_off
from bcecore.store.columns import Columns
from bcecore.store.runs import RunStore
from bcecore.store.trainer_log import merged, read_trainer_log


def test_the_report_s_off_was_not_off() -> None:
    bce = BCEConfig(base_weight=0.0, max_weight=0.5, warmup_steps=400, boost_span=2000)
    (finding,) = off_not_off("report", bce, 2000)
    assert finding.blocks and finding.id == "off-not-off"
    assert finding.numbers["first_step"] == 401 and finding.numbers["step"] == 2000
    assert finding.numbers["weight"] == 0.4 and not finding.numbers["logged"]
    assert "above 0 from step 401 on and reaches 0.4 at step 2,000" in finding.sentence
    assert off_not_off("report", bce, 400) == []  # over before the boost began


def test_the_report_s_log_shows_a_weight(shared_data: Path) -> None:
    columns = Columns()
    columns.add(merged([read_trainer_log(shared_data / "report" / "trainer_state.json")]))
    (finding,) = off_not_off("report", None, 2000, columns.series("bce_weight"))
    assert finding.numbers["logged"] and not finding.numbers["scheduled"]
    assert (finding.numbers["step"], finding.numbers["weight"]) == (2000, 0.44)


def test_real_runs(trained: tuple[Path, tuple[Member, ...]]) -> None:
    store = RunStore(trained[0])
    for member in trained[1]:
        series = collect.logged(store, member.run)["bce_weight"]
        bce = store.config(member.run).bce
        found = off_not_off(member.run, bce, collect.total_steps(store, member.run), series)
        assert bool(found) == (member.arm != "off")
        # Each of the two is enough.
        assert bool(off_not_off(member.run, None, 8, series)) == bool(off_not_off(member.run, bce, 8)) == bool(found)
    assert np.all(collect.logged(store, trained[1][0].run)["bce_weight"].values == 0)


@given(
    base=st.sampled_from([0.0, 0.2, 0.7]),
    target=st.sampled_from([0.0, 0.2]),
    maximum=st.sampled_from([0.0, 0.7, 2.0]),
    warmup=st.integers(0, 12),
    span=st.integers(1, 12),
    total=st.integers(1, 30),
    enabled=st.booleans(),
)
def test_it_says_what_a_look_at_every_step_says(
    base: float, target: float, maximum: float, warmup: int, span: int, total: int, enabled: bool
) -> None:
    bce = BCEConfig(
        enabled=enabled, base_weight=base, target_weight=target, max_weight=maximum, warmup_steps=warmup,
        boost_span=span,
    )  # fmt: skip
    weights = {step: bce.weight(step) for step in range(1, total + 1)}
    above = [step for step, weight in weights.items() if weight > 0]
    found = off_not_off("s", bce, total)
    assert bool(found) == bool(above)
    if above:
        assert found[0].numbers["first_step"] == above[0]
        assert found[0].numbers["weight"] == max(weights.values()) == weights[found[0].numbers["step"]]
