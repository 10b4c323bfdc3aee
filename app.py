"""Home: what is running now, and all runs."""

from bcecore.ui import page, run_cards

run_cards.home(page.begin("Home"))
