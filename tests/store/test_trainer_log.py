"""Reading the logs of any Trainer: whole, cut off, odd; and putting several of one run together."""

from __future__ import annotations

import json
import math
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bcecore.store.columns import Columns
from bcecore.store.trainer_log import (
    LogError,
    TrainerLog,
    adds_nothing_to,
    merged,
    numbers,
    parse_trainer_log,
    placed,
    read_trainer_log,
)

RECORDS: list[dict[str, Any]] = [
    {"epoch": 0.5, "loss": 2.5, "learning_rate": 5e-5, "step": 1},
    {"epoch": 1.0, "eval_loss": 2.25, "step": 1},
    {"epoch": 1.0, "loss": 1.5, "öğrenme": 3.0, "step": 2},
]


def state(records: list[dict[str, Any]], **others: Any) -> str:
    content = {"best_metric": None, "global_step": 2, "log_history": records, "max_steps": 2, **others}
    return json.dumps(content, ensure_ascii=False, indent=2)


def parse(text: str | bytes) -> TrainerLog:
    return parse_trainer_log(text.encode() if isinstance(text, str) else text, "log.json")


def table(*logs: TrainerLog) -> dict[int, dict[str, float]]:
    """The merged values, by step."""
    columns = Columns()
    columns.add(merged(logs))
    return {
        int(step): {key: float(columns.column(key)[row]) for key in columns.keys if columns.present(key)[row]}
        for row, step in enumerate(columns.steps)
    }


def only(*records: dict[str, Any]) -> dict[int, dict[str, float]]:
    return table(TrainerLog(list(records), {}))


# -- what is read


@pytest.mark.parametrize(
    "text",
    [
        state(RECORDS),
        json.dumps({"log_history": RECORDS}),
        json.dumps(RECORDS),
        "".join(json.dumps(record) + "\n" for record in RECORDS),
        "\n\n".join(json.dumps(record, ensure_ascii=False) + "\r" for record in RECORDS),
    ],
    ids=["state", "history", "list", "lines", "other lines"],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_shape_and_encoding(text: str, encoding: str) -> None:
    log = parse(text.encode(encoding))
    assert log.records == RECORDS
    assert log.notes == ()


def test_the_state_is_what_is_not_the_log() -> None:
    log = parse(state(RECORDS, train_batch_size=4))
    assert log.state == {"best_metric": None, "global_step": 2, "max_steps": 2, "train_batch_size": 4}
    assert log.last_step == 2
    assert TrainerLog(RECORDS, {}).last_step == 2


def test_a_file_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "trainer_state.json").write_text(state(RECORDS))
    assert read_trainer_log(tmp_path / "trainer_state.json").records == RECORDS


def test_what_is_not_finite_stands_bare_in_the_file() -> None:
    log = parse('{"log_history": [{"loss": NaN, "grad_norm": Infinity, "x": -Infinity, "step": 1}]}')
    (record,) = placed(log)
    assert math.isnan(record.values["loss"])
    assert (record.values["grad_norm"], record.values["x"]) == (math.inf, -math.inf)


def test_numbers_as_text_count_and_words_do_not() -> None:
    record = {"step": "3", "loss": "2.5", "grad_norm": "nan", "elapsed": "0:00:05", "ok": True, "none": None, "n": 7}
    values = only(record)[3]
    assert math.isnan(values.pop("grad_norm"))
    assert values == {"loss": 2.5, "n": 7.0}


def test_nested_values_and_lists_get_names_of_their_own() -> None:
    record = {"step": 1, "rewards": {"mean": 0.5, "parts": {"a": 1}}, "f1": [0.25, "0.5", None], "long": [0.0] * 40}
    assert {key: value for key, value in only(record)[1].items() if not key.startswith("long")} == {
        "rewards/mean": 0.5,
        "rewards/parts/a": 1.0,
        "f1/0": 0.25,
        "f1/1": 0.5,
    }
    # The end of a very long list is in no table, and yet nothing is lost.
    assert len(only(record)[1]) == 4 + 32
    assert sum(number.key.startswith("long/") for number in numbers(record)) == 40


