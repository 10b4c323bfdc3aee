"""The regulariser's formulas against the design's values, and its gradients against finite differences."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bcecore.config import BCEConfig
from bcecore.training.regularizer import COMPONENTS, Regularizer, pool

REPORT_LOG = Path(__file__).parents[3] / "shared" / "data" / "report" / "trainer_state.json"
LOWEST, HIGHEST = -0.465570, -0.421126


def component(output: torch.Tensor, name: str) -> torch.Tensor:
    return output[:, COMPONENTS.index(name)]


class TestPool:
    def test_means_over_real_tokens_only(self) -> None:
        hidden = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [100.0, 100.0]], [[5.0, 6.0], [7.0, 8.0], [9.0, 10.0]]])
        mask = torch.tensor([[1, 1, 0], [1, 1, 1]])
        assert torch.equal(pool(hidden, mask), torch.tensor([[2.0, 3.0], [7.0, 8.0]]))

    def test_half_precision_is_pooled_in_float32(self) -> None:
        hidden = torch.full((1, 600, 1), 200.0, dtype=torch.float16)  # the sum overflows float16
        assert pool(hidden, torch.ones(1, 600)).tolist() == [[200.0]]


class TestSeedProfile:
    regularizer = Regularizer(BCEConfig(profile="seed"))

    def test_component_values(self) -> None:
        v = torch.zeros(1, 128)
        v[0, :8] = torch.tensor([0.1, -0.2, 0.3, 0.0, 0.5, -0.1, 0.2, 0.4])
        v[0, 8:] = 9.0  # beyond the first eight numbers: not looked at
        got = dict(zip(COMPONENTS, self.regularizer(v).components[0].tolist(), strict=True))
        length = math.sqrt(0.01 + 0.04 + 0.09 + 0.25 + 0.01 + 0.04 + 0.16)
        expected = {
            "rl": 0.5,
            "iso": 0,
            "dcycle": 0.92,
            "dbscan": 0,
            "auto": 1,
            "bayes": 1,
            "fuzzy": 0.317667 + 0.5 * math.tanh(length),
            "ethics": 1,
            "master": 0,
        }
        assert got == pytest.approx(expected, abs=1e-6)

    def test_zero_state(self) -> None:
        components = self.regularizer(torch.zeros(1, 16)).components
        assert component(components, "dcycle").item() == pytest.approx(0.52)
        assert component(components, "bayes").item() == 0.5

    @given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=20))
    def test_value_is_the_formula_and_within_its_bounds(self, numbers: list[float]) -> None:
        v = torch.tensor([numbers])
        length = float(torch.linalg.vector_norm(v[0, :8].double()))
        r = self.regularizer(v).loss.item()
        if length > 1e-15:  # the squares of smaller numbers are 0 in float32
            assert r == pytest.approx(-(0.8 / 9) * (4.737667 + 0.5 * math.tanh(length)), abs=2e-6)
            assert LOWEST - 1e-6 <= r <= HIGHEST + 1e-6

    @pytest.mark.skipif(not REPORT_LOG.exists(), reason="the report's log is not beside this checkout")
    def test_every_logged_value_of_the_report_is_within_the_bounds(self) -> None:
        logged = [r["bce_loss"] for r in json.loads(REPORT_LOG.read_text())["log_history"] if "bce_loss" in r]
        assert len(logged) == 2000
        assert all(LOWEST - 1e-6 <= value <= HIGHEST + 1e-6 for value in logged)

    def test_has_no_gradient(self) -> None:
        assert not self.regularizer(torch.randn(2, 16, requires_grad=True)).loss.requires_grad

    def test_batch_equals_one_at_a_time(self) -> None:
        batch = torch.randn(5, 16)
        alone = torch.cat([self.regularizer(row.unsqueeze(0)).loss for row in batch])
        assert torch.equal(self.regularizer(batch).loss, alone)

    def test_behaviour_dimensions(self) -> None:
        v = torch.arange(16.0).unsqueeze(0)
        three = Regularizer(BCEConfig(profile="seed", behavior_dim=3))(v).components
        assert component(three, "fuzzy").item() == pytest.approx(0.317667 + 0.5 * math.tanh(math.sqrt(5)), abs=1e-6)


class TestScaleClampGain:
    v = torch.randn(1, 16, generator=torch.Generator().manual_seed(0))

    def value(self, **settings: float) -> float:
        return Regularizer(BCEConfig(profile="seed", **settings))(self.v).loss.item()

    def test_scale(self) -> None:
        assert self.value(scale=3) == pytest.approx(3 * self.value())

    def test_gain_multiplies_by_one_plus_gain_times_reward(self) -> None:
        assert self.value(gain=2) == pytest.approx(2 * self.value())  # the seed's reward is 0.5

    def test_clamp_acts_on_the_value_before_its_sign(self) -> None:
        assert self.value(clamp_max=0.1) == pytest.approx(-0.1)
        assert self.value(clamp_min=0.9) == pytest.approx(-0.9)


def active(states: int, *, dim: int = 6, **settings: float) -> Regularizer:
    """The active profile after `states` random states in float64, five a step."""
    regularizer = Regularizer(BCEConfig(profile="active", **settings))
    generator = torch.Generator().manual_seed(3)
    for step in range(states // 5):
        batch = torch.randn(5, dim, generator=generator, dtype=torch.float64) * 0.5 + 0.3
        regularizer.update(batch, torch.tensor(5.0 - 0.3 * step, dtype=torch.float64))
    return regularizer


POINT = torch.tensor([[0.4, -0.3, 0.8, 0.1, 0.6, -0.2], [0.1, 0.9, 0.2, -0.5, 0.3, 0.4]], dtype=torch.float64)


class TestActiveProfile:
    @pytest.mark.parametrize("name", ["dcycle", "bayes", "iso", "dbscan", "fuzzy"])
    def test_gradient_of_each_component_equals_finite_differences_and_is_not_zero(self, name: str) -> None:
        regularizer = active(40)

        def value(v: torch.Tensor) -> torch.Tensor:
            return component(regularizer(v).components, name)

        point = POINT.clone().requires_grad_()
        assert torch.autograd.gradcheck(value, (point,))
        (gradient,) = torch.autograd.grad(value(point).sum(), point)
        assert (gradient.norm(dim=1) > 1e-4).all()

    def test_gradient_of_r_equals_finite_differences(self) -> None:
        regularizer = active(40, scale=2, gain=1.5, clamp_min=0.0, clamp_max=50.0)
        assert torch.autograd.gradcheck(lambda v: regularizer(v).loss, (POINT.clone().requires_grad_(),))

    @pytest.mark.parametrize("name", ["rl", "auto", "ethics", "master"])
    def test_the_other_components_have_no_gradient(self, name: str) -> None:
        point = POINT.clone().requires_grad_()
        value = component(active(40)(point).components, name)
        (gradient,) = torch.autograd.grad(value.sum(), point)
        assert not gradient.any()

    def test_formulas_against_a_plain_loop(self) -> None:
        """The reference: one example at a time, straight from the design."""
        regularizer = active(40)
        memory = regularizer.memory
        kept = memory.states
        character, context = memory.average("character"), memory.average("context")
        assert character is not None and context is not None and memory.reward is not None
        got = regularizer(POINT).components
        for row, v in enumerate(POINT):
            variance = kept.var(dim=0, correction=0)
            floor = 0.01 * variance.mean()
            distance = sum((v - kept.mean(dim=0)) ** 2 / torch.maximum(variance, floor))
            similar = sorted(
                (
                    float(torch.exp(-((v / v.norm() - k / k.norm()) ** 2).sum() / (2 * 0.5**2)))
                    for k in kept
                ),
                reverse=True,
            )  # fmt: skip
            cos = torch.nn.functional.cosine_similarity
            expected = {
                "rl": float(torch.sigmoid(memory.reward)),
                "iso": float(1 / (1 + distance / len(v))),
                "dcycle": 0.4 + 0.4 * (1 + float(cos(v, character, dim=0))) / 2 + 0.2 * 0.6,
                "dbscan": sum(similar[:5]) / 5,
                "auto": 1.0,
                "bayes": (1 + float(cos(v, context, dim=0))) / 2,
                "fuzzy": 0.317667 + 0.5 * math.tanh(float(v.norm()) / math.sqrt(len(v))),
                "ethics": 1.0,
                "master": 0.0,
            }
            assert dict(zip(COMPONENTS, got[row].tolist(), strict=True)) == pytest.approx(expected, abs=1e-6)
        assert regularizer(POINT).loss.tolist() == pytest.approx((-0.8 * got.mean(dim=1)).tolist())

    def test_empty_memory_compares_the_state_with_itself(self) -> None:
        components = Regularizer(BCEConfig(profile="active"))(POINT).components
        for name, value in {"rl": 0.5, "iso": 0, "dcycle": 0.92, "dbscan": 0, "bayes": 1}.items():
            assert component(components, name).tolist() == pytest.approx([value] * 2)

    @pytest.mark.parametrize(("states", "iso", "dbscan"), [(5, False, False), (10, False, True), (20, True, True)])
    def test_iso_needs_16_states_and_dbscan_8(self, states: int, iso: bool, dbscan: bool) -> None:
        components = active(states)(POINT).components
        assert bool(component(components, "iso").all()) is iso
        assert bool(component(components, "dbscan").all()) is dbscan

    def test_behaviour_dimensions_limit_what_is_seen(self) -> None:
        regularizer = active(40, behavior_dim=4)
        other = POINT.clone()
        other[:, 4:] += 5
        assert torch.equal(regularizer(POINT).loss, regularizer(other).loss)

    def test_reading_does_not_change_the_memory(self) -> None:
        regularizer = active(40)
        before = regularizer(POINT).loss
        for _ in range(3):
            regularizer(POINT)
        assert torch.equal(regularizer(POINT).loss, before)

    def test_identical_states_stay_finite(self) -> None:
        regularizer = Regularizer(BCEConfig(profile="active"))
        for _ in range(20):
            regularizer.update(torch.ones(2, 4), torch.tensor(1.0))
        point = torch.ones(1, 4, requires_grad=True)
        loss = regularizer(point).loss.sum()
        loss.backward()
        assert loss.isfinite() and point.grad is not None and point.grad.isfinite().all()
