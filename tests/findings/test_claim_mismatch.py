"""What is said of the wrong figures of a report."""

from __future__ import annotations

from bcecore.findings.claim_mismatch import claim_mismatch
from bcecore.findings.written.check import check_report
from bcecore.findings.written.evidence import Evidence, RunLog
from bcecore.store.columns import Columns, block_of

COLUMNS = Columns()
COLUMNS.add(block_of([(step, {"loss": 10.0 / step, "grad_norm": float(step % 7)}) for step in range(1, 21)]))
EVIDENCE = Evidence(RunLog("log.json", COLUMNS))
HEAD = "## Course\n\n| Stage | Step | Loss | Grad norm |\n| --- | --- | --- | --- |\n"


def row(step: int, loss: float, grad_norm: float) -> str:
    return f"| s{step} | {step} | {loss:.4f} | {grad_norm:.2f} |\n"


RIGHT = "".join(row(step, 10 / step, step % 7) for step in (1, 5, 10, 20))


def test_a_right_report_is_silent_and_a_wrong_row_is_one_finding() -> None:
    assert claim_mismatch("run", "r.md", check_report(HEAD + RIGHT, EVIDENCE)) == []
    wrong = HEAD + RIGHT + row(15, 0.7667, 1.5)
    (finding,) = claim_mismatch("run", "r.md", check_report(wrong, EVIDENCE))
    assert (finding.id, finding.severity, finding.subject, finding.steps) == ("claim-mismatch", "W", "run", (15,))
    assert finding.sentence == (
        "r.md, line 9: the row for step 15 does not match the log’s record of that step: Loss is given as 0.7667 (it "
        "was 0.6667) and Grad norm is given as 1.50 (it was 1.00)."
    )
    assert finding.numbers["wrong"][0] == {
        "line": 9, "section": "Course", "row": "s15", "column": "Loss", "claimed": "0.7667", "true": "0.6667",
        "source": "log.json, step 15",
    }  # fmt: skip
    assert (finding.numbers["checked"], finding.numbers["figures"]) == (15, 15)


def test_the_report_of_another_run_is_one_finding() -> None:
    wrong = HEAD + "".join(row(step, 3 + 10 / step, step % 7 + 0.5) for step in range(1, 21))
    (finding,) = claim_mismatch("run", "r.md", check_report(wrong, EVIDENCE))
    assert "40 of the 60 figures that could be checked are wrong" in finding.sentence
    assert "the report of another run" in finding.sentence
