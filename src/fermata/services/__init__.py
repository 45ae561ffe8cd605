"""Operator verbs, one function each, by noun. CLI, API and board call these and nothing below them."""
