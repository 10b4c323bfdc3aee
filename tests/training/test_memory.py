"""The memory of the active profile: averages, the ring of kept states, the reward signal, saving and loading."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bcecore.training.memory import MEMORY_FILE, StateMemory


def empty(size: int = 16) -> StateMemory:
    return StateMemory(size, character_decay=0.99, context_decay=0.9, reward_decay=0.9)


def fill(memory: StateMemory, sizes: list[int], dim: int = 3) -> torch.Tensor:
    """Update with batches of these sizes; returns all states in order."""
    generator = torch.Generator().manual_seed(1)
    batches = [torch.randn(size, dim, generator=generator) for size in sizes]
    for batch in batches:
        memory.update(batch, torch.tensor(2.0))
    return torch.cat(batches)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=12))
def test_keeps_exactly_the_latest_states(sizes: list[int]) -> None:
    memory = empty()
    latest = fill(memory, sizes)[-16:]
    assert memory.count == len(latest)
    kept = {tuple(row) for row in memory.states.tolist()}
    assert kept == {tuple(row) for row in latest.tolist()}
    assert torch.allclose(memory.units(), memory.states / memory.states.norm(dim=1, keepdim=True))


def test_averages_are_bias_corrected() -> None:
    memory = empty()
    memory.update(torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor(1.0))
    first = memory.average("character")
    assert first is not None and first.tolist() == pytest.approx([2.0, 3.0])  # after one step: the batch mean itself
    memory.update(torch.tensor([[10.0, 10.0]]), torch.tensor(1.0))
    second = memory.average("context")
    assert second is not None
    expected = [(0.9 * 0.1 * a + 0.1 * 10) / (1 - 0.9**2) for a in (2.0, 3.0)]
    assert second.tolist() == pytest.approx(expected)


def test_reward_follows_the_relative_improvement_of_earlier_steps() -> None:
    memory = empty()
    state = torch.ones(1, 2)
    assert memory.reward is None
    memory.update(state, torch.tensor(4.0))
    assert memory.reward is not None and memory.reward.item() == 0
    memory.update(state, torch.tensor(3.0))  # (4 − 3)/4 = 0.25, weighted 0.1
    assert memory.reward.item() == pytest.approx(0.025)
    usual = 0.9 * 4 + 0.1 * 3
    memory.update(state, torch.tensor(100.0))  # much worse: clipped to −1
    assert memory.reward.item() == pytest.approx(0.9 * 0.025 - 0.1)
    memory.update(state, torch.tensor(0.0))
    worse = 0.9 * usual + 0.1 * 100
    assert memory.reward.item() == pytest.approx(0.9 * (0.9 * 0.025 - 0.1) + 0.1 * (worse - 0) / worse)


def test_spread_and_cosine_distance_against_all_pairs() -> None:
    memory = empty()
    fill(memory, [5, 9, 7])
    states = memory.states
    spread, distance = memory.dispersion()
    assert spread == pytest.approx(float(states.var(dim=0, correction=0).mean().sqrt()), rel=1e-5)
    pairs = [
        1 - float(torch.nn.functional.cosine_similarity(states[i], states[j], dim=0))
        for i in range(len(states))
        for j in range(len(states))
        if i != j
    ]
    assert distance == pytest.approx(sum(pairs) / len(pairs), rel=1e-4)


@given(st.lists(st.integers(1, 40), min_size=2, max_size=12), st.lists(st.booleans(), min_size=12, max_size=12))
def test_dispersion_kept_up_to_date_equals_dispersion_computed_anew(sizes: list[int], asked: list[bool]) -> None:
    memory = empty()
    generator = torch.Generator().manual_seed(2)
    for size, ask in zip(sizes, asked, strict=False):
        memory.keep(torch.randn(size, 3, generator=generator) + 2)
        if ask and memory.count >= 2:
            memory.dispersion()
    if memory.count >= 2:
        states = memory.states.double()
        units = states / states.norm(dim=1, keepdim=True)
        cosines = units @ units.T
        pairs = memory.count * (memory.count - 1)
        spread, distance = memory.dispersion()
        assert spread == pytest.approx(float(states.var(dim=0, correction=0).mean().sqrt()), rel=1e-9)
        assert distance == pytest.approx(1 - float(cosines.sum() - cosines.trace()) / pairs, abs=1e-9)


def test_dispersion_of_states_that_have_collapsed() -> None:
    memory = empty()
    for _ in range(40):
        memory.keep(torch.full((1, 64), 1.5))
    spread, distance = memory.dispersion()
    assert spread == pytest.approx(0, abs=1e-7)
    assert distance == pytest.approx(0, abs=1e-12)
    memory.keep(torch.zeros(1, 64))  # a state without a direction: cos 0 with the other fifteen
    assert memory.dispersion()[1] == pytest.approx(2 / 16)


def test_saved_and_loaded_memory_goes_on_the_same(tmp_path: Path) -> None:
    memory, copy = empty(), empty()
    fill(memory, [5, 20, 3])
    memory.save(tmp_path)
    copy.load(tmp_path, torch.device("cpu"))
    for each in (memory, copy):
        each.update(torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor(1.5))
    assert torch.equal(memory.states, copy.states) and torch.equal(memory.units(), copy.units())
    for name in ("character", "context"):
        first, second = memory.average(name), copy.average(name)
        assert first is not None and second is not None and torch.equal(first, second)
    assert memory.dispersion() == copy.dispersion()
    assert memory.reward is not None and copy.reward is not None and torch.equal(memory.reward, copy.reward)


def test_an_empty_memory_writes_nothing_and_a_missing_one_loads_as_empty(tmp_path: Path) -> None:
    empty().save(tmp_path)
    assert not (tmp_path / MEMORY_FILE).exists()
    memory = empty()
    memory.load(tmp_path, torch.device("cpu"))
    assert memory.count == 0 and memory.average("character") is None
