"""The hash of a folder's weights: of the numbers alone, whatever the files around them look like."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from bcecore.errors import RunError
from bcecore.store.weights import weights_hash

TENSORS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.array([1, 2], dtype=np.int64)}


def saved(directory: Path, *files: dict[str, np.ndarray], metadata: dict[str, str] | None = None) -> str:
    directory.mkdir()
    for number, tensors in enumerate(files):
        save_file(tensors, directory / f"model-{number}.safetensors", metadata=metadata)
    return weights_hash(directory)


def test_files_and_metadata_make_no_difference_but_every_number_does(tmp_path: Path) -> None:
    plain = saved(tmp_path / "plain", TENSORS)
    assert saved(tmp_path / "metadata", TENSORS, metadata={"format": "pt", "made": "today"}) == plain
    assert saved(tmp_path / "sharded", {"a": TENSORS["a"]}, {"b": TENSORS["b"]}) == plain
    nearly = TENSORS["b"].copy()
    nearly[1, 2] = np.nextafter(nearly[1, 2], np.float32(9))
    others = [
        saved(tmp_path / "bit", TENSORS | {"b": nearly}),
        saved(tmp_path / "shape", TENSORS | {"b": TENSORS["b"].reshape(3, 2)}),
        saved(tmp_path / "format", TENSORS | {"b": TENSORS["b"].view(np.int32)}),
        saved(tmp_path / "name", {"a": TENSORS["a"], "c": TENSORS["b"]}),
        saved(tmp_path / "less", {"b": TENSORS["b"]}),
    ]
    assert len({plain, *others}) == 6


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no weights"):
        weights_hash(tmp_path)
    saved(tmp_path / "whole", TENSORS)
    path = tmp_path / "whole" / "model-0.safetensors"
    content = path.read_bytes()
    for damaged in (b"", content[:5], content[:20], content[:-1], b"\xff" * 40):
        path.write_bytes(damaged)
        with pytest.raises(RunError, match="damaged"):
            weights_hash(path.parent)
