"""Nouns and rules of planned maintenance. Standard library only; values in, values out."""
