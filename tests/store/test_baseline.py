from pathlib import Path

import pytest

from bcecore.errors import RunError
from bcecore.store.baseline import load_baseline, save_baseline
from bcecore.store.runs import RunStore
from tests.examples import example_run


def baseline_file(store: RunStore) -> Path:
    return store.root / ".supervisor" / "baseline.json"


def test_one_run_is_pinned_at_a_time(store: RunStore) -> None:
    assert load_baseline(store) is None
    first, second = example_run(store, name="first"), example_run(store, name="second")
    save_baseline(store, first)
    save_baseline(RunStore(store.root), second)
    assert load_baseline(store) == second
    save_baseline(store, None)
    assert load_baseline(store) is None


def test_what_is_not_there_cannot_be_pinned(store: RunStore) -> None:
    with pytest.raises(RunError, match="There is no run"):
        save_baseline(store, "20260102-030405-a-run-0a1b")
    assert load_baseline(store) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"run": 3}', '"x"'])
def test_a_damaged_file_pins_nothing(store: RunStore, content: str) -> None:
    save_baseline(store, example_run(store))
    baseline_file(store).write_text(content)
    assert load_baseline(store) is None
