"""The report of a run, drawn and written: `report.md` and `report.html` in the run's folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from bcecore.files import write_bytes_atomically
from bcecore.report.charts import Mark, View, draw
from bcecore.report.document import Picture
from bcecore.report.html import as_html
from bcecore.report.markdown import as_markdown
from bcecore.report.material import Material
from bcecore.report.render import as_svg
from bcecore.report.run_figures import run_figures
from bcecore.report.run_report import run_report

MARKDOWN_FILE, HTML_FILE = "report.md", "report.html"

# Charts whose values jump from step to step, so that their course shows in a moving average only.
_JUMPING = {"loss", "gap", "grad-norm", "bce-loss"}
_SMOOTHING = 0.9
_SMOOTHED_FROM = 200


class Report(NamedTuple):
    """A report in both of its forms."""

    markdown: str
    html: str


def report_of(material: Material) -> Report:
    """The report, charts included. Takes a second or so: each chart is drawn as a picture."""
    document = run_report(replace(material, pictures=tuple(_pictures(material))))
    return Report(as_markdown(document), as_html(document))


def _pictures(material: Material) -> Iterator[Picture]:
    marks = [Mark(step, "checkpoint", f"checkpoint {step:,}") for step in material.checkpoints]
    standing = [each.finding for each in material.findings or () if each.accepted is None]
    for figure in run_figures(material.logged, material.config, marks, standing):
        logged = max((len(trace.series) for trace in figure.traces), default=0)
        if figure.more or not logged:
            continue
        smooth = figure.key in _JUMPING and logged > _SMOOTHED_FROM
        drawn = draw(figure, View(smoothing=_SMOOTHING if smooth else 0.0))
        sentences = [figure.about]
        if smooth:
            sentences.append("The faint line is what was logged, the strong one its moving average.")
        if drawn.shown < drawn.total:
            sentences.append(f"Showing {drawn.shown:,} of {drawn.total:,} points; spikes are kept.")
        yield Picture(figure.title, as_svg(drawn.spec), figure.alt, " ".join(sentences))


def write_report(report: Report, directory: Path) -> tuple[Path, Path]:
    """Write `report.md` and `report.html` into a folder; returns where they are. Raises DiskFullError, OSError."""
    markdown, html = directory / MARKDOWN_FILE, directory / HTML_FILE
    write_bytes_atomically(markdown, report.markdown.encode())
    write_bytes_atomically(html, report.html.encode())
    return markdown, html
