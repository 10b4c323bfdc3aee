import pytest

from bcecore.report.about_charts import parts_chart, seed_loss_chart
from bcecore.report.bce_parts import seed_loss
from bcecore.report.render import as_svg


def test_the_bars_add_up_to_r() -> None:
    table = parts_chart(1.5)["datasets"]["parts"]
    assert table["value"].sum() == pytest.approx(seed_loss(1.5))
    moving = table[table["kind"] == "follows the hidden state"].set_index("part")["value"]
    assert moving.drop("strength").abs().max() == pytest.approx(0)
    assert moving["strength"] == pytest.approx(-0.8 / 9 * 0.5 * 0.905148, abs=1e-6)


def test_the_marked_length_is_on_the_curve() -> None:
    here = seed_loss_chart(2.0)["datasets"]["here"]
    assert here["value"].tolist() == pytest.approx([seed_loss(2.0)])


@pytest.mark.parametrize("spec", [parts_chart(1.0), seed_loss_chart(1.0)], ids=["parts", "r"])
def test_they_can_be_drawn(spec: dict[str, object]) -> None:
    assert as_svg(spec).startswith("<svg")
