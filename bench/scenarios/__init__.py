"""One module a scenario; `run(rounds=…)` measures it."""
