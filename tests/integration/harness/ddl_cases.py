"""Statements that alter a registered table or change its rows without a row trigger, and what the stream must say of each.

Every form of ALTER TABLE of the PostgreSQL manual is here, in the manual's order, then what other statements do.
"""

from dataclasses import dataclass

SETUP = """
create type mood as enum ('sad', 'fine');
create type pair as (x int, y text);
create domain short_text as text;
create domain positive as int check (value > 0);
create domain seven as int default 7;
create table t (id int primary key, v text, n int, amount numeric(12,2), m mood, p pair, ms mood[], at timestamp, s varchar(10), d short_text,
    net cidr, twice int generated always as (n * 2) stored, other int unique, o oid default 7, xs xml);
create table elsewhere (id int primary key);
"""
ROWS = """
insert into t (id, v, n, amount, m, p, ms, at, s, d, net, other)
select i, 'v' || i, i * 3, i + 0.5, 'sad', row(i, 'y'::text)::pair, '{sad,fine}', '2024-01-01', 's' || i, 'd', '10.1.2.3/32', i from generate_series(1, 5) as i;
"""
# A partitioned table, one of whose partitions is partitioned itself, with columns in another order and a hole.
PARTITIONS = """
create table t (id int primary key, v text) partition by range (id);
create table t_low partition of t for values from (0) to (10);
create table t_high (gone int, v text, id int not null) partition by range (id);
alter table t_high drop column gone;
create table t_high_1 partition of t_high for values from (10) to (20);
alter table t attach partition t_high for values from (10) to (30);
create table loose (id int not null, v text);
create table loose_full (v text, id int not null);
insert into loose_full (id, v) values (31, 'a'), (32, 'b');
"""
PARTITION_ROWS = "insert into t select i, 'v' || i from generate_series(8, 13) as i"
PARENTS = """
create table t (id int primary key, v text);
create table child (extra int, primary key (id)) inherits (t);
create table loose (id int primary key, v text);
create table loose_full (v text, id int primary key);
insert into loose_full (id, v) values (31, 'a'), (32, 'b');
"""
PARENT_ROWS = "insert into t select i, 'v' || i from generate_series(1, 3) as i; insert into child select i, 'c' || i, i from generate_series(4, 6) as i"
AS_REPLICA = "set session_replication_role = replica; insert into {} (id) values (28); set session_replication_role = origin"


@dataclass(frozen=True)
class Case:
    """One statement. `expect`: nothing, alter, gap, alter+gap, truncate, or any (the copy is equal or in doubt). `empty`: what to
    expect when the table has no rows, `expect` without the gap if not given. `alone`: it cannot run inside a transaction block.
    `after`: what can be done to the table's rows behind it; empty: nothing. `table`: its name behind the statement."""

    statement: str
    expect: str
    setup: str = SETUP
    rows: str = ROWS
    options: str = ""
    empty: str | None = None
    alone: bool = False
    after: str | None = "insert into {} (id) values (28); delete from {} where id = 28"
    table: str = "t"

    def expect_of(self, has_rows: bool) -> str:
        """What is expected of a table that has rows or none."""
        if has_rows:
            return self.expect
        return self.empty or {"alter+gap": "alter"}.get(self.expect, self.expect)


def partitions(statement: str, expect: str, **more) -> Case:
    """A case on PARTITIONS."""
    return Case(statement, expect, **{"setup": PARTITIONS, "rows": PARTITION_ROWS, "after": "insert into {} (id) values (9) on conflict do nothing", **more})


def parents(statement: str, expect: str, **more) -> Case:
    """A case on PARENTS."""
    return Case(statement, expect, **{"setup": PARENTS, "rows": PARENT_ROWS, **more})


