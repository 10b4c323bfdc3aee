"""The page that explains BCE."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def app(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=30)
    app.run()
    app.switch_page("pages/What_is_BCE.py").run()
    assert not app.exception
    return app


def sentences(app: AppTest) -> str:
    return "\n".join(element.value for element in [*app.markdown, *app.caption, *app.info])


def test_it_says_what_bce_is_and_is_not(app: AppTest) -> None:
    text = sentences(app)
    assert "Behavioral Consciousness Engine" in text
    assert "not binary cross-entropy" in text
    assert "https://github.com/pthinc/sollanaframework" in text
    assert len(app.get("vega_lite_chart")) == 3


def test_the_schedule_follows_the_sliders(app: AppTest) -> None:
    assert "At the last step the weight is 0.44" in sentences(app)
    app.slider(key="highest").set_value(0.0).run()
    assert "At the last step the weight is 0.2:" in sentences(app)
    app.slider(key="cap").set_value(0.1).run()
    assert "At the last step the weight is 0.1:" in sentences(app)
    assert "cannot be started" not in sentences(app)
    app.slider(key="highest").set_value(0.05).run()
    assert "cannot be started" in sentences(app)
    assert not app.exception


def test_the_components_follow_the_length(app: AppTest) -> None:
    table = app.table[0].value
    assert len(table) == 10
    assert table.iloc[-1]["Gives to R"] == r"\-0\.4550"
    app.slider(key="state").set_value(4.0).run()
    assert not app.exception
    assert app.table[0].value.iloc[-1]["Gives to R"] == r"\-0\.4655"


def test_every_page_leads_to_it(app: AppTest) -> None:
    links = [str(each.proto) for each in app.sidebar if each.type == "page_link"]
    assert any("What is BCE?" in link for link in links)
