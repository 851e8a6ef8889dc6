"""Random statements on the tables of a round. Each is SQL, or a function of a connection; many are meant to fail."""

import random

from .tables import MOST_ID, Schema, Table


class Statements:
    """Makes statements. Tables for which one was made that may leave a gap are in `may_gap`, by tag."""

    def __init__(self, schema: Schema, chance: random.Random):
        self.schema = schema
        self.chance = chance
        self.may_gap = set()
        self.calm = chance.random() < 0.4  # nothing that leaves a gap

    def row(self):
        """A statement that changes rows, or sees them."""
        tables = [table for table in self.schema.tables if table.alive]
        table = self.chance.choice(tables)
        make = self.chance.choice([self.insert] * 5 + [self._update] * 4 + [self._delete] * 2 + [
            self._move, self._merge, self._copy, self._truncate, self._archive, self._block, self._lock, self._replica])
        return make(table)

    def ddl(self):
        """A statement that alters a table."""
        tables = [table for table in self.schema.tables if table.alive]
        table = self.chance.choice(tables)
        makes = [self._add_column] * 3 + [self._drop_column, self._rename_column, self._widen, self._rename, self._index, self._not_null] * 2
        if table.kind == "partitioned":
            makes += [self._new_partition] * 3
        if table.kind == "parent":
            makes += [self._new_child] * 3
        if not self.calm:
            makes += [self._volatile, self._retype, self._trigger_off, self._enabled_off, self._label, self._attribute, self._again]
            makes += {"partitioned": [self._detach, self._attach, self._drop_partition, self._truncate_partition] * 2,
                      "parent": [self._no_inherit, self._drop_child] * 2}.get(table.kind, [])
        return self.chance.choice(makes)(table)

    def _range(self) -> str:
        low = self.chance.randint(1, MOST_ID)
        return f"id between {low} and {low + self.chance.choice([0, 0, 1, 4, 15])}"

    def _target(self, table: Table) -> str:
        """The table, or one of its partitions or children."""
        return self.chance.choice(table.relations) if table.relations and self.chance.random() < 0.3 else table.name

    def _ids(self, table: Table) -> str:
        low = self.chance.randint(1, MOST_ID)
        ids = f"generate_series({low}, {low + self.chance.choice([0, 3, 8, 20])}) as i"
        return ids + (" where i % 2 = 1" if table.kind == "parent" else "")

    def insert(self, table: Table) -> str:
        """Rows, into the table or a child."""
        names = [name for name in table.columns if name != "id" and self.chance.random() < 0.7]
        values = "".join(f", {self.schema.value(table.columns[name])}" for name in names)
        columns = "".join(f", {name}" for name in names)
        target, ids = table.name, self._ids(table)
        if table.kind == "parent" and table.relations and self.chance.random() < 0.5:
            target, ids = self.chance.choice(table.relations), ids.replace("where i % 2 = 1", self.chance.choice(["where i % 4 = 0", "where i % 4 = 2"]))
        conflict = self.chance.choice(["", "on conflict do nothing", "on conflict (id) do update set n = excluded.n"])
        return f"insert into {target} (id{columns}) select i{values} from {ids} {conflict}"

    def _update(self, table: Table) -> str:
        names = {name for name in (table.pick(self.chance), table.pick(self.chance)) if name}
        sets = ", ".join(f"{name} = {name if self.chance.random() < 0.15 else self.schema.value(table.columns[name])}" for name in names) or "id = id"
        return f"update {self._target(table)} set {sets} where {self._range()}"

    def _delete(self, table: Table) -> str:
        return f"delete from {self._target(table)} where {self._range()}"

    def _move(self, table: Table) -> str:
        return f"update {self._target(table)} set id = id + {self.chance.choice([-20, -2, 2, 20])} where {self._range()}"

    def _merge(self, table: Table) -> str:
        if table.kind == "parent":
            return self._update(table)
        return (f"merge into {table.name} as m using (select i from {self._ids(table)}) as s on m.id = s.i "
                f"when matched and m.n > 5 then delete when matched then update set n = m.n + 1 when not matched then insert (id, n) values (s.i, 1)")

    def _copy(self, table: Table):
        first, count = self.chance.randint(MOST_ID, MOST_ID * 4) * 2 + 1, self.chance.randint(1, 4)
        data = "".join(f"{first + 2 * row}\t{row}\n" for row in range(count))

        def copy(connection) -> None:
            with connection.cursor() as cursor, cursor.copy(f"copy {table.name} (id, n) from stdin") as stream:
                stream.write(data)

        copy.text = f"copy {table.name} (id, n) from stdin: {data!r}"
        return copy

    def _truncate(self, table: Table) -> str:
        if self.chance.random() < 0.5:
            return self._delete(table)
        others = "".join(f", {other.name}" for other in self.schema.tables if other is not table and other.alive and self.chance.random() < 0.3)
        return f"truncate {table.name}{others}{self.chance.choice(['', ' cascade'])}"

    def _archive(self, table: Table) -> str:
        other = self.chance.choice([other for other in self.schema.tables if other.alive])
        return f"with gone as (delete from {table.name} where {self._range()} returning id, n) insert into {other.name} (id, n) select id + 2000, n from gone"

    def _block(self, table: Table) -> str:
        return f"""do $do$ begin
            for i in 1..3 loop
                begin
                    update {table.name} set n = coalesce(n, 0) + i where {self._range()};
                    insert into {table.name} (id, n) values ({self.chance.randint(1, MOST_ID) * 2 + 1} + 100 * i, i);
                    if i = {self.chance.randint(1, 4)} then raise exception 'undone'; end if;
                exception when raise_exception or unique_violation then null;
                end;
            end loop; end $do$"""

    def _lock(self, table: Table) -> str:
        return f"select count(*) from (select from {table.name} where {self._range()} for update) as locked"

    def _replica(self, table: Table) -> str:
        return f"set session_replication_role = replica; {self._update(table)}; set session_replication_role = origin"

    def _add_column(self, table: Table) -> str:
        kind, name = self.schema.random_type(), self.schema.fresh("a")
        default = f" default {self.schema.value(kind)}" if self.chance.random() < 0.5 else ""
        return f"alter table {table.name} add column {name} {kind}{default}"

    def _drop_column(self, table: Table) -> str:
        return f"alter table {table.name} drop column {table.pick(self.chance, ('id', 'n')) or 'nothing'}"

    def _rename_column(self, table: Table) -> str:
        return f"alter table {table.name} rename column {table.pick(self.chance, ('id', 'n')) or 'nothing'} to {self.schema.fresh('r')}"

    def _widen(self, table: Table) -> str:
        name = table.pick(self.chance)
        if name and table.columns[name].startswith("character varying"):
            return f"alter table {table.name} alter column {name} type text"
        return f"alter table {table.name} add column {self.schema.fresh('a')} varchar(10), alter column n set default 1"

    def _rename(self, table: Table) -> str:
        return f"alter table {table.name} rename to {self.schema.fresh(table.tag + '_x')}"

    def _index(self, table: Table) -> str:
        return f"create index on {table.name} (n)"

    def _not_null(self, table: Table) -> str:
        return f"alter table {table.name} alter column n {self.chance.choice(['set not null', 'drop not null', 'set default 3', 'set statistics 10'])}"

    def _gap(self, table: Table, statement: str) -> str:
        self.may_gap.add(table.tag)
        return statement

    def _volatile(self, table: Table) -> str:
        name = self.schema.fresh("a")
        return self._gap(table, f"alter table {table.name} add column {name} " + self.chance.choice([
            "bigint default (random() * 100)::int", "int generated always as (n + 1) stored", "serial"]))

    def _retype(self, table: Table) -> str:
        name = table.pick(self.chance, ("id",))
        return self._gap(table, f"alter table {table.name} alter column {name} type {self.chance.choice(['text', 'bigint using 1', 'varchar(60)'])}")

    def _trigger_off(self, table: Table) -> str:
        target = self._target(table)
        return self._gap(table, f"alter table {target} disable trigger \"!paysync_row\"; {self._update(table)}; "
                                f"alter table {target} enable always trigger \"!paysync_row\"")

    def _enabled_off(self, table: Table) -> str:
        for other in self.schema.tables:  # by its triggers
            self.may_gap.add(other.tag)
        return self._gap(table, f"set paysync.enabled = off; {self._update(table)}; set paysync.enabled = on")

    def _label(self, table: Table) -> str:
        for other in self.schema.tables:
            self.may_gap.add(other.tag)
        return self._gap(table, f"alter type {self.schema.name}.mood rename value 'fine' to '{self.schema.fresh('m')}'; "
                                f"alter type {self.schema.name}.mood add value 'fine'")

    def _attribute(self, table: Table) -> str:
        for other in self.schema.tables:
            self.may_gap.add(other.tag)
        return self._gap(table, f"alter type {self.schema.name}.pair " + f"add attribute {self.schema.fresh('z')} int")

    def _again(self, table: Table) -> str:
        table.old_values = None  # from now on unknown: it may be rolled back
        return self._gap(table, f"select paysync.alter_registration('{table.name}', old_values => '{self.chance.choice(['key', 'full', 'changed'])}')")

    def _partition(self, table: Table) -> str:
        return self.chance.choice(table.relations) if table.relations else f"{table.name}p0"

    def _new_partition(self, table: Table) -> str:
        low = 5000 + 10 * self.schema.serial
        return f"create table {self.schema.name}.{self.schema.fresh(table.tag + '_q')} partition of {table.name} for values from ({low}) to ({low + 10})"

    def _detach(self, table: Table) -> str:
        return self._gap(table, f"alter table {table.name} detach partition {self._partition(table)}")

    def _attach(self, table: Table) -> str:
        name, low = f"{self.schema.name}.{self.schema.fresh(table.tag + '_q')}", 5000 + 10 * self.schema.serial
        rows = f"insert into {name} (id, n) values ({low}, 1);" if self.chance.random() < 0.5 else ""
        return self._gap(table, f"create table {name} (like {table.name} including generated including identity); {rows} "
                                f"alter table {table.name} attach partition {name} for values from ({low}) to ({low + 10})")

    def _drop_partition(self, table: Table) -> str:
        return self._gap(table, f"drop table {self._partition(table)}")

    def _truncate_partition(self, table: Table) -> str:
        return self._gap(table, f"truncate {self._partition(table)}")

    def _new_child(self, table: Table) -> str:
        name = f"{self.schema.name}.{self.schema.fresh(table.tag + '_c')}"
        low = 10000 * self.schema.serial
        return (f"create table {name} (primary key (id), check (id between {low} and {low + 99}) no inherit) inherits ({table.name}); "
                f"insert into {name} (id, n) values ({low}, 1)")

    def _no_inherit(self, table: Table) -> str:
        child = self._partition(table)
        back = f"; alter table {child} inherit {table.name}" if self.chance.random() < 0.5 else ""
        return self._gap(table, f"alter table {child} no inherit {table.name}{back}")

    def _drop_child(self, table: Table) -> str:
        return self._gap(table, f"drop table {self._partition(table)}")
