"""What one caller, and all of them together, may take of the server: see docs/limits.md."""
