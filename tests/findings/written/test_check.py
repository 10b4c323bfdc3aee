"""Reports held against what they speak of: the product's own, with and without a changed figure, and small ones."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bcecore.findings.collect_files import collect_files, run_log
from bcecore.findings.of_study import Member
from bcecore.findings.written.check import check_report
from bcecore.findings.written.document import parse
from bcecore.findings.written.evidence import Evidence, Measured, RunLog
from bcecore.findings.written.figures import figures_in
from bcecore.findings.written.ledger import Check
from bcecore.report.gathering import material_of
from bcecore.report.markdown import as_markdown
from bcecore.report.run_report import run_report
from bcecore.store.columns import Columns, block_of
from bcecore.store.history import History
from bcecore.store.imports import find_logs, import_run
from bcecore.store.runs import RunStore


def own_report(store: RunStore, run_id: str) -> str:
    """The report that the product writes of a run, without pictures."""
    history = History(store.directory(run_id))
    history.refresh()
    return as_markdown(run_report(material_of(store, store.record(run_id), history)))


def spots(markdown: str) -> dict[tuple[int, str], tuple[int, int]]:
    """Where each figure of a report's tables stands: by line and text, where it begins and ends in its line."""
    lines = markdown.split("\n")
    return {
        (row.line, figure.text): (found.start(), found.end())
        for table in parse(markdown).tables
        for row in table.rows
        for cell in row.cells[1:]
        for figure in figures_in(cell)
        for found in [re.search(rf"(?<![\w.,]){re.escape(figure.text)}(?![\w.])", lines[row.line - 1])]
        if found
    }


def changed(figure: str) -> str:
    """Another number of the same form: its first digit that is not 0 is raised by half, or lowered."""
    place = re.search(r"[1-9]", figure)
    if place is None:
        return figure.replace("0", "7", 1)
    other = {"9": "4", "8": "3", "7": "2", "6": "1"}.get(place[0], str(int(place[0]) + 4))
    return figure[: place.start()] + other + figure[place.end() :]


def told(check: Check) -> set[int]:
    return {one.place.line for one in check.mismatches}


@pytest.fixture(scope="module")
def reports(trained: tuple[Path, tuple[Member, ...]]) -> list[tuple[str, Evidence]]:
    """The product's own report of every trained run, and what there is to hold it against."""
    store, members = RunStore(trained[0]), trained[1]
    return [
        (own_report(store, member.run), Evidence(run_log(store, member.run))) for member in members if member.seed == 1
    ]


def test_the_products_own_reports_are_right(reports: list[tuple[str, Evidence]]) -> None:
    for markdown, evidence in reports:
        check = check_report(markdown, evidence)
        assert check.mismatches == ()
        assert check.checked > 80 and check.checked > check.figures / 2


def one_figure_changed(markdown: str, evidence: Evidence, every: int) -> None:
    """A figure of the tables that is checked is found out if it is another, and nothing else is: every so many."""
    right = check_report(markdown, evidence)
    unchecked = {(one.place.line, one.figure) for one in right.unchecked}
    lines = markdown.split("\n")
    # What stands twice in a line, as a step that is the last and the best, could not be told from its twin.
    figures = [
        (line, text, *ends)
        for (line, text), ends in spots(markdown).items()
        # A value may be that of another step as well: those in brackets behind it are left as they are.
        if (line, text) not in unchecked and lines[line - 1].count(text) == 1 and lines[line - 1][ends[0] - 1] != "("
    ]
    assert len(figures) > 40
    for line, text, start, end in figures[::every]:
        wrong = [*lines]
        wrong[line - 1] = lines[line - 1][:start] + changed(text) + lines[line - 1][end:]
        check = check_report("\n".join(wrong), evidence)
        assert told(check) == {line}, (lines[line - 1], changed(text), check.mismatches)
        assert len(check.groups) == 1


def test_a_changed_figure_of_a_report_is_found_and_nothing_else(reports: list[tuple[str, Evidence]]) -> None:
    one_figure_changed(*reports[-1], every=3)


def test_the_same_of_the_report_of_a_log_from_elsewhere(store: RunStore, shared_data: Path) -> None:
    found = find_logs([shared_data / "report" / "trainer_state.json"])
    run_id = import_run(store, found, name="theirs", facts={"wall_clock": 106.96})
    markdown, evidence = own_report(store, run_id), Evidence(run_log(store, run_id))
    check = check_report(markdown, evidence)
    assert check.mismatches == () and check.checked > 100
    one_figure_changed(markdown, evidence, every=3)


# -- small reports

ROWS = [(step, {"loss": 8.0 / step, "learning_rate": 1e-3 * step / 10, "epoch": step / 5}) for step in range(1, 11)]


