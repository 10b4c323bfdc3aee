"""Run: one run, live."""

from bcecore.ui import page, run_view

store = page.begin("Run")
run_id = run_view.choose(store)
if run_id is not None:
    run_view.show(store, run_id)
