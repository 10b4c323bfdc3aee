from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from bcecore.report.document import Items, Paragraph, Picture, Section, Table
from bcecore.report.markdown import as_markdown
from bcecore.report.material import RunFile
from bcecore.report.run_report import run_report
from tests.examples import example_config
from tests.report.logs import RUN_ID, course, imported_material, own_material

# What every report has, as the one that the product starts from.
SECTIONS = [
    "Run facts",
    "Final checkpoint snapshot",
    "Schedule highlights",
    "Observations",
    "Best and last values",
    "Throughput",
    "Next steps",
    "Evaluation",
    "BCE against no BCE",
    "What these figures cannot show",
    "How to repeat it",
]
CHECKED = {
    "loss": [2.0] * 20,
    "ce": [2.1] * 20,
    "bce_weight": [0.2] * 20,
    "bce_loss": [-0.5] * 20,
    "eval_loss": [2.0] * 20,
    "eval_perplexity": [7.389] * 20,
    "eval_objective": [1.9] * 20,
    "eval_samples_per_second": [52.7] * 20,
    "eval_runtime": [0.0379] * 20,
}


def sections(document: object) -> dict[str, Section]:
    return {section.title: section for section in document.sections}  # type: ignore[attr-defined]


def test_the_reports_run_has_every_section_and_its_true_figures(shared_data: Path) -> None:
    material = imported_material(shared_data / "report" / "trainer_state.json", wall_clock=106.96)
    document = run_report(material)
    assert [section.title for section in document.sections] == SECTIONS
    text = as_markdown(document)
    assert "2.3136 (mean of 2,000 logged values)" in text
    assert "| Pace | 18.7 steps/s |" in text
    assert "| First step | 1 | 0.005 | 10.7678 | 10.7680 | 85.84 | 0 | 0.0005 | -0.4642 |" in text
    assert "| End of both warm-ups | 400 | 2.00 | 2.8085 | 2.9015 | 32.66 | 4.9875e-5 | 0.2 | -0.4650 |" in text
    assert "| Half | 1,000 | 5.00 | 2.2964 | 2.4296 | 19.55 | 3.128125e-5 | 0.29 | -0.4594 |" in text
    assert "| Three quarters | 1,500 | 7.50 | 0.9295 | 1.0987 | 16.06 | 1.565625e-5 | 0.365 | -0.4636 |" in text
    assert "| Last step | 2,000 | 10.00 | 0.4224 | 0.6261 | 16.25 | 3.125e-8 | 0.44 | -0.4630 |" in text
    assert "python -m bcecore import trainer_state.json --fact wall_clock=106.96" in text
    assert "not binary cross-entropy" in text


def test_a_run_of_ours_is_evaluated_and_scored() -> None:
    config = example_config()
    material = own_material(config, course(**CHECKED), facts={"leak_probe": {"leaks": False, "largest_change": 0.0}})
    found = sections(run_report(material))
    (table,) = found["Evaluation"].blocks
    assert isinstance(table, Table)
    assert {row[0]: row[1] for row in table.rows} == {
        "CE": "2.0000 (20)",
        "Perplexity, exp(CE)": "7.3890 (20)",
        "Objective": "1.9000 (20)",
        "Time for a check": "0.0379 (20)",
        "Examples per second": "52.7 (20)",
    }
    answer, scored = found["BCE against no BCE"].blocks
    assert isinstance(answer, Paragraph) and answer.text.startswith("Not measured.")
    assert isinstance(scored, Table)
    assert [row[1] for row in scored.rows] == ["1.9000", "2.0000", "-0.1000"]
    assert {row[2] for row in scored.rows[:2]} == {"2.0000"}


def test_no_perplexity_is_made_of_somebodys_loss(shared_data: Path) -> None:
    document = run_report(imported_material(shared_data / "trainer_states" / "multi-eval-groups.json"))
    tables = sections(document)["Evaluation"].blocks
    assert next(table.caption for table in tables if isinstance(table, Table)) == "Checks logged as eval_g0_…"
    assert len(tables) == 6
    for table in tables:
        assert isinstance(table, Table)
        assert not any("erplexity" in row[0] for row in table.rows)
        assert "whether this loss is CE alone" in table.note


def test_without_bce_there_is_nothing_to_compare() -> None:
    material = own_material(example_config(bce__enabled=False), course(loss=[2.0] * 20, ce=[2.0] * 20))
    document = run_report(material)
    assert "BCE against no BCE" not in sections(document)
    assert "binary cross-entropy" not in as_markdown(document)


def test_files_charts_and_notes_appear_where_there_are_some() -> None:
    material = own_material(example_config(), course(**CHECKED), notes="My own words.")
    without = sections(run_report(material))
    assert not {"Charts", "Files of interest"} & set(without)
    document = run_report(
        replace(
            material,
            files=(RunFile("config.json", "all settings"),),
            checkpoints=(10, 20),
            pictures=(Picture("Loss", "<svg/>", "Loss"),),
            notes=("The file ends in the middle.",),
            extra_steps=(15, 900),
        )
    )
    found = sections(document)
    (files,) = found["Files of interest"].blocks
    assert isinstance(files, Table)
    assert files.rows == (("config.json", "all settings"),)
    assert files.note == "2 checkpoints kept, at steps 10, 20."
    assert Paragraph("My own words.") in found["Run facts"].blocks
    assert any(isinstance(block, Items) for block in found["Run facts"].blocks)
    (highlights,) = found["Schedule highlights"].blocks
    assert isinstance(highlights, Table)
    assert "Not in this log, which has steps 1 to 20: 900." in highlights.note
    assert any("Asked for" in row[0] for row in highlights.rows)


def test_a_run_without_any_step_still_has_a_report() -> None:
    document = run_report(own_material(example_config(), course(time=[1.0]), status="queued"))
    assert "Run facts" in sections(document)
    assert RUN_ID in document.lead