def log_of(rows: list[tuple[int, dict[str, float]]] = ROWS, **facts: tuple[float, ...]) -> Evidence:
    columns = Columns()
    columns.add(block_of(rows))
    return Evidence(RunLog("log.json", columns, {}, facts))


def wrong(markdown: str, evidence: Evidence) -> list[tuple[int, str, str]]:
    return [(one.place.line, one.claimed, one.true) for one in check_report(markdown, evidence).mismatches]


STEPS = "| Step | Loss | LR |\n| --- | --- | --- |\n"


def test_a_row_is_held_against_the_record_of_its_step() -> None:
    assert wrong(STEPS + "| 2 | 4.00 | 2e-4 |\n| 4 | 2.0 | 0.0004 |", log_of()) == []
    assert wrong(STEPS + "| 2 | 4.1 | 2e-4 |", log_of()) == [(3, "4.1", "4.0")]
    (one,) = check_report(STEPS + "| 2 | 8.000 | 2e-4 |", log_of()).mismatches
    assert one.why == "At step 2 it was 4.000; 8.000 is the value of step 1." and one.source == "log.json, step 2"
    (row,) = check_report(STEPS + "| 3 | 4.0000 | 2.0e-4 |", log_of()).mismatches
    assert (row.kind, row.claimed, row.true) == ("row", "3", "2")
    assert row.why == "The figures of this row are those of step 2, not of step 3."
    (beyond,) = check_report(STEPS + "| 12 | 4.0000 | 2.0e-4 |", log_of()).mismatches
    assert beyond.why == "The log ends at step 10: it has no step 12."


def test_what_cannot_be_known_is_not_called_wrong() -> None:
    two_runs = "| Step | Loss of A | Loss of B |\n| --- | --- | --- |\n| 2 | 9.9 | 4.0 |"
    check = check_report(two_runs, log_of())
    assert (check.mismatches, check.checked, check.figures) == ((), 0, 3)
    every_other = log_of([row for row in ROWS if row[0] % 2 == 0])
    check = check_report(STEPS + "| 3 | 9.9 | 0.1 |", every_other)
    assert check.mismatches == () and [one.figure for one in check.unchecked] == ["3", "9.9", "0.1"]
    assert check.words == "0 of 3 figures checked, 0 of them wrong"
    other = "| Item | Value |\n| --- | --- |\n| Logging steps | 500 |\n| Accuracy | 0.93 |"
    assert check_report(other, log_of(steps=(10.0,))).checked == 0
    assert check_report("Nothing here.", Evidence()).figures == 0
    assert wrong("The loss fell from 9.9 to 7.7 compared with the baseline.", log_of()) == []


def test_facts_and_their_agreement_with_each_other() -> None:
    facts = "| Item | Value |\n| --- | --- |\n| Steps | {} |\n| Wall clock | ~{}s |\n| Throughput | ~{} steps/s |"
    evidence = log_of(steps=(10.0,))
    assert wrong(facts.format("10", "5.00", "2.0"), evidence) == []
    assert wrong(facts.format("12", "6.00", "2.0"), evidence) == [(3, "12", "10")]
    assert wrong(facts.format("10", "5.00", "3.0"), evidence) == [(5, "3.0", "2.0")]
    rising = "| Item | Value |\n| --- | --- |\n| Learning rate | {} (warmup {} steps) |"
    warmed = log_of([(t, {"learning_rate": 5e-5 * min(1, (t - 1) / 4)}) for t in range(1, 11)])
    assert wrong(rising.format("5e-5", "4"), warmed) == []
    assert wrong(rising.format("4e-5", "4"), warmed) == [(3, "4e-5", "5e-05")]
    assert wrong(rising.format("5e-5", "3"), warmed) == [(3, "3", "4")]


def test_perplexity_is_the_exponential_of_the_loss_beside_it() -> None:
    table = "## Evaluation\n\n| Metric | Value |\n| --- | --- |\n| eval_loss | 2.00 |\n| perplexity | {} |"
    assert wrong(table.format("7.4"), Evidence()) == []
    assert wrong(table.format("8.4"), Evidence()) == [(6, "8.4", "7.4")]


MEASURED = (
    Measured("stats.json", "held", "on", {"ce": 2.0, "bce_loss": -0.5, "weight": 0.4, "samples": 30.0}),
    Measured("stats.json", "held", "off", {"ce": 2.0, "bce_loss": -0.5, "weight": 0.0}),
)
ON_OFF = """| Split | Mode | eval_loss | Δ vs on |
| --- | --- | --- | --- |
| held | BCE on | {} | — |
| held | BCE off | 2.000 | {} |"""


