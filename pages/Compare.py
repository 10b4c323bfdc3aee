"""Compare: runs side by side, or steps of one run."""

from bcecore.ui import compare_view
from bcecore.ui.page import begin

compare_view.show(begin("Compare"))
