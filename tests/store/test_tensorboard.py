"""TensorBoard's event files, as a Trainer writes them and as TensorBoard itself reads them."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bcecore.store.export import export
from bcecore.store.history import History
from bcecore.store.imports import Upload, find_logs, import_run
from bcecore.store.runs import RunStore
from bcecore.store.tensorboard import is_event_file, key_of, read_events, tag_of
from tests.examples import example_run

pytest.importorskip("tensorboard", reason="tensorboard is an optional extra")

ROOT = Path(__file__).parent.parent.parent


def events(folder: Path, *values: tuple[int, float, dict[str, float]]) -> Path:
    """An event file as a Trainer writes it: one event for each `(step, time, {tag: value})` and tag."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    before = set(folder.glob("*"))
    writer = EventFileWriter(str(folder))
    for step, time, tags in values:
        for tag, value in tags.items():
            summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
            writer.add_event(Event(step=step, wall_time=time, summary=summary))
    writer.close()
    (written,) = set(folder.glob("*")) - before
    return written


def history(store: RunStore, run_id: str) -> History:
    history = History(store.directory(run_id))
    history.refresh()
    return history


@pytest.mark.parametrize(
    ("key", "tag"),
    [
        ("loss", "train/loss"),
        ("eval_loss", "eval/loss"),
        ("test_accuracy", "test/accuracy"),
        ("predict_loss", "train/predict_loss"),
        ("rewards/mean", "train/rewards/mean"),
        ("evaluation", "train/evaluation"),
    ],
)
def test_names_go_there_and_back(key: str, tag: str) -> None:
    assert (tag_of(key), key_of(tag)) == (tag, key)


def test_other_tags_are_kept() -> None:
    assert key_of("loss/generator") == "loss/generator"
    assert key_of("train/") == "train/"


def test_what_is_an_event_file() -> None:
    assert is_event_file("events.out.tfevents.1700000000.host.123.0")
    assert not is_event_file("tfevents.json")


def test_events_of_one_step_are_one_record(tmp_path: Path) -> None:
    path = events(
        tmp_path,
        (10, 100.0, {"train/loss": 2.3136, "train/learning_rate": 5e-5, "train/epoch": 0.5}),
        (10, 101.0, {"eval/loss": math.inf, "train/epoch": 0.5}),
        (20, 102.0, {"train/loss": math.nan}),
    )
    first, second, third = read_events(path).records
    assert first == {
        "step": 10,
        "time": 100.0,
        "loss": 2.3136,
        "learning_rate": 5e-5,
        "epoch": 0.5,
        "eval_loss": math.inf,
    }
    assert second == {"step": 10, "time": 101.0, "epoch": 0.5}
    assert math.isnan(third["loss"])


def test_scalars_of_newer_writers_and_nothing_else(tmp_path: Path) -> None:
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
    from tensorboard.summary.writer.event_file_writer import EventFileWriter
    from tensorboard.util.tensor_util import make_tensor_proto

    writer = EventFileWriter(str(tmp_path))
    for step in (1, 2):
        summary = Summary()
        for tag, plugin in (("train/loss", "scalars"), ("train/text", "text")):
            # Only the first value of a tag says to what it belongs.
            data = SummaryMetadata.PluginData(plugin_name=plugin if step == 1 else "")
            value = make_tensor_proto(np.float32(step / 10))
            summary.value.add(tag=tag, tensor=value, metadata=SummaryMetadata(plugin_data=data))
        writer.add_event(Event(step=step, wall_time=5.0, summary=summary))
    writer.close()
    (path,) = tmp_path.iterdir()
    assert read_events(path).records == [{"step": 1, "time": 5.0, "loss": 0.1}, {"step": 2, "time": 5.0, "loss": 0.2}]


def test_a_file_that_is_cut_off_or_none(store: RunStore, tmp_path: Path) -> None:
    path = events(tmp_path, *((step, 1.0 + step, {"train/loss": 1.0}) for step in range(1, 51)))
    content = path.read_bytes()
    for cut in range(0, len(content), 97):
        path.write_bytes(content[:cut])
        steps = [record["step"] for record in read_events(path).records]
        assert steps == list(range(1, len(steps) + 1))
    path.write_bytes(b"something else " * 20)
    with pytest.raises(Exception, match="No logged values were found in"):
        import_run(store, [path])