def test_a_percentage_is_that_of_the_values_as_they_were_measured() -> None:
    columns = Columns()
    columns.add(block_of([(1, {"bce_weight": 0.05, "bce_loss": -0.5}), (2, {"bce_weight": 0.1, "bce_loss": -0.4})]))
    evidence = Evidence(RunLog("log.json", columns), MEASURED)
    # CE and the term of a fresh trainer: 2 - 0.05 * 0.5 = 1.975; 2 / 1.975 is 1.27 % more.
    assert wrong(ON_OFF.format("1.975", "+1.27%"), evidence) == []
    for change in ("+0.00%", "+1.27%"):  # 2.0 may be either: CE, or 1.975 rounded
        assert wrong(ON_OFF.format("2.0", change), evidence) == []
    (one,) = check_report(ON_OFF.format("1.98", "+1.01%"), evidence).mismatches
    assert (one.claimed, one.true) == ("+1.01%", "+1.27%") and one.why.startswith("+1.01% comes from the rounded")
    (alone,) = check_report(ON_OFF.format("1.98", "+3.5%"), Evidence()).mismatches
    assert alone.true == "+1.0%" and alone.source == "the report itself"
    two_texts = ON_OFF.format("1.98", "+3.5%").replace("held | BCE on", "other | BCE on")
    assert wrong(two_texts, Evidence()) == []


def test_off_is_weight_zero_and_lines_are_counted() -> None:
    evidence = Evidence(None, MEASURED, {"held": 30})
    text = "BCE weight of held: 0.40 when on, {} when off, over {} lines."
    assert wrong(text.format("0.0", "30"), evidence) == []
    assert wrong(text.format("0.1", "30"), evidence) == [(1, "0.1", "0")]
    assert wrong(text.format("0.0", "200"), evidence) == [(1, "200", "30")]


def test_a_model_card_of_a_public_run(shared_data: Path) -> None:
    """As the Trainer writes it: the training loss beside a check is the last one before it, or `No log`."""
    files = collect_files([shared_data / "trainer_states" / "cpt-generation.json"])
    assert files.log is not None
    checks, losses = files.log.series("eval_loss"), files.log.series("loss")
    card = "# My model\n\n### Training results\n\n"
    card += "| Training Loss | Epoch | Step | Validation Loss | Rouge1 |\n|---|---|---|---|---|\n"
    for step, epoch, loss in zip(checks.steps, checks.epochs, checks.values, strict=True):
        before = losses.values[losses.steps <= step]
        shown = f"{before[-1]:.4f}" if len(before) else "No log"
        card += f"| {shown} | {epoch:.2f} | {step} | {loss:.4f} | 1.0 |\n"
    check = check_report(card, files.evidence())
    assert check.mismatches == () and check.checked >= 3 * len(checks)
    first = f"{checks.values[0]:.4f}"
    (one,) = check_report(card.replace(f"| {first} |", "| 9.8765 |", 1), files.evidence()).mismatches
    assert (one.claimed, one.true, one.place.column) == ("9.8765", first, "Validation Loss")


NUMBERS = st.one_of(
    st.integers(-(10**30), 10**30).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["1e300", "-0.0", "+0.47%", "1 m 47 s", "~5", "3 at step 99999999999999999999", "2 (1e30)"]),
)
LABELS = st.sampled_from(
    ["Step", "Loss", "LR", "eval_loss", "perplexity", "Δ vs on", "Epochs", "Steps", "Wall clock", "Throughput", "held",
     "BCE weight", "Learning rate", "BCE on", "BCE off", "Difference", "Last (step)", "Lowest … highest",
     "Step / Epoch", "eval_runtime", "from", "to", "when off", "weight", "lines", "mean", "PPL", "Step 1e3"]
)  # fmt: skip
CELLS = st.lists(st.one_of(NUMBERS, LABELS), min_size=2, max_size=5)
TABLES = st.lists(CELLS, min_size=1, max_size=5).map(
    lambda rows: (
        f"## Evaluation step 5\n\n| {' | '.join(rows[0])} |\n|{'---|' * len(rows[0])}\n"
        + "".join(f"| {' | '.join(row)} |\n" for row in rows[1:])
    )
)


@settings(max_examples=100)
@given(st.lists(st.one_of(TABLES, CELLS.map(" ".join)), max_size=3).map("\n\n".join))
def test_whatever_a_report_says_each_figure_is_right_wrong_or_unchecked(markdown: str) -> None:
    check = check_report(markdown, Evidence(log_of(steps=(10.0,)).log, MEASURED, {"held": 30}))
    assert check.checked + len(check.unchecked) == check.figures
    assert all(one.claimed and one.why for one in check.mismatches)
