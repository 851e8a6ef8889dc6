"""Random statements on tables whose own triggers change other rows, so that changes are captured in another order than they happen."""

import random
import string

import psycopg

TABLES = ["owner", "item", "journal"]

TABLES_SQL = """
create table owner (id int primary key, name text not null, balance int not null default 0, note text);
create table item (
    id int primary key, code int unique, qty int not null default 0, note text,
    owner int references owner {main_key}, rival int references owner {rival_key});
create table journal (id int primary key, what text not null, item int, amount int, check (amount is distinct from -1));
"""
# The target's keys do nothing by themselves, so all that the source's did must come in the stream. They are checked at the commit:
# at the source too a key is broken for a moment, between a parent's change and what follows from it.
TARGET = TABLES_SQL.format(main_key="deferrable initially deferred", rival_key="deferrable initially deferred")

# Depth 1 is the statement's own triggers: a few levels of mutual calls, then an end.
TRIGGERS_SQL = """
create sequence journal_id;

create function enter(what text, item int, amount int) returns void language sql
as $$ insert into journal values (nextval('journal_id'), what, item, amount) $$;

create function bring_parent() returns trigger language plpgsql as $$ begin
    insert into owner (id, name) values (new.owner, 'brought') on conflict (id) do nothing;
    new.qty := coalesce(new.qty, 0) + 1;
    return new;
end $$;
create trigger before_parent before insert on item for each row when (new.owner is not null) execute function bring_parent();

create function touch_itself() returns trigger language plpgsql as $$ begin
    update item set qty = qty + 10 where id = new.id;
    return null;
end $$;
create trigger a after insert on item for each row when (new.id % 3 = 0) execute function touch_itself();

create function touch_sibling() returns trigger language plpgsql as $$ begin
    update item set qty = qty + 100, note = left(note, 20) where id in (new.id + 1, new.id - 2);
    return null;
end $$;
create trigger m after insert or update on item for each row
    when (new.id % 2 = 0 and pg_trigger_depth() < 2) execute function touch_sibling();

create function remove_neighbour() returns trigger language plpgsql as $$ begin
    delete from item where id = new.id + 1;
    return null;
end $$;
create trigger p after insert or update on item for each row
    when (new.id % 11 = 0 and pg_trigger_depth() < 3) execute function remove_neighbour();

create function write_journal() returns trigger language plpgsql as $$ begin
    perform enter(lower(tg_op), coalesce(new.id, old.id), coalesce(new.qty, old.qty));
    update journal set amount = amount + 1 where id = currval('journal_id') and item % 4 = 0;
    return null;
end $$;
create trigger zz after insert or update or delete on item for each row
    when (pg_trigger_depth() < 3) execute function write_journal();

create function at_the_end() returns trigger language plpgsql as $$ begin
    perform enter('at the end', new.id, new.qty);
    return null;
end $$;
create constraint trigger late after insert on item deferrable initially deferred for each row
    when (new.id % 5 = 0) execute function at_the_end();

create function follow_owner() returns trigger language plpgsql as $$ begin
    update item set qty = qty + 1000 where owner = new.id or owner = new.id + 1;
    return null;
end $$;
create trigger k after update on owner for each row when (pg_trigger_depth() < 2) execute function follow_owner();

create function leave_owner() returns trigger language plpgsql as $$ begin
    update item set qty = qty - 1000, rival = null where owner = old.id + 1;
    insert into owner (id, name) values (old.id + 500, 'heir') on conflict (id) do update set balance = owner.balance + 1;
    return null;
end $$;
create trigger c after delete on owner for each row when (pg_trigger_depth() < 2) execute function leave_owner();

-- Upper case, so it comes before the triggers of foreign keys, which are named RI_...
create trigger "B" after update on owner for each row when (new.id % 2 = 1 and pg_trigger_depth() < 2) execute function follow_owner();

select paysync.register('owner'), paysync.register('item'), paysync.register('journal');
"""
SOURCE = TABLES_SQL.format(main_key="on update cascade on delete cascade", rival_key="on update cascade on delete set null") + TRIGGERS_SQL

# What random statements may run into; the statement is given up, the transaction goes on.
EXPECTED = (psycopg.errors.IntegrityError, psycopg.errors.CardinalityViolation, psycopg.errors.TriggeredDataChangeViolation,
            psycopg.errors.RaiseException, psycopg.errors.ObjectInUse)


