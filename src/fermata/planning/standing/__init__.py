"""Standing plans: which pending updates share which outage when no campaign is on. `plan.py` is the door."""