ALTER_TABLE = [
    # RENAME
    Case("alter table t rename column v to w", "alter"),
    Case("alter table t rename column id to number", "alter", after="insert into t (number) values (100)"),
    Case("alter table t rename constraint t_pkey to the_key", "nothing"),
    Case("alter table t rename to renamed", "alter", table="renamed"),
    Case("create schema {s}_new; alter table t set schema {s}_new", "alter", table="{s}_new.t"),
    Case("alter table all in tablespace pg_default set tablespace pg_default", "nothing"),
    # ADD COLUMN
    Case("alter table t add column c int", "alter"),
    Case("alter table t add column if not exists v int", "nothing"),
    Case("alter table t add column c int default 5", "alter"),
    Case("alter table t add column c text not null default 'é '", "alter"),
    Case("alter table t add column c timestamptz default now()", "alter"),
    Case("alter table t add column c numeric(5,1) default 1.25", "alter"),
    Case("alter table t add column c mood default 'fine'", "alter"),
    Case("alter table t add column c mood[] default '{fine,null}'", "alter"),
    Case("alter table t add column c pair default row(1, null)", "alter"),
    Case("alter table t add column c bytea default '\\x00ff'", "alter"),
    Case("alter table t add column c float8 default 'NaN'", "alter"),
    Case("alter table t add column c date default 'infinity'", "alter"),
    Case("alter table t add column c jsonb default '{\"a\": 1}'", "alter"),
    Case("alter table t add column c text default repeat('long', 100000)", "alter"),
    Case("alter table t add column c seven", "alter"),
    Case("alter table t add column c int check (c > 0)", "alter"),
    Case("alter table t add column c int default 3 references elsewhere deferrable initially deferred", "alter", rows=ROWS + "insert into elsewhere values (3)"),
    Case("alter table t add column c positive", "alter+gap"),
    Case("alter table t add column c float8 default random()", "alter+gap"),
    Case("alter table t add column c timestamptz default clock_timestamp()", "alter+gap"),
    Case("alter table t add column c int generated always as (n + 1) stored", "alter+gap"),
    Case("alter table t add column c int generated always as identity", "alter+gap"),
    Case("alter table t add column c int generated by default as identity", "alter+gap"),
    Case("alter table t add column c serial", "alter+gap"),
    Case("alter table t add column a int, add column b int default 2", "alter"),
    Case("alter table t add column c int default 5, drop column v, alter column n set default 3", "alter"),
    Case("alter table t add column c int default 5, add column e float8 default random()", "alter+gap"),
    # DROP COLUMN
    Case("alter table t drop column v", "alter"),
    Case("alter table t drop column if exists nothing", "nothing"),
    Case("alter table t drop column n cascade", "alter"),
    Case("alter table t drop column id", "alter", after=""),
    Case("alter table t drop column v; alter table t add column v int", "alter"),
    # ALTER COLUMN TYPE
    Case("alter table t alter column s type varchar(20)", "alter"),
    Case("alter table t alter column s type text", "alter"),
    Case("alter table t alter column amount type numeric(14,2)", "alter"),
    Case("alter table t alter column amount type numeric", "alter"),
    Case("alter table t alter column d type text", "alter"),
    Case("alter table t alter column v type short_text", "alter"),
    Case("alter table t alter column v type varchar", "alter"),
    Case("alter table t alter column xs type text", "alter"),
    Case("alter table t alter column v type text", "nothing"),
    Case("alter table t alter column v type text collate \"C\"", "nothing"),
    Case("alter table t alter column s type varchar(5)", "alter+gap"),
    Case("alter table t alter column v type varchar(20)", "alter+gap"),
    Case("alter table t alter column amount type numeric(12,4)", "alter+gap"),
    Case("alter table t alter column amount type numeric(10,1)", "alter+gap"),
    Case("alter table t alter column other type bigint", "alter+gap"),
    Case("alter table t alter column v type int using id", "alter+gap"),
    Case("alter table t alter column v type text using v || '!'", "gap", empty="any"),
    Case("alter table t alter column m type text using m::text", "alter+gap", empty="any"),
    Case("alter table t alter column other type positive", "alter+gap"),
    Case("alter table t alter column at type timestamp(3)", "alter+gap"),
    Case("alter table t alter column id type bigint", "alter+gap"),
    # These do not rewrite, but the same bytes are printed otherwise.
    Case("set local timezone = 'UTC'; alter table t alter column at type timestamptz", "alter+gap"),
    Case("alter table t alter column other type oid", "alter+gap"),
    Case("alter table t alter column o type regclass", "alter+gap"),
    Case("alter table t alter column net type inet", "alter+gap"),
    # Other things of columns
    Case("alter table t alter column n set default 4", "nothing"),
    Case("alter table t alter column n drop default", "nothing"),
    Case("alter table t alter column n set not null", "nothing", after="insert into t (id, n) values (100, 1)"),
    Case("alter table t alter column n drop not null", "nothing"),
    Case("alter table t alter column twice drop expression", "nothing"),
    Case("alter table t alter column id add generated by default as identity", "nothing"),
    Case("alter table t alter column id add generated by default as identity; alter table t alter column id set generated always set start with 500 restart",
         "nothing", after="insert into t (v) values ('x')"),
    Case("alter table t alter column id add generated by default as identity; alter table t alter column id drop identity", "nothing"),
    Case("alter table t alter column n set statistics 10", "nothing"),
    Case("alter table t alter column n set (n_distinct = 5)", "nothing"),
    Case("alter table t alter column n reset (n_distinct)", "nothing"),
    Case("alter table t alter column v set storage external", "nothing"),
    Case("alter table t alter column v set compression pglz", "nothing"),
    # Constraints
    Case("alter table t add constraint c check (n is distinct from -1)", "nothing"),
    Case("alter table t add constraint c check (n is distinct from -1) not valid; alter table t validate constraint c", "nothing"),
    Case("alter table t add constraint c foreign key (other) references elsewhere not valid", "nothing"),
    Case("alter table t add constraint c foreign key (other) references elsewhere not valid; alter table t alter constraint c deferrable", "nothing"),
    Case("create unique index u on t (n); alter table t add constraint u unique using index u", "nothing"),
    Case("alter table t add constraint c exclude using btree (v with =)", "nothing"),
    Case("alter table t drop constraint t_other_key", "nothing"),
    Case("alter table t drop constraint t_pkey", "alter", after="insert into t (id) values (100)"),
    Case("alter table t drop constraint t_pkey; alter table t add primary key (id)", "alter"),
    Case("alter table t drop constraint t_pkey; alter table t add primary key (id, other)", "alter", after="insert into t (id, other) values (100, 100)"),
    Case("create unique index u on t (id); alter table t drop constraint t_pkey, add primary key using index u", "nothing"),
    # Triggers and rules
    Case("alter table t disable trigger \"!paysync_row\"", "gap"),
    Case("alter table t disable trigger all", "gap"),
    Case("alter table t disable trigger user", "gap"),
    Case("alter table t disable trigger \"!paysync_row\"; alter table t enable always trigger \"!paysync_row\"", "gap"),
    Case("alter table t disable trigger \"!paysync_row\"; update t set v = 'unseen'; alter table t enable always trigger \"!paysync_row\"", "gap"),
    Case("alter table t disable trigger \"!paysync_truncate\"", "gap"),
    # Ours is put back to ALWAYS at once.
    Case("alter table t enable trigger \"!paysync_row\"", "nothing", after=AS_REPLICA),
    Case("alter table t enable replica trigger \"!paysync_row\"", "nothing", after=AS_REPLICA),
    Case("alter table t disable trigger all; alter table t enable trigger all", "gap", after=AS_REPLICA),
    Case("alter table t enable always trigger \"!paysync_row\"", "nothing"),
    Case("create function f() returns trigger language plpgsql as 'begin return null; end'; create trigger mine after insert on t for each row "
         "execute function f(); alter table t disable trigger mine; alter table t enable trigger mine", "nothing"),
    Case("create rule r as on delete to elsewhere do nothing; alter table elsewhere disable rule r; alter table elsewhere enable always rule r", "nothing"),
    # What a table has besides
    Case("alter table t enable row level security; alter table t force row level security; alter table t no force row level security; "
         "alter table t disable row level security", "nothing"),
    Case("alter table t cluster on t_pkey; alter table t set without cluster", "nothing"),
    Case("alter table t set without oids", "nothing"),
    Case("alter table t set access method heap", "nothing"),
    Case("alter table t set tablespace pg_default", "nothing"),
    Case("alter table t set unlogged", "gap", after=""),
    Case("alter table t set unlogged; alter table t set logged", "gap"),
    Case("alter table t set (fillfactor = 70)", "nothing"),
    Case("alter table t reset (fillfactor)", "nothing"),
    Case("create type row_of as (id int, v text); create table typed of row_of; alter table typed not of; alter table typed of row_of", "nothing"),
    Case("alter table t owner to current_user", "nothing"),
    Case("alter table t replica identity full", "nothing"),
    # INHERIT
    parents("alter table loose inherit t", "nothing"),
    parents("alter table loose_full inherit t", "gap", empty="gap"),
    parents("alter table child no inherit t", "gap", empty="nothing"),
    parents("create table newborn () inherits (t)", "nothing"),
    parents("create table newborn () inherits (t); insert into newborn values (40, 'n')", "insert"),
    parents("alter table t add column c int default 3", "alter"),
    parents("alter table t rename column v to w", "alter"),
    parents("alter table child add column more int", "nothing"),
    parents("alter table child drop column extra", "nothing"),
    parents("alter table child rename to kid", "nothing"),
    parents("drop table child", "gap"),
    parents("alter table child disable trigger \"!paysync_row\"", "gap"),
    # Partitions
    partitions("alter table t attach partition loose for values from (30) to (40)", "nothing"),
    partitions("alter table t attach partition loose_full for values from (30) to (40)", "gap", empty="gap"),
    partitions("alter table t_high attach partition loose for values from (20) to (30)", "nothing"),
    partitions("alter table t detach partition t_low", "gap", empty="nothing", after="insert into {} (id) values (19)"),
    partitions("alter table t_high detach partition t_high_1", "gap", empty="nothing"),
    partitions("alter table t detach partition t_low concurrently", "gap", empty="nothing", alone=True, after="insert into {} (id) values (19)"),
    partitions("create table t_new partition of t for values from (50) to (60)", "nothing"),
    partitions("create table t_new partition of t default; insert into t values (70, 'far')", "insert"),
    partitions("drop table t_low", "gap", after="insert into {} (id) values (19)"),
    partitions("drop table t_high", "gap"),
    partitions("truncate t_low", "gap", empty="any"),
    partitions("truncate t", "truncate"),
    partitions("alter table t_low disable trigger \"!paysync_row\"", "gap"),
    partitions("alter table t_low set unlogged", "gap"),
    partitions("alter table t_low rename to t_first", "nothing"),
    partitions("alter table t add column c int default 5", "alter"),
    partitions("alter table t add column c float8 default random()", "alter+gap"),
    partitions("alter table t drop column v", "alter"),
    partitions("alter table t alter column id type bigint", "refused"),
    partitions("alter table t rename to renamed", "alter", table="renamed"),
]
OTHERS = [
    Case("truncate t", "truncate"),
    Case("truncate elsewhere", "nothing"),
    Case("drop table t", "gap", after=""),
    Case("drop table t, elsewhere", "gap", after=""),
    Case("drop schema {s} cascade", "gap", after=""),
    Case("alter schema {s} rename to {s}_other", "alter", table="{s}_other.t"),
    Case("drop trigger \"!paysync_row\" on t", "gap"),
    Case("drop trigger \"!paysync_truncate\" on t", "gap"),
    Case("alter type mood rename value 'sad' to 'blue'", "gap", empty="any"),
    Case("alter type mood add value 'wild'", "nothing"),
    Case("alter type mood rename to feeling", "alter"),
    Case("create schema {s}_types; alter type mood set schema {s}_types", "alter"),
    Case("alter type pair add attribute z int", "gap", empty="any"),
    Case("alter type pair drop attribute x", "gap", empty="any"),
    Case("alter type pair rename attribute x to xx", "nothing"),
    Case("alter type pair rename to couple", "alter"),
    Case("alter domain short_text set default 'x'", "nothing"),
    Case("alter domain short_text add check (value <> 'no')", "nothing"),
    Case("alter domain short_text rename to shorter", "alter"),
    Case("drop type mood cascade", "alter"),
    Case("drop domain short_text cascade", "alter"),
    Case("drop index t_other_key", "refused"),
    Case("create index i on t (v); reindex index i; drop index i", "nothing"),
    Case("create index concurrently i on t (v)", "nothing", alone=True),
    Case("reindex table concurrently t", "nothing", alone=True),
    Case("cluster t using t_pkey", "nothing", alone=True),
    Case("vacuum full t", "nothing", alone=True),
    Case("vacuum (freeze, analyze) t", "nothing", alone=True),
    Case("analyze t", "nothing"),
    Case("comment on table t is 'c'; comment on column t.v is 'c'; grant select on t to public; create statistics st on n, v from t", "nothing"),
    Case("create policy mine on t using (true)", "nothing"),
    Case("create view seen as select * from t; create materialized view kept as select * from t; refresh materialized view kept", "nothing"),
    Case("create table copied as select * from t; create table like_t (like t including all); create temp table aside (id int) on commit drop", "nothing"),
    Case("create publication pub_{s} for table t; drop publication pub_{s}", "nothing"),
    Case("alter sequence s_{s} increment by 2", "nothing", setup=SETUP + "create sequence s_{s};"),
    Case("set local paysync.enabled = off; update t set v = 'unseen'; set local paysync.enabled = on", "gap", empty="nothing"),
    Case("set local paysync.enabled = off; insert into t (id) values (50), (51); delete from t where id = 51; set local paysync.enabled = on", "gap"),
    Case("set local session_replication_role = replica; insert into t (id) values (50); set local session_replication_role = origin", "insert"),
]


