"""One small trained run that the tests of scoring share; they only read it and add evaluations to it."""

from __future__ import annotations

import pytest

from bcecore.store.runs import RunStore
from tests.evaluation.scored import trained_run


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunStore, str]:
    """A store, and in it a finished run with the active profile and checkpoints at steps 10 and 20."""
    store = RunStore(tmp_path_factory.mktemp("scored") / "runs")
    return store, trained_run(store)
