"""Random tables: plain, partitioned, inherited from; with enums, arrays, generated columns, foreign keys and triggers of users."""

import json
import random
from dataclasses import dataclass, field

# Type and how to make a value of it; {c} is the round's schema.
TYPES = {
    "integer": lambda chance: str(chance.randint(-3, 9)),
    "bigint": lambda chance: str(chance.choice([0, 1, -1, 2**40, -2**62])),
    "text": lambda chance: f"'{chance.choice(['', 'a', 'é', 'null', 'x' * 30])}'",
    "character varying": lambda chance: f"'{chance.choice(['', 'abc', 'de'])}'",
    "numeric": lambda chance: chance.choice(["1.0", "1.00", "'NaN'", "-12345.678", "0"]),
    "boolean": lambda chance: chance.choice(["true", "false"]),
    "uuid": lambda chance: f"'00000000-0000-0000-0000-{chance.randrange(10**12):012d}'",
    "jsonb": lambda chance: f"'{{\"a\": {chance.randint(0, 9)}}}'",
    "timestamp with time zone": lambda chance: chance.choice(["'2024-01-01 00:00:00.5+00'", "'infinity'", "'0044-03-15 00:00+00 BC'"]),
    "date": lambda chance: chance.choice(["'2024-02-29'", "'-infinity'"]),
    "double precision": lambda chance: chance.choice(["0.1", "'NaN'", "'-0'", "1e300"]),
    "bytea": lambda chance: chance.choice(["''", "'\\x00ff'"]),
    "integer[]": lambda chance: chance.choice(["'{}'", "'{1,null,3}'", "'{{1,2},{3,4}}'", "'[0:1]={5,6}'"]),
    "text[]": lambda chance: chance.choice(["'{}'", "array['', 'null', null, 'a,\"b']"]),
    "{c}.mood": lambda chance: chance.choice(["'sad'", "'fine'"]),
    "{c}.mood[]": lambda chance: chance.choice(["'{sad,fine,null}'", "'{}'"]),
    "{c}.pair": lambda chance: chance.choice(["row(1, 'a')", "row(null, '')"]),
    "{c}.small": lambda chance: str(chance.randint(0, 5)),
}
TYPES_SQL = """
create schema {c}; set search_path = {c}, pg_catalog;
create type {c}.mood as enum ('sad', 'fine'); create type {c}.pair as (x int, y text); create domain {c}.small as int;
create function {c}.even(i int) returns boolean language sql immutable as 'select i % 2 = 0';
"""
MOST_ID = 40


@dataclass
class Table:
    """A registered table. Every relation that belongs to it has a name that begins with its tag and an underscore."""

    tag: str
    kind: str
    columns: dict = field(default_factory=dict)   # name: type, those that can be written
    relations: list = field(default_factory=list)  # partitions and children, at any depth
    oid: int = 0
    old_values: str = "key"
    partitions: str = "root"
    row_filter: str | None = None
    masks: list = field(default_factory=list)     # columns that are sent as NULL, by name when the table was registered
    masked: set = field(default_factory=set)      # the same by number
    name: str = ""
    alive: bool = True

    def pick(self, chance: random.Random, but: tuple = ("id",)) -> str | None:
        """A column to write, or to alter."""
        names = [name for name in self.columns if name not in but]
        return chance.choice(names) if names else None


