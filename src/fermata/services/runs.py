"""Operator verbs on runs: start, pause, resume, stop, and the status that everything else shows."""
