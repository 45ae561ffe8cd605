"""What is remembered: SQLAlchemy Core tables and functions on SQLite and PostgreSQL."""
