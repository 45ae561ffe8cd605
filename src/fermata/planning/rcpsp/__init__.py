"""The classic single-mode problem: tasks with fixed durations, an order among some of them, and shared resources.

`solve_project` in `solve` is the way in; `fermata bench rcpsp` measures it.
"""
