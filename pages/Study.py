"""Study: did BCE help? Twin runs with and without it, several seeds, one verdict."""

from bcecore.ui import study_view
from bcecore.ui.page import begin

study_view.show(begin("Study"))