def test_a_key_that_cannot_be_stored_is_mended() -> None:
    log = parse(r'[{"step": 1, "bad \ud83d key": 2.0}]')
    assert table(log) == {1: {"bad ? key": 2.0}}


@pytest.mark.parametrize("step", [-1, 1.5, 1e300, "one", None, True, math.nan, [3]])
def test_what_is_no_step_is_none(step: Any) -> None:
    assert only({"step": 4, "loss": 1.0}, {"step": step, "eval_loss": 2.0}) == {4: {"loss": 1.0, "eval_loss": 2.0}}


def test_a_number_too_large_for_any_table_is_infinite() -> None:
    assert only({"step": 1, "loss": 10**400})[1]["loss"] == math.inf


def test_the_log_of_another_tool_calls_its_step_otherwise() -> None:
    assert only({"current_steps": 5, "total_steps": 117, "loss": 0.9, "lr": 3e-5}) == {
        5: {"total_steps": 117.0, "loss": 0.9, "learning_rate": 3e-5}
    }


def test_our_live_log_is_a_log_too() -> None:
    lines = [
        {"step": 1, "loss": 3.0},
        {"step": 2, "loss": None, "grad_norm": 1.0, "nonfinite": ["loss"]},
        {"step": 3, "loss": 5.0},
        {"event": "resume", "from": 2},
        {"step": 3, "ce": 4.0},
    ]
    log = parse("".join(json.dumps(line) + "\n" for line in lines))
    values = table(log)
    assert math.isnan(values[2].pop("loss"))
    assert values == {1: {"loss": 3.0}, 2: {"grad_norm": 1.0}, 3: {"ce": 4.0}}


# -- where each value belongs


def test_a_record_without_a_step_joins_the_one_before() -> None:
    records = [{"step": 5, "loss": 1.0}, {"epoch": 1.0, "predict_loss": 2.0}, {"step": 6, "loss": 3.0}]
    assert only(*records) == {5: {"loss": 1.0, "epoch": 1.0, "predict_loss": 2.0}, 6: {"loss": 3.0}}


def test_without_any_step_the_epoch_tells_it() -> None:
    records = [{"epoch": 0.5, "loss": 1.0}, {"epoch": 1.0, "loss": 2.0}]
    assert set(table(TrainerLog(records, {"max_steps": 40, "num_train_epochs": 2}))) == {10, 20}
    assert set(table(TrainerLog(records, {}))) == {1, 2}


def test_several_groups_of_checks_share_their_step() -> None:
    groups = [{"step": 8, "epoch": 1.0, f"eval_g{n}_loss": float(n)} for n in range(3)]
    assert only(*groups) == {8: {"epoch": 1.0, "eval_g0_loss": 0.0, "eval_g1_loss": 1.0, "eval_g2_loss": 2.0}}


def test_two_cadences_leave_gaps() -> None:
    assert only({"step": 1, "loss": 1.0, "reward": 2.0}, {"step": 2, "loss": 3.0}) == {
        1: {"loss": 1.0, "reward": 2.0},
        2: {"loss": 3.0},
    }


def test_a_repeated_step_is_as_it_was_logged_last() -> None:
    assert only({"step": 1, "loss": 1.0, "grad_norm": 9.0}, {"step": 1, "loss": 2.0}) == {
        1: {"loss": 2.0, "grad_norm": 9.0}
    }


BCE_FIRST = [
    {"step": 0, "epoch": 0, "bce_loss": -0.46, "bce_eff_w": 0.1},
    {"step": 1, "epoch": 0.5, "loss": 3.0},
    {"step": 1, "epoch": 0.5, "bce_loss": -0.45, "bce_eff_w": 0.2},
    {"step": 2, "epoch": 1.0, "loss": 2.0},
]


def test_the_report_s_bce_records_belong_one_step_later() -> None:
    assert only(*BCE_FIRST) == {
        1: {"epoch": 0.5, "loss": 3.0, "bce_loss": -0.46, "bce_weight": 0.1},
        2: {"epoch": 1.0, "loss": 2.0, "bce_loss": -0.45, "bce_weight": 0.2},
    }


