"""The HTTP surface: API for automation, board for people."""
