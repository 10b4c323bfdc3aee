import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from bcecore.report.charts import Figure, Mark, Trace, View, draw
from bcecore.report.render import as_png, as_svg
from bcecore.store.columns import Series

ROOT = Path(__file__).parent.parent.parent


def example(view: View) -> dict[str, object]:
    steps = np.arange(1, 501, dtype=np.int64)
    values = 3 + 5 * np.exp(-steps / 100)
    values[100] = np.nan
    line = Series(steps, values, steps / 10, 1.7e9 + steps)
    traces = (Trace("CE", line, "#1F7FC9"), Trace("held-out CE", line.at(steps % 100 == 0), "#009E73", dots=True))
    marks = (Mark(250, "checkpoint", "Checkpoint"), Mark(400, "finding", "Loss spike"))
    return draw(Figure("loss", "Loss and CE", "nats per token", traces, "alt", "about", marks=marks), view).spec


@pytest.mark.parametrize(
    ("view", "said"),
    [
        (View(), ["Step", "400"]),
        (View(x="epoch", smoothing=0.9), ["Epoch"]),
        (View(x="time"), ["Time since the first step", "2 m", "6 m"]),
        (View(x="time", log_x=True, log_y=True), ["20 s", "5 m", "2 points out of sight"]),
        (View(window=(100, 200), clip=True), ["140"]),
    ],
)
def test_every_view_can_be_drawn(view: View, said: list[str]) -> None:
    svg = as_svg(example(view))
    texts = ["".join(text.itertext()) for text in ElementTree.fromstring(svg).iter("{http://www.w3.org/2000/svg}text")]
    for words in ["Loss and CE", "nats per token", "CE", "held-out CE", *said]:
        assert words in texts, texts


def test_a_picture_is_a_png_of_the_asked_size() -> None:
    small, large = as_png(example(View()), scale=1), as_png(example(View()), scale=2)
    assert small.startswith(b"\x89PNG\r\n")

    def width(png: bytes) -> int:
        return int.from_bytes(png[16:20], "big")

    assert width(large) == pytest.approx(2 * width(small), abs=2)


def test_light_and_dark_differ_in_their_paper() -> None:
    light, dark = as_svg(example(View())), as_svg(example(View()), dark=True)
    assert '#ffffff"' in light and '#12161c"' not in light
    assert '#12161c"' in dark


def test_the_renderer_is_only_loaded_for_a_picture() -> None:
    code = "import sys, bcecore.report.render; sys.exit('vl_convert' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