@pytest.mark.parametrize(
    "records",
    [
        [{"step": 1, "bce_loss": -0.5}, {"step": 1, "loss": 3.0}],
        [{"step": 0, "loss": 3.0}, {"step": 0, "bce_loss": -0.5}],
    ],
    ids=["they begin at 1", "they follow the loss"],
)
def test_other_bce_records_stay_where_they_are(records: list[dict[str, Any]]) -> None:
    assert len(only(*records)) == 1


def test_the_report_s_real_log(shared_data: Path) -> None:
    log = read_trainer_log(shared_data / "report" / "trainer_state.json")
    values = table(log)
    assert list(values) == list(range(1, 2001))
    assert (values[1]["bce_weight"], values[2000]["bce_weight"]) == (0.0005, 0.44)
    assert [values[step]["loss"] for step in (400, 1000, 1500, 2000)] == [2.8085, 2.2964, 0.9295, 0.4224]
    assert values[2000]["epoch"] == 10.0
    assert all(set(row) >= {"loss", "bce_loss", "bce_weight", "grad_norm", "learning_rate"} for row in values.values())


# -- cut off anywhere


def ends_of_records(text: str, begin: int) -> list[int]:
    """Where each record of the list that begins at `begin` ends in the text."""
    decoder, ends, position = json.JSONDecoder(), [], begin
    while True:
        while text[position] in " \r\n,":
            position += 1
        if text[position] == "]":
            return ends
        _, position = decoder.raw_decode(text, position)
        ends.append(position)


def check_cut(data: bytes, cut: int, ends: list[int], records: list[Any]) -> None:
    whole = sum(end <= cut for end in ends)
    try:
        log = parse(data[:cut])
    except LogError as error:
        assert whole == 0, error
        assert "log.json" in str(error)
        assert "trainer_state.json" in str(error)
    else:
        assert log.records == records[:whole]
        assert log.notes or cut >= len(data.rstrip())


@given(st.data())
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("indent", [None, 2])
def test_cut_off_at_any_byte_the_records_before_are_there(
    encoding: str, indent: int | None, data: st.DataObject
) -> None:
    text = json.dumps({"a": [1], "global_step": 2, "log_history": RECORDS, "z": {}}, ensure_ascii=False, indent=indent)
    raw = text.encode(encoding)
    ends = [len(text[:end].encode(encoding)) for end in ends_of_records(text, text.index("[", text.index("log_h")) + 1)]
    check_cut(raw, data.draw(st.integers(1, len(raw))), ends, RECORDS)


def test_a_real_log_cut_off_anywhere(shared_data: Path) -> None:
    raw = (shared_data / "trainer_states" / "cpt-generation.json").read_bytes()
    text = raw.decode()
    ends = ends_of_records(text, text.index("[", text.index('"log_history"')) + 1)
    records = json.loads(text)["log_history"]
    for cut in range(1, len(raw), 7):
        check_cut(raw, cut, ends, records)


def test_lines_cut_off_anywhere() -> None:
    text = "".join(json.dumps(record) + "\n" for record in RECORDS)
    first = text.index("\n")
    for cut in range(first, len(text)):
        log = parse(text[:cut])
        assert log.records == RECORDS[: text[:cut].count("\n") or 1] or text[cut] == "\n"
    assert "not whole" in parse(text[:-4]).notes[0]


def test_damage_behind_the_records_is_told() -> None:
    log = parse('{"global_step": 2, "log_history": [{"step": 1, "loss": 1.0}], "max_st')
    assert (log.state, len(log.records)) == ({"global_step": 2}, 1)
    assert log.notes == ("The file is damaged behind its 1 records, which are whole.",)


def test_entries_that_are_no_records_are_passed_over() -> None:
    log = parse('[{"step": 1, "loss": 1.0}, 7, null]')
    assert log.notes == ("2 entries of the log are no records and were passed over.",)


def test_characters_that_cannot_be_read_are_replaced() -> None:
    log = parse(b'[{"step": 1, "loss": 1.0, "k\xff": 2.0}]')
    assert table(log) == {1: {"loss": 1.0, "k�": 2.0}}
    assert log.notes == ("Some characters of the file could not be read.",)


