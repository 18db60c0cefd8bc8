"""Alembic's entry: runs on the connection it is handed, and sees every room's tables when asked to compare."""

from alembic import context

from stillframe.db.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    user_module_prefix="stillframe.db.schema.",
    compare_type=True,
    transactional_ddl=True,  # Alembic thinks that SQLite cannot
)
with context.begin_transaction():
    context.run_migrations()
