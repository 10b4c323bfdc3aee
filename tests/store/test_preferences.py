"""The settings of one machine."""

from __future__ import annotations

import pytest

from bcecore.errors import ConfigError
from bcecore.store import preferences
from bcecore.store.preferences import Preferences, load_preferences, save_preferences
from bcecore.store.runs import RunStore


def test_defaults_and_back(store: RunStore) -> None:
    assert load_preferences(store) == Preferences()
    assert load_preferences(store).slots_for("cpu") == 1
    saved = save_preferences(store, slots={"cpu": 2}, keep_free_gb=0.5)
    assert load_preferences(store) == saved
    assert (saved.slots_for("cpu"), saved.slots_for("cuda")) == (2, 1)
    assert save_preferences(store, keep_warm=False).slots == {"cpu": 2}  # the others stay


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"slots": {"cpu": 0}}, "slots"),
        ({"slots": {"cpu": 99}}, "slots"),
        ({"keep_free_gb": -1}, "keep_free_gb"),
        ({"keep_free_gb": float("nan")}, "keep_free_gb"),
        ({"notify_webhook": "example.org/hook"}, "a web address begins with http"),
    ],
)
def test_bad_values_are_named_and_change_nothing(store: RunStore, changes: dict[str, object], words: str) -> None:
    before = save_preferences(store, slots={"cpu": 3})
    with pytest.raises(ConfigError, match=words):
        save_preferences(store, **changes)
    assert load_preferences(store) == before


@pytest.mark.parametrize("content", [b"", b"{", b'{"slots": {"cpu": "many"}}'])
def test_a_damaged_file_means_the_defaults(store: RunStore, content: bytes) -> None:
    save_preferences(store, slots={"cpu": 3})
    (store.root / ".supervisor" / "settings.json").write_bytes(content)
    assert load_preferences(store) == Preferences()


def test_a_command_counts_only_where_it_was_set(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not load_preferences(store).notifies
    save_preferences(store, notify_command="true")
    assert load_preferences(store).notifies
    monkeypatch.setattr(preferences, "this_machine", lambda: "another")
    assert not load_preferences(store).notifies
    save_preferences(store, keep_free_gb=2)  # changing something else there does not take the command over
    assert not load_preferences(store).notifies
