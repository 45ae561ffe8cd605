"""Conducts a published plan: observe, decide, act through ports, record, wait."""
