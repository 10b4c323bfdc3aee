import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import BCEConfig
from bcecore.report.bce_parts import seed_loss, seed_parts
from bcecore.report.observations import SEED_RANGE
from bcecore.training.regularizer import COMPONENTS, Regularizer


@given(length=st.just(0.0) | st.floats(1e-6, 20))
def test_the_page_and_the_training_agree(length: float) -> None:
    state = torch.zeros(1, 8, dtype=torch.float64)
    state[0, 3] = length
    output = Regularizer(BCEConfig(profile="seed"))(state)
    parts = seed_parts(length)
    assert [part.key for part in parts] == [f"bce_{name}" for name in COMPONENTS]
    assert [part.seed for part in parts] == pytest.approx(output.components[0].tolist(), abs=1e-9)
    assert seed_loss(length) == pytest.approx(float(output.loss), abs=1e-9)


def test_the_range_of_the_seed_profile() -> None:
    assert (seed_loss(100), seed_loss(1e-9)) == pytest.approx(SEED_RANGE, abs=1e-6)


def test_a_length_is_never_negative() -> None:
    with pytest.raises(ValueError, match="at least 0, got -1"):
        seed_loss(-1)
