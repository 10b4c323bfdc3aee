"""Every benchmark that the command line knows can be loaded: nothing else would notice until somebody measures."""

from __future__ import annotations

import importlib
import sys

import pytest

from bcecore.cli import _BENCHES


@pytest.mark.skipif(sys.platform != "linux", reason="some need what Linux alone has")
@pytest.mark.parametrize("module", sorted(set(_BENCHES.values())))
def test_it_can_be_run(module: str) -> None:
    assert callable(importlib.import_module(f"tests.benchmarks.{module}").run)
