"""The Data page: what is in a text, what of it is checked on, clean files, and bad files explained."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.jobs import looking
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from bcecore.text.overlap import find_overlap
from bcecore.text.reading import read_texts
from tests.ui.evaluated import run_with_training

APP = Path(__file__).resolve().parent.parent.parent / "app.py"
LINES = "".join(f"Line {n} of many says that {n} times {n} is {n * n}.\n" for n in range(80))


@pytest.fixture
def data(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> Iterator[AppTest]:
    """The Data page as somebody finds it."""
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    app = AppTest.from_file(APP, default_timeout=60).run()
    app.switch_page("pages/Data.py").run()
    assert not app.exception
    yield app
    assert not app.exception


def _seen(markdown: str) -> str:
    return re.sub(r"\\([^a-zA-Z0-9\s])", r"\1", markdown)


def _said(app: AppTest) -> str:
    parts = [*app.markdown, *app.caption, *app.success, *app.warning, *app.error]
    return "\n".join(_seen(element.value) for element in parts)


def _give(app: AppTest, *files: tuple[str, bytes]) -> None:
    turn = app.session_state["evaluate:data:turn"]
    app.file_uploader(key=f"evaluate:data:uploader-{turn}").set_value([(n, c, "text/plain") for n, c in files]).run()


def _read(app: AppTest, path: Path, place: str = "main") -> None:
    app.selectbox(key=f"data:{place}").set_value("typed").run()
    app.text_input(key=f"data:{place}:path").set_value(str(path)).run()


def _look_at(app: AppTest, part: str) -> None:
    app.button_group(key="data:part").set_value(part).run()


def _figures(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def _table(app: AppTest, place: int = 0) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = app.dataframe[place].value.to_dict("records")
    return rows


def test_an_empty_page_says_what_will_be_here(data: AppTest) -> None:
    assert "Drop a file above, or choose one." in _said(data)
    assert [button.key for button in data.button] == []


def test_the_reports_two_files(data: AppTest, shared_data: Path, store: RunStore) -> None:
    names = ("val_small.txt", "huggingface_turkish_english_sample.txt")
    _give(data, *((name, (shared_data / "report" / name).read_bytes()) for name in names))
    # The larger one is to learn from.
    assert data.header[0].value == r"huggingface\_turkish\_english\_sample\.txt"
    assert "All 29 checking lines are in the text to learn from (29 word for word)." in _said(data).replace("**", "")
    assert (_figures(data)["Lines"], _figures(data)["Cut at 128 tokens"], _figures(data)["Copies"]) == (
        "200",
        "2",
        "0 %",
    )
    rows = _table(data)
    assert len(rows) == 29 and rows[1]["Text to check on"] == "Translate to Turkish: Yes, a war with Germany."
    assert [rows[1][name] for name in ("Checked line", "Learnt line", "The same")] == [2, 2, "word for word"]
    data.button(key="data-make").click().run()
    assert "171 lines to learn from, 29 lines to check on, none of them in both, 29 lines left out." in _said(data)
    (folder,) = [path for path in (store.root / ".uploads").iterdir() if path.is_dir()]
    train, check = (folder / f"huggingface_turkish_english_sample-{side}.txt" for side in ("train", "check"))
    assert find_overlap(read_texts(train), read_texts(check)).pairs == ()
    data.button(key="data-train").click().run()
    assert data.session_state["launch:data.validation"] == "file"
    said = _said(data)
    assert "Using huggingface_turkish_english_sample-train.txt" in said
    assert "171 lines · 171 to learn from, 29 to check" in said
    assert "lines that it learns from" not in said


def test_one_file_is_divided_with_one_click(data: AppTest, tmp_path: Path, store: RunStore) -> None:
    (tmp_path / "mine.txt").write_text(LINES, encoding="utf-8")
    _read(data, tmp_path / "mine.txt")
    data.button_group(key="data:fraction").set_value(0.2).run()
    data.button(key="data-make").click().run()
    assert "64 lines to learn from, 16 lines to check on, none of them in both." in _said(data)
    assert [button.proto.label for button in data.get("download_button")] == [
        "Download the text to learn from",
        "Download the text to check on",
    ]
    # With another text to check on, it is not the answer any more.
    data.selectbox(key="data:check").set_value("sample").run()
    assert data.button(key="data-make").label == "Train on them"
    data.selectbox(key="data:check").set_value(None).run()
    data.button(key="data-undo").click().run()
    assert data.button(key="data-make").label == "Make a clean split"
    assert (tmp_path / "mine.txt").read_text(encoding="utf-8") == LINES


def test_files_that_are_clean_are_said_to_be(data: AppTest) -> None:
    data.selectbox(key="data:main").set_value("sample").run()
    data.selectbox(key="data:check").set_value("sample:check").run()
    assert re.search(r"None of the \d+ checking lines is in the text to learn from", _said(data))
    assert data.button(key="data-make").label == "Train on them"


def test_copies_are_shown_and_can_be_left_out(data: AppTest, tmp_path: Path) -> None:
    (tmp_path / "twice.txt").write_text(f"{LINES}\n{LINES[: len(LINES) // 4].upper()}", encoding="utf-8")
    _read(data, tmp_path / "twice.txt")
    copies = int(_said(data).split(" of the ")[0].rsplit("**")[-1])
    assert copies >= 19
    _look_at(data, "Copies")
    assert _table(data)[0] | {"Text": ""} == {
        "Row": 82,  # an empty one is before it
        "Text": "",
        "Earlier row": 1,
        "Earlier text": "Line 0 of many says that 0 times 0 is 0.",
        "The same": "word for word",
    }
    data.button(key="data-once").click().run()
    assert re.search(rf"8[01] lines to learn from, {copies} lines left out\.", _said(data))


def test_every_part_has_something_to_say(data: AppTest, tmp_path: Path, store: RunStore) -> None:
    run_with_training(store, ["Her yer karanlık."], name="my *own*")
    text = f"{'long ' * 200}\nдом стоит на горе\n!!!! ???? ....\nzzzzzzzzzzzzzzzzzzzzzz\nshort\n{LINES}"
    (tmp_path / "mixed.txt").write_text(text, encoding="utf-8")
    _read(data, tmp_path / "mixed.txt")
    assert _figures(data)["Unknown tokens"] == "0 %"
    assert _table(data)[1] == {"Row": 2, "Text": "дом стоит на горе"}
    _look_at(data, "Lengths")
    assert "1 line would be cut" in _said(data)
    data.number_input(key="data:block-size").set_value(8).run()
    assert "Cut at 8 tokens" in _figures(data) and "lines would be cut" in _said(data)
    _look_at(data, "Copies")
    assert "Every line is there once" in _said(data)
    _look_at(data, "Scripts")
    assert list(data.table[0].value.index) == ["Latin", "Cyrillic"]
    _look_at(data, "Filter")
    said = _said(data)
    assert "It would leave out 3 of 85 lines (3.5 %)." in said.replace("**", "")
    for reason in ("1 line: too short", "1 line: one character over and over", "1 line: mostly symbols"):
        assert reason in said
    data.number_input(key="data:min-characters").set_value(1).run()
    assert "It would leave out 2 of 85 lines" in _said(data)


def test_the_texts_of_a_run_can_be_chosen(data: AppTest, store: RunStore) -> None:
    run_id = run_with_training(store, ["One line of it is here.", "And here is another one."], name="past")
    data.run()
    data.selectbox(key="data:main").set_value(f"run:{run_id}:train").run()
    assert _figures(data)["Lines"] == "2"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.txt", b"", "empty.txt is empty."),
        ("blank.txt", b"\n \n", "blank.txt has no text in it"),
        ("binary.txt", b"\0\1\2", "binary.txt is not a text file"),
        ("latin.txt", "ağaç\n".encode("iso-8859-9"), "latin.txt is not in UTF-8"),
        ("table.csv", b"words,more\na,b\n", "table.csv has no column 'text'"),
        ("alone.txt", b"a single line of text\n", ""),
    ],
)
def test_a_file_that_cannot_be_used(data: AppTest, name: str, content: bytes, words: str) -> None:
    _give(data, (name, content))
    errors = [_seen(error.value) for error in data.error]
    assert (words in errors[0] and len(errors) == 1) if words else errors == []
    assert any(button.label == f"Remove {name}".replace(".", r"\.") for button in data.button), "nothing is lost"
    if not words:
        data.button(key="data-make").click().run()
        assert ["cannot be divided" in error.value for error in data.error] == [True]
    if name == "table.csv":
        data.text_input(key="data:column").set_value("words").run()
        assert _figures(data)["Lines"] == "1"


def test_a_path_that_leads_nowhere(data: AppTest, tmp_path: Path) -> None:
    _read(data, tmp_path / "nowhere.txt")
    assert ["There is no file" in error.value for error in data.error] == [True]
    (tmp_path / "nowhere.txt").write_text(LINES)
    data.button(key="data-ask-file-again").click().run()
    assert _figures(data)["Lines"] == "80"


@pytest.mark.skipif(sys.platform != "linux", reason="waits for a process")
def test_a_large_file_is_looked_at_by_another_process(
    data: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking, "SMALL_BYTES", 100)
    (tmp_path / "large.txt").write_text(LINES)
    _read(data, tmp_path / "large.txt")
    assert "You can leave this page" in _said(data)
    end = time.monotonic() + 60
    while not data.metric and time.monotonic() < end:
        time.sleep(0.3)
        data.run()
    assert _figures(data)["Lines"] == "80"
