"""Turns a PlanningInput into a Plan or a proof that there is none. Pure: no I/O, no clock, seeded."""