# -- what is no log


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (b"PK\x03\x04 rest", "an archive"),
        (b"\x80\x02}q\x00.", "a Python pickle, which is never opened"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00" + b'{"weight":{}}   ', "weights of a model"),
        (b"\x00\x01\x02\xff\xfe\x00", "no text"),
        (b'{"model_type": "bert", "vocab_size": 3}', "the settings of a model"),
        (b'{"train_loss": 1.0, "train_runtime": 3.0}', "final figures of a run"),
        (b'{"eval_loss": 1.0, "eval_runtime": 3.0}', "figures of a check"),
        (b'{"a": 1, "b": 2}', "it has no list “log_history”, but a, b"),
        (b"{}", "there is nothing in it"),
        (b"42", "it holds “42”"),
        (b"[]", "its log is empty"),
        (b'{"log_history": []}', "its log is empty"),
        (b'[{"step": 1, "note": "words"}]', "its log is empty"),
        (b"loss,step\n1,2\n", "it holds “loss,step 1,2”"),
        (b'{"best_metric": null, "global_step": 3, "log_hist', "ends before its first record"),
        (b'{"best_metric": null, "log_history": ', "ends before its first record"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_file_that_is_no_log_is_told_what_it_is(content: bytes, words: str) -> None:
    with pytest.raises(LogError) as caught:
        parse(content)
    assert words in str(caught.value)
    assert str(caught.value).startswith("log.json ")
    assert str(caught.value).endswith(
        "Choose the file named trainer_state.json in the run's folder or in one of its checkpoints."
    )


def test_a_record_nested_deeply_spoils_nothing() -> None:
    deep: Any = 1.0
    for _ in range(300):
        deep = {"a": deep}
    assert only({"step": 1, "loss": 2.0, "deep": deep}) == {1: {"loss": 2.0}}


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_anything_at_all_is_a_log_or_an_error_in_words(content: bytes) -> None:
    try:
        log = parse(content)
    except LogError:
        return
    assert table(log)


# -- several logs

values = st.floats(allow_nan=False, width=32)
records = st.lists(
    st.fixed_dictionaries(
        {"step": st.integers(0, 5)}, optional=dict.fromkeys(("loss", "bce_loss", "eval_loss", "epoch"), values)
    ),
    max_size=6,
)
logs = st.builds(
    TrainerLog, records, st.fixed_dictionaries({}, optional={"global_step": st.integers(0, 5)}), st.just(())
)


@given(st.lists(logs, max_size=3))
def test_merging_does_not_depend_on_the_order_and_can_be_repeated(given_logs: list[TrainerLog]) -> None:
    expected = table(*given_logs)
    for order in permutations(given_logs):
        assert table(*order) == expected
    assert table(*given_logs, *given_logs) == expected


def test_the_log_of_the_later_step_counts() -> None:
    early = TrainerLog([{"step": 1, "loss": 1.0}, {"step": 2, "loss": 2.0}], {"global_step": 2})
    late = TrainerLog(
        [{"step": 1, "loss": 1.0}, {"step": 3, "loss": 3.0}, {"step": 2, "loss": 2.5}], {"global_step": 3}
    )
    assert table(late, early) == {1: {"loss": 1.0}, 2: {"loss": 2.5}, 3: {"loss": 3.0}}


def test_rounded_values_of_tensorboard_count_least() -> None:
    events = TrainerLog([{"event": "tensorboard"}, {"step": 9, "loss": 1.0000001, "time": 5.0}], {})
    exact = TrainerLog([{"step": 9, "loss": 1.0}], {"global_step": 9})
    assert table(exact, events) == {9: {"loss": 1.0, "time": 5.0}}


def test_an_earlier_checkpoint_s_log_adds_nothing() -> None:
    whole = TrainerLog(RECORDS, {"global_step": 2})
    assert adds_nothing_to(TrainerLog(RECORDS[:2], {"global_step": 1}), whole)
    assert not adds_nothing_to(TrainerLog(RECORDS[1:], {}), whole)
    assert not adds_nothing_to(whole, TrainerLog(RECORDS[:2], {}))