def test_a_training_that_went_on_and_one_that_began_anew(store: RunStore, tmp_path: Path) -> None:
    folder = tmp_path / "my-run" / "runs"
    for name, begin, steps in (("a", 0, range(1, 9)), ("b", 100, range(6, 8))):
        (folder / name).mkdir(parents=True)
        events(folder / name, *((step, begin + step, {"train/loss": step + begin}) for step in steps))
    run_id = import_run(store, [tmp_path / "my-run"])
    values = history(store, run_id)
    assert values.steps.tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert values.column("loss").tolist() == [1, 2, 3, 4, 5, 106, 107]
    assert values.column("time").tolist() == [1, 2, 3, 4, 5, 106, 107]
    assert store.record(run_id).name == "my-run"
    (kept,) = (store.directory(run_id) / "imported").iterdir()
    assert kept.name == "01-tensorboard.jsonl"
    assert {source.kept_as for source in store.imported(run_id).sources} == {kept.name}


def test_beside_the_trainer_s_own_log_they_add_the_time(store: RunStore, tmp_path: Path) -> None:
    losses = {1: 2.31234567891, 2: 2.0}
    records = [{"step": step, "loss": loss} for step, loss in losses.items()]
    (tmp_path / "trainer_state.json").write_text(json.dumps({"global_step": 2, "log_history": records}))
    (tmp_path / "runs" / "x").mkdir(parents=True)
    events(tmp_path / "runs" / "x", *((step, 50.0 + step, {"train/loss": loss}) for step, loss in losses.items()))
    values = history(store, import_run(store, [tmp_path]))
    assert values.column("loss").tolist() == [2.31234567891, 2.0]
    assert values.column("time").tolist() == [51.0, 52.0]


def test_an_uploaded_event_file(store: RunStore, tmp_path: Path) -> None:
    path = events(tmp_path, (1, 5.0, {"train/loss": 1.5}))
    found = find_logs([Upload(path.name, path.read_bytes())])
    assert found.columns().column("loss").tolist() == [1.5]


def test_several_folders_of_events_are_several_runs(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        events(tmp_path / name, (1, 5.0, {"train/loss": 1.5}))
    with pytest.raises(Exception, match=r"holds the logs of 2 runs: a, b"):
        find_logs([tmp_path])


def test_the_report_s_bce_records_survive_the_way_through_tensorboard(store: RunStore, tmp_path: Path) -> None:
    path = events(
        tmp_path,
        (0, 1.0, {"train/bce_eff_w": 0.1, "train/epoch": 0.0}),
        (1, 2.0, {"train/loss": 3.0, "train/epoch": 0.5}),
        (1, 3.0, {"train/bce_eff_w": 0.2, "train/epoch": 0.5}),
        (2, 4.0, {"train/loss": 2.0, "train/epoch": 1.0}),
    )
    values = history(store, import_run(store, [path]))
    assert values.steps.tolist() == [1, 2]
    assert values.column("bce_weight").tolist() == [0.1, 0.2]
    assert values.column("epoch").tolist() == [0.5, 1.0]


def test_tensorboard_shows_an_exported_run(store: RunStore, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run_id = example_run(store, steps=60)
    path = tmp_path / "events.out.tfevents.0.x"
    export(store, run_id, path, "tensorboard")
    shown = EventAccumulator(str(path), size_guidance={"scalars": 0})
    shown.Reload()
    values = history(store, run_id)
    assert set(shown.Tags()["scalars"]) == {tag_of(key) for key in values.keys if key != "time"}
    for key in ("loss", "eval_loss", "bce_weight"):
        series = values.series(key)
        read = shown.Scalars(tag_of(key))
        assert [event.step for event in read] == series.steps.tolist()
        assert [event.value for event in read] == series.values.astype(np.float32).tolist()
        assert [event.wall_time for event in read] == series.times.tolist()
    back = history(store, import_run(store, [path]))
    for key in values.keys:
        assert back.column(key).astype(np.float32).tolist() == pytest.approx(
            values.column(key).astype(np.float32), nan_ok=True
        )


@pytest.mark.parametrize("call", ["read_events(Path('x'))", "write_events(None, Path('x'), 0)"])
def test_without_it_a_sentence_says_how_to_get_it(call: str) -> None:
    program = (
        "import sys; sys.modules['tensorboard'] = None\n"
        "from pathlib import Path; from bcecore.store.tensorboard import *\n"
        f"try:\n    {call}\nexcept TensorBoardMissingError as error:\n    print(error)"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    requirements = ROOT / "requirements-tensorboard.txt"
    assert requirements.is_file()
    assert f"{sys.executable} -m pip install -r {requirements}" in answer.stdout, answer.stderr
