"""The template of a labelled set: what a text is put into, so that a model can be asked for its label. Pure."""

from __future__ import annotations

import re

from bcecore.errors import TextError

TEXT, LABEL = "{text}", "{label}"
DEFAULT_TEMPLATE = "{text}\nLabel: {label}"
MAX_TEMPLATE_CHARACTERS = 2000

_PLACEHOLDER = re.compile(r"\{\s*\w*\s*\}")


def check_template(template: str) -> None:
    """Raise TextError unless the template holds `{text}` and after it `{label}`, once each, and no other placeholder.

    Other braces are text.
    """
    advice = f"For example: {TEXT} Sentiment: {LABEL}"
    for wanted, what in ((TEXT, "the text"), (LABEL, "the label")):
        if template.count(wanted) != 1:
            found = "is missing" if wanted not in template else f"is there {template.count(wanted)} times"
            message = f"{wanted}, where {what} goes, {found} in the template {template!r}. It has to be there once."
            raise TextError(f"{message} {advice}", field="template")
    if template.index(LABEL) < template.index(TEXT):
        raise TextError(
            f"In the template {template!r} the label comes before the text. A model reads from left to right, so "
            f"{LABEL} has to come after {TEXT}. {advice}",
            field="template",
        )
    others = [found for found in _PLACEHOLDER.findall(template) if found not in (TEXT, LABEL)]
    if others:
        raise TextError(
            f"The template holds {others[0]}, which stands for nothing. There are only {TEXT} and {LABEL}. {advice}",
            field="template",
        )
    if len(template) > MAX_TEMPLATE_CHARACTERS:
        raise TextError(
            f"A template has at most {MAX_TEMPLATE_CHARACTERS:,} characters, this one {len(template):,}.",
            field="template",
        )


def filled(template: str, text: str, label: str) -> str:
    """The template with a text and a label in it, for a preview; what is in them is never taken for a placeholder."""
    before, rest = template.split(TEXT)
    between, after = rest.split(LABEL)
    return before + text + between + label + after