class Disorder:
    """A session that runs random transactions on the source's tables."""

    def __init__(self, database, seed: int):
        self.session = database.connect()
        self.chance = random.Random(seed)
        self.counts = {"statements": 0, "failed": 0, "committed": 0}

    def transaction(self) -> None:
        """One transaction of several statements, some of them in savepoints; one of twenty is rolled back."""
        with self.session.transaction() as whole:
            for _ in range(self.chance.choice([1, 1, 2, 3, 5, 8])):
                self._step(0)
            self._statement("set constraints all immediate")
            if self.chance.random() < 0.05:
                raise psycopg.Rollback(whole)
            self.counts["committed"] += 1

    def _step(self, depth: int) -> None:
        if depth < 3 and self.chance.random() < 0.3:
            with self.session.transaction() as savepoint:
                for _ in range(self.chance.randint(1, 4)):
                    self._step(depth + 1)
                if self.chance.random() < 0.4:
                    raise psycopg.Rollback(savepoint)
            return
        action = self.chance.choice(ACTIONS)
        with self.session.transaction() as savepoint:
            try:
                action(self)
            except EXPECTED:
                self.counts["failed"] += 1
                raise psycopg.Rollback(savepoint) from None
            self.counts["statements"] += 1

    def _statement(self, statement: str, **parameters) -> None:
        self.session.execute(statement, parameters or None)

    def _items(self) -> dict:
        low = self.chance.randint(1, 80)
        return {"low": low, "high": low + self.chance.choice([0, 1, 5, 15])}

    def _owner(self) -> int:
        return self.chance.randint(1, 12)

    def _note(self) -> str:
        size = self.chance.choice([0, 5, 200, 3000, 9000, 40000])
        return "".join(self.chance.choices(string.ascii_letters, k=20)) * (size // 20)

    def insert_items(self) -> None:
        """Several rows, the parents of which may be missing."""
        conflict = self.chance.choice(["do nothing", "do update set qty = item.qty + excluded.qty, note = excluded.note"])
        self._statement(f"""insert into item (id, code, owner, rival, note) select i, i + %(shift)s, 1 + i %% %(owners)s, %(rival)s, %(note)s
            from generate_series(%(low)s::int, %(high)s::int) as i on conflict (id) {conflict}""", **self._items(), note=self._note(),
                        shift=self.chance.choice([0, 0, 1000]), owners=self._owner(), rival=self.chance.choice([None, 1, 2]))

    def update_items(self) -> None:
        """Several rows, some with a new owner."""
        self._statement("""update item set qty = qty + 1, owner = case when id %% 2 = 0 then owner else %(owner)s end, note = %(note)s
            where id between %(low)s and %(high)s""", **self._items(), owner=self._owner(), note=self._note())

    def move_keys(self) -> None:
        """Keys that other rows of the statement had: right only in the order in which the rows changed."""
        column = self.chance.choice(["id", "code"])
        self._statement(f"update item set {column} = {column} + %(by)s where id between %(low)s and %(high)s", **self._items(),
                        by=self.chance.choice([-1, 1, 100, -100]))

    def delete_items(self) -> None:
        """Several rows."""
        self._statement("delete from item where id between %(low)s and %(high)s", **self._items())

    def copy_items(self) -> None:
        """COPY with parents that a BEFORE trigger brings."""
        first = self.chance.randint(200, 260)
        with self.session.cursor() as cursor, cursor.copy("copy item (id, owner, qty, note) from stdin") as copy:
            for row in range(first, first + self.chance.randint(1, 6)):
                copy.write_row((row, self.chance.randint(1, 20), row, self._note()))

    def move_owner(self) -> None:
        """A parent's key, with the children's keys by cascade."""
        self._statement("update owner set id = id + %(by)s, balance = balance + 1 where id between %(owner)s and %(owner)s + %(more)s",
                        by=self.chance.choice([0, 1, 20, -20]), owner=self._owner(), more=self.chance.choice([0, 1, 3]))

    def delete_owner(self) -> None:
        """A parent, with its children by cascade."""
        self._statement("delete from owner where id between %(owner)s and %(owner)s + %(more)s", owner=self._owner(),
                        more=self.chance.choice([0, 1]))

    def merge_items(self) -> None:
        """All three actions in one statement."""
        self._statement("""merge into item using (select i from generate_series(%(low)s::int, %(high)s::int) as i) as given on item.id = given.i
            when matched and item.id %% 3 = 0 then delete when matched then update set qty = qty + 5
            when not matched then insert (id, owner, qty) values (i, %(owner)s, 7)""", **self._items(), owner=self._owner())

    def archive(self) -> None:
        """Several tables in one statement."""
        self._statement("""with gone as (delete from item where id between %(low)s and %(high)s returning id, qty, owner),
                touched as (update owner set balance = balance + 1 where id %% 3 = 0 returning id)
            insert into journal select nextval('journal_id'), 'archived', id, qty from gone""", **self._items())

    def run_blocks(self) -> None:
        """Exception blocks, half of which fail, some inside others."""
        self._statement("""do $$ begin
            for i in 1 .. 6 loop
                begin
                    insert into item (id, owner, qty, note) values (300 + i, i, 1, repeat('x', i * 1000)) on conflict (id) do update set qty = item.qty + 1;
                    begin
                        update item set qty = qty + 1 where id between 300 and 300 + i;
                        if i % 3 = 0 then raise exception 'inner'; end if;
                    exception when raise_exception then perform enter('inner failed', i, null);
                    end;
                    if i % 2 = 0 then raise exception 'outer'; end if;
                exception when raise_exception then perform enter('outer failed', i, null);
                end;
            end loop;
        end $$""")

    def truncate(self) -> None:
        """Seldom: one table, or several at once."""
        if self.chance.random() < 0.1:
            self._statement("set constraints all immediate")  # a waiting trigger forbids it
            self._statement(self.chance.choice(["truncate journal", "truncate item", "truncate owner, item, journal"]))

    def close(self) -> None:
        """Close its connection."""
        self.session.close()


ACTIONS = [Disorder.insert_items] * 3 + [Disorder.update_items] * 2 + [Disorder.move_owner] * 2 + [
    Disorder.move_keys, Disorder.delete_items, Disorder.copy_items, Disorder.delete_owner, Disorder.merge_items, Disorder.archive,
    Disorder.run_blocks, Disorder.truncate]
