import itertools

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.report.palette import BCE_OFF, BCE_ON, HELD_OUT, NEUTRAL, RUN_COLORS, TROUBLE, run_dashes, run_palette

LIGHT, DARK = "#ffffff", "#12161c"
run_ids = st.lists(st.text("0123456789abcdef-", min_size=4, max_size=24), max_size=20, unique=True)
# How colours look to somebody who lacks red, green or blue cones (Machado, Oliveira and Fernandes 2009).
SIGHTS = {
    "full": np.eye(3),
    "protan": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
    "deutan": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "tritan": np.array([[1.256, -0.077, -0.179], [-0.078, 0.931, 0.148], [0.005, 0.691, 0.304]]),
}


def linear(color: str) -> npt.NDArray[np.float64]:
    values = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(color) @ [0.2126, 0.7152, 0.0722]) + 0.05 for color in (one, other))
    return high / low


def perceived(color: str, sight: str) -> npt.NDArray[np.float64]:
    """In OKLab, where equal distances look equally different."""
    seen = np.clip(SIGHTS[sight] @ linear(color), 0, 1)
    cones = np.array([[0.4122, 0.5363, 0.0514], [0.2119, 0.6807, 0.1074], [0.0883, 0.2817, 0.6300]]) @ seen
    lab = np.array([[0.2105, 0.7936, -0.0041], [1.9780, -2.4286, 0.4506], [0.0259, 0.7828, -0.8087]])
    return lab @ np.cbrt(cones)


@pytest.mark.parametrize("color", [BCE_ON, BCE_OFF, HELD_OUT, NEUTRAL, TROUBLE, *RUN_COLORS])
@pytest.mark.parametrize("background", [LIGHT, DARK])
def test_every_colour_stands_out_from_both_backgrounds(color: str, background: str) -> None:
    assert contrast(color, background) >= 3


@pytest.mark.parametrize("sight", SIGHTS)
def test_the_colours_of_runs_can_be_told_apart(sight: str) -> None:
    for one, other in itertools.combinations(RUN_COLORS, 2):
        assert np.linalg.norm(perceived(one, sight) - perceived(other, sight)) > 0.11


def test_no_run_looks_as_if_bce_were_on_or_off() -> None:
    assert not {BCE_ON, BCE_OFF} & set(RUN_COLORS)


@given(run_ids)
def test_runs_have_different_colours_while_there_are_enough(ids: list[str]) -> None:
    colors = run_palette(ids)
    assert list(colors) == ids
    assert len(set(colors.values())) == min(len(ids), len(RUN_COLORS))


@given(run_ids, st.randoms())
def test_a_colour_does_not_depend_on_the_order_nor_on_newer_runs(ids: list[str], random: object) -> None:
    colors = run_palette(ids)
    mixed = ids.copy()
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert run_palette(mixed) == colors
    older = sorted(ids)[: len(ids) // 2]
    assert run_palette(older) == {run_id: colors[run_id] for run_id in older}


def test_lines_of_one_colour_differ_in_their_dashes() -> None:
    dashes = run_dashes(["#111111", "#222222", "#111111", "#111111"])
    assert dashes[0] == dashes[1] == (1, 0)
    assert len({dashes[0], dashes[2], dashes[3]}) == 3
