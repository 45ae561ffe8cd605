"""The `fermata` command, one file per noun."""
