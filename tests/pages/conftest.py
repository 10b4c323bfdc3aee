"""What all pages need in tests: nothing is started, and it is known what would have been."""

from __future__ import annotations

import pytest

from bcecore.jobs import control, derive, estimate, evaluations
from bcecore.store.runs import RunStore
from bcecore.ui import page


@pytest.fixture(autouse=True)
def woken(monkeypatch: pytest.MonkeyPatch) -> list[RunStore]:
    """The stores whose supervisor was woken, in place of processes."""
    calls: list[RunStore] = []
    for module in (control, derive, evaluations):
        monkeypatch.setattr(module, "wake", calls.append)
    monkeypatch.setattr(page, "see_to_supervisor", calls.append)
    monkeypatch.setattr(estimate, "start_probe", lambda _store, _checked: None)
    return calls