def altered(arguments: str, expect: str, **more) -> Case:
    """A case of alter_registration()."""
    return Case(f"select paysync.alter_registration('t', {arguments})", expect, **{"empty": "any", "after": None, **more})


REGISTRATION = [
    altered("old_values => 'full'", "nothing"),
    altered("old_values => 'none'", "nothing"),
    altered("new_columns => 'withhold'", "nothing"),
    altered("""options => '{"skip_unchanged": true}'""", "nothing"),
    altered("columns => '{id, v}'", "alter+gap"),
    altered("row_filter => 'id > 2'", "gap"),
    altered("""masks => '{"v": "last4"}'""", "gap"),
    altered("masks => '{}', allow_unmask => true", "gap", options=""", masks => '{"v": "null"}'"""),
    altered("key_columns => '{other}'", "alter+gap", setup=SETUP + "alter table t alter column other set not null;"),
    altered("channel => 'elsewhere'", "gap"),
    altered("operations => '{insert}'", "gap"),
    altered("""options => '{"replica": false}'""", "gap"),
    Case("select paysync.register('t')", "nothing"),
    Case("select paysync.unregister('t')", "any", after=None),
    Case("select paysync.set_mask_key('key_{s}', '\\x202122232425262728292a2b2c2d2e2f')", "gap",
         setup="select paysync.set_mask_key('key_{s}', 'sixteen bytes or more');" + SETUP, options=""", masks => '{"v": {"mask": "hmac", "key": "key_{s}"}}'""", empty="any", after=None),
]
CASES = ALTER_TABLE + OTHERS + REGISTRATION
