"""Values of the stream as text that PostgreSQL reads back as the same value."""

import paysync


def as_text(value, column) -> str | None:
    """A value of a change as text, for a parameter that is cast to the column's type."""
    return paysync.to_text(value, column)


def as_texts(row: dict, shape) -> dict:
    """The values of a row, or of a part of one, by name."""
    columns = dict(zip(shape.names, shape.columns))
    return {name: as_text(value, columns[name]) for name, value in row.items()}
