"""The Settings page: what is typed is kept or explained, runs are put away, and the trash gives back."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from bcecore.jobs import control
from bcecore.store.preferences import load_preferences, save_preferences
from bcecore.store.runs import RUNS_DIR_VARIABLE, RunStore
from bcecore.store.trash import trash
from bcecore.ui import machine_form
from tests.examples import example_run

APP = Path(__file__).parent.parent.parent / "app.py"


@pytest.fixture
def settings(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    monkeypatch.setenv(RUNS_DIR_VARIABLE, str(store.root))
    app = AppTest.from_file(str(APP), default_timeout=30).run()
    app.switch_page("pages/Settings.py").run()
    assert not app.exception
    return app


def type_(app: AppTest, name: str, text: str) -> None:
    app.text_input(key=f"machine:{name}").set_value(text).run()


def click(app: AppTest, key: str) -> None:
    app.button(key=key).click().run()
    assert not app.exception


def words(app: AppTest) -> str:
    found = [*app.markdown, *app.caption, *app.error, *app.warning, *app.success, *app.info]
    return "\n".join(element.value for element in found).replace("\\", "")


def said(app: AppTest) -> list[str]:
    return [toast.value.replace("\\", "") for toast in app.toast]


def test_what_is_typed_is_kept(settings: AppTest, store: RunStore) -> None:
    for name, text in (
        ("slots.cpu", "2"),
        ("keep_free_gb", "2.5"),
        ("warn_runs_gb", "7"),
        ("notify_command", "true"),
        ("notify_webhook", "https://example.org/hook"),
    ):
        type_(settings, name, text)
    settings.toggle(key="machine:keep_warm").set_value(False).run()
    click(settings, "machine-save")
    assert said(settings) == ["Saved."]
    preferences = load_preferences(store)
    assert (preferences.slots_for("cpu"), preferences.keep_free_gb, preferences.warn_runs_gb) == (2, 2.5, 7)
    assert (preferences.notify_command, preferences.notify_webhook) == ("true", "https://example.org/hook")
    assert preferences.notifies and not preferences.keep_warm


@pytest.mark.parametrize(
    ("name", "typed", "expected"),
    [
        ("slots.cpu", "17", "A whole number from 1 to 16 is needed here."),
        ("slots.cpu", "two", "A whole number from 1 to 16 is needed here."),
        ("keep_free_gb", "-1", "A number from 0 to 10,000 is needed here."),
        ("keep_free_gb", "nan", "A number from 0 to 10,000 is needed here."),
        ("warn_runs_gb", "", "A number from 0 to 1,000,000 is needed here."),
        ("notify_webhook", "example.org", "A web address begins with http:// or https://."),
    ],
)
def test_a_bad_value_is_explained_and_the_others_are_kept(
    settings: AppTest, store: RunStore, name: str, typed: str, expected: str
) -> None:
    type_(settings, "notify_command", "true")
    type_(settings, name, typed)
    click(settings, "machine-save")
    assert [error.value.replace("\\", "") for error in settings.error] == [expected]
    assert said(settings) == ["Saved, but for what is marked."]
    assert settings.text_input(key=f"machine:{name}").value == typed
    assert load_preferences(store).notify_command == "true"
    type_(settings, name, "3" if "notify" not in name else "")
    click(settings, "machine-save")
    assert not settings.error


def test_telling_is_tried_with_what_is_typed(
    settings: AppTest, store: RunStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    click(settings, "machine-try")
    assert "Nobody is told" in words(settings)
    heard = tmp_path / "heard"
    type_(settings, "notify_command", f'printf "%s %s" "$BCE_RUN_NAME" "$BCE_RUN_STATUS" > {heard}')
    click(settings, "machine-try")
    assert heard.read_text() == "An example finished"
    assert "The command ended well." in words(settings)
    assert load_preferences(store).notify_command == ""
    type_(settings, "notify_command", "exit 3")
    click(settings, "machine-try")
    assert "ended with status 3" in words(settings)
    monkeypatch.setattr(machine_form, "notify", lambda *_: pytest.fail("a bad address is not tried"))
    type_(settings, "notify_webhook", "nonsense")
    click(settings, "machine-try")
    assert "begins with http:// or https://" in words(settings)


def test_the_command_of_another_machine_is_not_taken_for_this_ones(store: RunStore, settings: AppTest) -> None:
    save_preferences(store, notify_command="true")
    path = store.root / ".supervisor" / "settings.json"
    path.write_text(path.read_text().replace(load_preferences(store).machine, "elsewhere"))
    settings.run()
    assert "set on another machine" in words(settings)


def test_disk_use_is_measured_on_request_largest_first(settings: AppTest, store: RunStore) -> None:
    small = example_run(store, name="small")
    large = example_run(store, name="large")
    (store.directory(large) / "model.bin").write_bytes(b"0" * 2_000_000)
    settings.run()
    assert "large" not in words(settings)
    click(settings, "disk-measure")
    assert words(settings).index("large") < words(settings).index("small")
    assert "2.1 MB" in words(settings) or "2.0 MB" in words(settings)
    click(settings, f"disk-archive-{small}")
    assert store.record(small).archived
    save_preferences(store, warn_runs_gb=0.001)
    settings.run()
    assert "The runs take more than 0.001 GB." in words(settings)
    click(settings, f"disk-delete-{large}")
    click(settings, "dialog-delete")
    assert trash(store).ids() == [large]
    assert settings.title[0].value == "Settings"
    assert "Restore" in [button.label for button in settings.button]


def test_the_trash_gives_back_and_is_emptied(settings: AppTest, store: RunStore) -> None:
    first, second = example_run(store, name="first"), example_run(store, name="second")
    for run_id in (first, second):
        control.delete(store, run_id)
    settings.run()
    click(settings, f"restore-{first}")
    assert store.ids() == [first]
    assert "first is back." in said(settings)
    click(settings, "trash-empty")
    assert "1 run" in words(settings) and "gone for good" in words(settings)
    click(settings, "dialog-leave")
    assert trash(store).ids() == [second]
    click(settings, "trash-empty")
    click(settings, "dialog-empty")
    assert trash(store).ids() == []
    assert said(settings) == ["1 run deleted for good."]
    assert "It is empty." in words(settings)


def test_the_machine_is_described(settings: AppTest) -> None:
    versions = settings.table[-1].value
    assert {"Python", "torch", "streamlit"} <= set(versions.index)
    assert "No supervisor is at work yet." in words(settings)
