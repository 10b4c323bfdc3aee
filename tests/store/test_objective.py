"""Whether BCE is in a log, and CE without its term."""

from __future__ import annotations

import pytest

from bcecore.store.columns import Columns, block_of
from bcecore.store.objective import BCE_PARTS, has_bce, worked_out_ce


def test_binary_cross_entropy_is_not_bce() -> None:
    assert not has_bce(("loss", "bce_loss", "dice_loss"))
    assert not has_bce(("loss", "eval_bce_loss"))
    assert not has_bce(())


@pytest.mark.parametrize("key", ["bce_weight", "bce_term", *BCE_PARTS])
def test_what_nobody_else_logs(key: str) -> None:
    assert has_bce(("loss", key))


def test_ce_is_the_loss_less_the_term_where_all_are_known() -> None:
    log = Columns()
    log.add(block_of([(1, {"loss": 2.9, "bce_weight": 0.2, "bce_loss": -0.5}), (2, {"loss": 1.8})]))
    ce = worked_out_ce(log)
    assert ce is not None
    assert (ce.steps.tolist(), ce.values.tolist()) == ([1], [pytest.approx(3.0)])
    log.add(block_of([(3, {"ce": 1.0})]))
    assert worked_out_ce(log) is None  # it is logged


def test_without_a_weight_there_is_nothing_to_work_out() -> None:
    log = Columns()
    log.add(block_of([(1, {"loss": 1.0, "bce_loss": 0.3})]))
    assert worked_out_ce(log) is None
