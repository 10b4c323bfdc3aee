"""Data: what is in a text, what of it is in another one, and a clean division into learning and checking."""

from bcecore.ui import data_view
from bcecore.ui.page import begin

data_view.show(begin("Data"))
