"""What the tests of studies share."""

from __future__ import annotations

import pytest

from bcecore.store.runs import RunStore
from tests.evaluation.study.studied import put_to_sleep


@pytest.fixture
def asleep(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> RunStore:
    """A store without any supervisor."""
    put_to_sleep(monkeypatch)
    return store