class Schema:
    """The tables of a round, made by `create`."""

    def __init__(self, chance: random.Random, name: str):
        self.chance = chance
        self.name = name
        self.tables = []
        self.serial = 0

    def fresh(self, word: str) -> str:
        """A name that was not used before."""
        self.serial += 1
        return f"{word}{self.serial}"

    def value(self, kind: str) -> str:
        """A value of a type as SQL; null for a type that is not ours, and now and then."""
        make = TYPES.get(kind.replace(f"{self.name}.", "{c}.").split("(")[0])
        return "null" if make is None or self.chance.random() < 0.1 else f"({make(self.chance)})::{kind}"

    def random_type(self) -> str:
        """The type of a new column."""
        return self.chance.choice(list(TYPES)).replace("{c}", self.name)

    def create(self) -> list:
        """The statements that make types, tables, triggers, and register the tables."""
        statements = [TYPES_SQL.replace("{c}", self.name)]
        for number in range(self.chance.randint(2, 4)):
            kind = self.chance.choice(["plain", "plain", "partitioned", "parent"])
            table = Table(f"t{number}", kind, name=f"{self.name}.t{number}_")
            self.tables.append(table)
            statements += getattr(self, f"_create_{kind}")(table)
            statements.append(self._register(table))
        if self.chance.random() < 0.6:
            statements += self._foreign_key()
        for table in self.tables:
            if self.chance.random() < 0.5:
                statements.append(self._trigger(table))
        return statements

    def _column_list(self, table: Table) -> str:
        table.columns = {"id": "integer", "n": "integer", **{f"c{number}": self.random_type() for number in range(self.chance.randint(0, 4))}}
        columns = ["id int not null", *(f"{name} {kind}" for name, kind in table.columns.items() if name != "id")]
        self.chance.shuffle(columns)
        if self.chance.random() < 0.3:
            columns.append("made int generated always as (n * 2) stored")
        if self.chance.random() < 0.2:
            columns.append("number bigint generated by default as identity")
        return ", ".join(columns)

    def _create_plain(self, table: Table) -> list:
        return [f"create table {table.name} ({self._column_list(table)}, primary key (id))"]

    def _create_partitioned(self, table: Table) -> list:
        statements = [f"create table {table.name} ({self._column_list(table)}, primary key (id)) partition by range (id)"]
        for low, high in ((-1000, 15), (15, 30)):
            statements.append(f"create table {table.name}p{low + 1000} partition of {table.name} for values from ({low}) to ({high})")
        # The last one has its columns in another order and a hole, and may be partitioned again.
        columns = list(table.columns.items())
        self.chance.shuffle(columns)
        columns = ", ".join(f"{name} {kind}{' not null' if name == 'id' else ''}" for name, kind in columns)
        other = f"{table.name}other"
        again = self.chance.random() < 0.5
        statements.append(f"create table {other} (gone int, {columns}){' partition by range (id)' if again else ''}; alter table {other} drop column gone")
        for name in ("made", "number"):
            statements.append(f"""do $do$ begin if exists (select from pg_attribute where attrelid = '{table.name}'::regclass and attname = '{name}' and not attisdropped)
                then alter table {other} add column {name} {'int generated always as (n * 2) stored' if name == 'made' else 'bigint not null'}; end if; end $do$""")
        statements.append(f"alter table {table.name} attach partition {other} for values from (30) to (5000)")
        if again:
            statements.append(f"create table {other}1 partition of {other} for values from (30) to (35)")
            statements.append(f"create table {other}2 partition of {other} default")
        table.partitions = self.chance.choice(["root", "root", "leaf"])
        return statements

    def _create_parent(self, table: Table) -> list:
        statements = [f"create table {table.name} ({self._column_list(table)}, primary key (id))",
                      f"create table {table.name}c1 (extra int, primary key (id), check (id % 4 = 0) no inherit) inherits ({table.name})"]
        if self.chance.random() < 0.5:
            statements.append(f"create table {table.name}c2 (primary key (id), check (id % 4 = 2) no inherit) inherits ({table.name}c1)")
        # Keys are unique in each table, not over all: rows of the parent are odd, those of the child even.
        statements.append(f"alter table {table.name} add constraint odd check (id % 2 <> 0) no inherit")
        table.partitions = self.chance.choice(["root", "root", "leaf"])
        return statements

    def _register(self, table: Table) -> str:
        options = {"partitions": table.partitions}
        table.old_values = self.chance.choice(["none", "key", "changed", "full"])
        if self.chance.random() < 0.2:
            options["skip_unchanged"] = True
        arguments = [f"old_values => '{table.old_values}'"]
        if table.kind == "plain" and self.chance.random() < 0.25:
            table.row_filter = self.chance.choice(["n > 2", "id % 2 = 0 or n is null", "n <> id"])
            arguments.append(f"row_filter => '{table.row_filter}'")
        others = [name for name in table.columns if name not in ("id", "n")]
        if table.kind == "plain" and others and self.chance.random() < 0.25:
            table.masks = self.chance.sample(others, 1)
            arguments.append("masks => '" + json.dumps({name: "null" for name in table.masks}) + "'")
        if others and self.chance.random() < 0.25:
            sent = [name for name in table.columns if name in ("id", *table.masks) or self.chance.random() < 0.6]
            arguments.append(f"columns => '{{{', '.join(sent)}}}'")
        if self.chance.random() < 0.3:
            arguments.append(f"new_columns => '{self.chance.choice(['include', 'withhold'])}'")
        given = ", ".join(f'"{name}": {str(value).lower() if isinstance(value, bool) else chr(34) + value + chr(34)}' for name, value in options.items())
        arguments.append(f"options => '{{{given}}}'")
        return f"select paysync.register('{table.name}', {', '.join(arguments)})"

    def _foreign_key(self) -> list:
        parent, child = self.chance.choice(self.tables), self.chance.choice(self.tables)
        if parent is child or parent.kind == "parent" or child.kind == "parent":
            return []
        action = self.chance.choice(["cascade", "set null", "no action"])
        later = self.chance.choice(["", "deferrable initially deferred", "deferrable"])
        child.columns["ref"] = "integer"
        return [f"alter table {child.name} add column ref int references {parent.name} on delete {action} on update {action} {later}"]

    def _trigger(self, table: Table) -> str:
        other = self.chance.choice(self.tables)
        name = self.chance.choice(["A", "m", "zz"])
        function = f"{self.name}.f_{table.tag}"
        if self.chance.random() < 0.4:
            name = self.chance.choice(["!a", "m"])
            body, when = "new.n := coalesce(new.n, 0) + 1; return new;", "before insert or update"
        else:
            body = self.chance.choice([
                f"update {other.name} set n = coalesce(n, 0) + 1 where id = new.id + 1; return null;",
                f"delete from {other.name} where id = new.id + 2; return null;",
                f"insert into {other.name} (id, n) values (new.id + 2, 7) on conflict do nothing; return null;"])
            when = "after insert or update"
        return (f"create function {function}() returns trigger language plpgsql as $f$ begin {body} end $f$; "
                f"create trigger \"{name}\" {when} on {table.name} for each row when (pg_trigger_depth() < 2) execute function {function}()")
