import copy
import threading
from itertools import product
from typing import Any

import altair as alt
import pytest
from altair.utils import schemapi

from bcecore.report.about_charts import parts_chart, seed_loss_chart
from bcecore.report.chart_lines import Axis
from bcecore.report.chart_spec import BANDS, LINES, Look, Spec, building, spec_of, template
from bcecore.report.palette import BCE_ON, DASHED, SOLID
from bcecore.report.small_charts import schedule_chart, sparkline

AXES: tuple[Axis, ...] = ("step", "epoch", "time")
PLAIN = Look("Loss", "nats", ".4~r", "step", False, False, ("CE",), ("#111111",), (SOLID,), False, False, False, False)
TWO = PLAIN._replace(names=("CE", "loss"), colors=("#111111", "#222222"), dashes=(SOLID, DASHED))


def without_tables(spec: Spec) -> Spec:
    """As Vega-Lite's schema knows it: it leaves out that a selection may end at a signal, which Vega can do."""
    spec = copy.deepcopy({key: value for key, value in spec.items() if key != "datasets"})
    for param in spec.get("params", []):
        if isinstance(param.get("select", {}).get("clear"), dict):
            del param["select"]["clear"]
    return spec


def layer(spec: Spec, table: str, mark: str) -> dict[str, Any]:
    found = [part for part in spec["layer"] if part["data"]["name"] == table and part["mark"]["type"] == mark]
    assert len(found) == 1
    return dict(found[0])


LOOKS = [
    *(TWO._replace(x=x, log_x=log, log_y=log) for x, log in product(AXES, (False, True))),
    PLAIN._replace(format=".3e"),
    TWO._replace(smoothed=True, dots=True, bands=True, gap=True),
]
SPECS = [
    *map(spec_of, LOOKS),
    sparkline([1.0, 2.0], BCE_ON),
    schedule_chart([1, 2], [0.0, 0.1], "BCE weight", "weight", {"warm-up ends": 2}),
    parts_chart(1.0),
    seed_loss_chart(1.0),
]


@pytest.mark.parametrize("spec", SPECS)
def test_what_is_built_unchecked_is_vega_lite(spec: Spec) -> None:
    kind = alt.LayerChart if "layer" in spec else alt.Chart
    kind.validate(without_tables(spec))  # raises where it is not
    assert "config" not in spec


def test_words_and_colours_are_filled_in() -> None:
    spec = spec_of(TWO)
    encoding = layer(spec, LINES, "line")["encoding"]
    assert spec["title"]["text"] == "Loss"
    assert encoding["y"]["axis"]["title"] == "nats"
    assert encoding["color"]["scale"] == {"domain": ["CE", "loss"], "range": ["#111111", "#222222"]}
    assert encoding["strokeDash"]["scale"]["range"] == [[1, 0], [6, 3]]
    assert layer(spec, "under_pointer", "rule")["encoding"]["tooltip"][1:] == [
        {"field": "said0", "type": "nominal", "title": "CE"},
        {"field": "said1", "type": "nominal", "title": "loss"},
    ]
    assert "@" not in str(spec)


def test_charts_of_one_structure_are_built_once_and_share_nothing() -> None:
    template.cache_clear()
    one, other = spec_of(TWO._replace(title="One")), spec_of(TWO._replace(title="Other"))
    assert template.cache_info().misses == 1
    one["layer"][0]["mark"]["color"] = "changed"
    assert other["layer"][0]["mark"]["color"] != "changed"


def test_a_word_that_looks_like_a_sign_stays_a_word() -> None:
    assert spec_of(PLAIN._replace(title="@unit"))["title"]["text"] == "@unit"


def test_one_line_has_no_legend_and_two_have_one() -> None:
    assert layer(spec_of(PLAIN), LINES, "line")["encoding"]["color"]["legend"] is None
    assert layer(spec_of(TWO), LINES, "line")["encoding"]["color"]["legend"]["orient"] == "bottom"


def test_a_band_shares_the_legend_of_the_lines() -> None:
    spec = spec_of(TWO._replace(bands=True))
    lines, bands = layer(spec, LINES, "line")["encoding"], layer(spec, BANDS, "area")["encoding"]
    for channel in ("color", "strokeDash"):
        assert bands[channel] == lines[channel]
        assert bands[channel]["legend"] is not None


def test_threads_that_build_leave_altair_as_it_was() -> None:
    assert schemapi.DEBUG_MODE
    inside, leave = [threading.Event(), threading.Event()], [threading.Event(), threading.Event()]

    def build(turn: int) -> None:
        with building():
            inside[turn].set()
            leave[turn].wait()

    threads = [threading.Thread(target=build, args=(turn,)) for turn in range(2)]
    threads[0].start()
    inside[0].wait()
    threads[1].start()
    assert not inside[1].wait(0.2)
    leave[0].set()
    threads[0].join()
    inside[1].wait()
    assert not schemapi.DEBUG_MODE
    leave[1].set()
    threads[1].join()
    assert schemapi.DEBUG_MODE
