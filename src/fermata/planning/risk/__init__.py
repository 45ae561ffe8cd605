"""Whole campaigns simulated many times: what is likely to go wrong with a plan, before it does."""
