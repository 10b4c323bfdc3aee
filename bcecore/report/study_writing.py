"""The report of a study, drawn: from the material to Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator

from bcecore.evaluation.outcome import StudyMaterial
from bcecore.report.document import Picture
from bcecore.report.html import as_html
from bcecore.report.markdown import as_markdown
from bcecore.report.render import as_svg
from bcecore.report.study_charts import curves_alt, curves_chart, difference_alt, difference_chart
from bcecore.report.study_report import study_report
from bcecore.report.writing import Report


def study_report_of(material: StudyMaterial) -> Report:
    """The report, pictures included. Takes a second or so: each is drawn."""
    document = study_report(material, dict(_pictures(material)))
    return Report(as_markdown(document), as_html(document))


def _pictures(material: StudyMaterial) -> Iterator[tuple[str, Picture]]:
    if material.outcome is None:
        return
    margin = material.plan.margin
    for found in material.outcome.comparisons:
        if found.difference is None:
            continue
        alt = difference_alt(found, margin)
        about = (
            "A point is the difference at one seed, its line how well these two models are told apart; the strong "
            f"one is over all seeds. Within the grey band, ±{margin:g}, a difference would not matter."
        )
        title = f"Difference of “{found.arm}” from “{found.reference}”"
        yield found.arm, Picture(title, as_svg(difference_chart(found, margin)), alt, about)
    if any(len(curve.steps) > 1 for curve in material.curves):
        svg, alt = as_svg(curves_chart(material.curves)), curves_alt(material.curves)
        yield "", Picture("Held-out CE over training", svg, alt, "The band is one standard deviation over the seeds.")
