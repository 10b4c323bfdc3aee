"""Files that are given to the Evaluate page."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
import streamlit as st

from bcecore.store.runs import RunStore
from bcecore.ui import evaluate_uploads


class Given(BytesIO):
    """A file as the uploader hands it over."""

    def __init__(self, name: str, content: bytes) -> None:
        super().__init__(content)
        self.name, self.file_id, self.size = name, f"id of {name}", len(content)


def test_a_file_that_is_handed_over_twice_is_taken_once(store: RunStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the browser does when the drawing that was to tell it that the uploader is empty was cut short."""
    first, second = Given("fables.txt", b"A fox.\n"), Given("sums.txt", b"Two and two.\n")
    state: dict[str, Any] = {"evaluate:files:turn": 0, "uploader": [first]}
    monkeypatch.setattr(st, "session_state", state)
    evaluate_uploads._take(store, "files", "uploader", several=True)
    state["uploader"] = [first, second]
    for _ in range(2):
        evaluate_uploads._take(store, "files", "uploader", several=True)
    kept = evaluate_uploads.uploads("files")
    assert [(upload.name, upload.path.read_bytes()) for upload in kept] == [
        ("fables.txt", b"A fox.\n"),
        ("sums.txt", b"Two and two.\n"),
    ]
