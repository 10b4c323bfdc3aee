"""Evaluate: how well checkpoints predict texts, with BCE on and off side by side."""

from bcecore.ui import evaluate_view
from bcecore.ui.page import begin

evaluate_view.show(begin("Evaluate"))
