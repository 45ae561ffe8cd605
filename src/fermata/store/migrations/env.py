"""Alembic's entry: runs the migrations online against the URL that `store.database.migrate` hands over."""

from alembic import context
from sqlalchemy import create_engine

from fermata.store.schema import metadata


def run() -> None:
    """Opens one connection and applies what is missing; SQLite alters tables by copying them."""
    url = context.config.attributes["url"]
    engine = create_engine(url)
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()


run()
