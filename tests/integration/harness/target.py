"""The SQL with which a change is applied to a copy of the table."""

from psycopg import sql

from .follower import columns_before_and_after
from .values import as_text, as_texts

DROP_KEY = """do $$ declare drops text; begin
    for drops in select format('alter table %s drop constraint %I', conrelid::regclass, conname) from pg_constraint
                 where conrelid = format('%I.%I', {}, {})::regclass and contype = 'p' loop
        execute drops;
    end loop;
end $$"""


def name_of(change_or_shape) -> sql.Identifier:
    """The table's name."""
    return sql.Identifier(change_or_shape.schema, change_or_shape.table)


def identifier(name: str) -> sql.Identifier:
    """A name in a statement that has parameters, where % is written twice."""
    return sql.Identifier(name.replace("%", "%%"))


def value_of(column) -> sql.Composed:
    """A parameter of the column's type."""
    return sql.SQL("%s::{}").format(sql.SQL(column.type.replace("%", "%%")))


def joined(parts, separator: str = ", ") -> sql.Composed:
    """Parts with a separator between them."""
    return sql.SQL(separator).join(parts)


def create_table(shape) -> sql.Composed:
    """The table of a shape: its columns and its key, nothing else."""
    columns = [sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.type)) for column in shape.columns]
    return sql.SQL("create table {} ({})").format(name_of(shape), joined(columns + key_constraint(shape)))


def key_constraint(shape) -> list:
    """The key as a table constraint, none where there is no key."""
    names = joined(sql.Identifier(shape.names[at]) for at in shape.key)
    return [sql.SQL("primary key ({})").format(names)] if shape.key else []


def insert(shape) -> sql.Composed:
    """The parameters are the new values in column order."""
    return sql.SQL("insert into {} ({}) overriding system value values ({})").format(
        name_of(shape), joined(identifier(name) for name in shape.names), joined(value_of(column) for column in shape.columns))


def find_row(shape, key: dict, old: dict) -> sql.Composed:
    """A condition: the row with this key that has these old values, compared by their text. Parameters: key, then old."""
    columns = dict(zip(shape.names, shape.columns))
    parts = [sql.SQL("{} = {}").format(identifier(name), value_of(columns[name])) for name in key]
    parts += [sql.SQL("{}::text is not distinct from {}::text").format(identifier(name), value_of(columns[name])) for name in old]
    condition = joined(parts, " and ")
    if key:
        return condition
    # Without a key there may be several such rows, of which one is meant, no matter which.
    return sql.SQL("ctid = (select ctid from {} where {} limit 1)").format(name_of(shape), condition)


def update(shape, key: dict, old: dict) -> sql.Composed:
    """The parameters are the new values in column order, then those of `find_row`."""
    assignments = joined(sql.SQL("{} = {}").format(identifier(column.name), value_of(column)) for column in shape.columns)
    return sql.SQL("update {} set {} where {}").format(name_of(shape), assignments, find_row(shape, key, old))


def delete(shape, key: dict, old: dict) -> sql.Composed:
    """The parameters are those of `find_row`."""
    return sql.SQL("delete from {} where {}").format(name_of(shape), find_row(shape, key, old))


def row_parameters(change, key: dict, old: dict) -> list:
    """The parameters for a change."""
    texts = [as_texts(row, change.shape) for row in (change.new or {}, key, old)]
    return [value for row in texts for value in row.values()]


def alter(change) -> list:
    """What does to the copy what was done to the source: [(statement, parameters)]."""
    old, new = change.previous, change.shape
    steps = []
    if old.schema != new.schema:
        steps.append((sql.SQL("create schema if not exists {}").format(sql.Identifier(new.schema)), None))
        steps.append((sql.SQL("alter table {} set schema {}").format(name_of(old), sql.Identifier(new.schema)), None))
    if old.table != new.table:
        steps.append((sql.SQL("alter table {} rename to {}").format(sql.Identifier(new.schema, old.table), sql.Identifier(new.table)), None))
    table = sql.SQL("alter table {} ").format(name_of(new))
    gone, kept, added = columns_before_and_after(change)
    old_key = [old.names[at] for at in old.key]
    renamed = {before.name: after.name for before, after in kept}
    key_stays = [renamed.get(name) for name in old_key] == [new.names[at] for at in new.key]
    if not key_stays:
        steps.append((sql.SQL(DROP_KEY).format(sql.Literal(new.schema), sql.Literal(new.table)), None))
    steps += [(table + sql.SQL("drop column {}").format(sql.Identifier(column.name)), None) for column in gone]
    # Names may change in a circle.
    moved = [(before, after) for before, after in kept if before.name != after.name]
    for at, (before, _) in enumerate(moved):
        steps.append((table + sql.SQL("rename column {} to {}").format(sql.Identifier(before.name), sql.Identifier(f"renamed {at}")), None))
    for at, (_, after) in enumerate(moved):
        steps.append((table + sql.SQL("rename column {} to {}").format(sql.Identifier(f"renamed {at}"), sql.Identifier(after.name)), None))
    for before, after in kept:
        if before.type != after.type:
            steps.append((table + sql.SQL("alter column {0} type {1} using {0}::text::{1}").format(
                sql.Identifier(after.name), sql.SQL(after.type)), None))
    for column, value in added:
        steps.append((table + sql.SQL("add column {} {}").format(sql.Identifier(column.name), sql.SQL(column.type)), None))
        if value is not None:
            steps.append((sql.SQL("update {} set {} = {}").format(name_of(new), identifier(column.name), value_of(column)),
                          [as_text(value, column)]))
    if not key_stays and new.key:
        steps.append((table + sql.SQL("add ") + key_constraint(new)[0], None))
    return steps
