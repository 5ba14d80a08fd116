"""What is promised of speed, measured: one module a group, each with `rows(home, turns)`.

`scripts/bench` runs them all. A figure stands beside its baseline, taken in turn with it in the same run.
"""
