"""Alembic migrations. One file per change of schema; each works on SQLite and PostgreSQL."""
