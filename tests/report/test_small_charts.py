import pytest

from bcecore.report.palette import BCE_ON
from bcecore.report.render import as_svg
from bcecore.report.small_charts import schedule_chart, sparkline


@pytest.mark.parametrize("values", [(), (3.0,), (3.0, 2.0, 1.5)])
def test_a_sparkline_always_has_a_line(values: tuple[float, ...]) -> None:
    assert len(sparkline(values, BCE_ON)["datasets"]["lines"]) >= 2


def test_a_schedule_with_its_marks() -> None:
    spec = schedule_chart([1, 2, 3, 4], [0.0, 0.1, 0.2, 0.3], "BCE weight", "weight", {"warm-up ends": 2})
    tables = {name: table.to_dict("records") for name, table in spec["datasets"].items()}
    assert tables["marks"] == [{"step": 2, "name": "warm-up ends"}]
    assert tables["lines"] == [{"step": s, "value": v} for s, v in [(1, 0.0), (2, 0.1), (3, 0.2), (4, 0.3)]]
    drawn = as_svg(spec)
    assert "warm-up ends" in drawn and ">BCE weight<" in drawn


def test_a_schedule_of_nothing_has_its_title() -> None:
    assert schedule_chart([], [], "BCE weight", "weight")["title"] == "BCE weight"
