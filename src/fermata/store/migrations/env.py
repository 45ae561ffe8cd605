"""Alembic's entry: runs the migrations inside the write transaction that `store.database.migrate` opened."""

from alembic import context

from fermata.store.schema import metadata


def run() -> None:
    """Applies what is missing, all or nothing; SQLite alters tables by copying them."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        render_as_batch=True,
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


run()
