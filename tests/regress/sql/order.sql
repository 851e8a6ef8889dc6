-- Inside a transaction changes stand in the order in which the rows changed, whatever triggers recorded them in between: applied one by one, with all constraints on, they give the same tables.
\getenv abs_srcdir PG_ABS_SRCDIR
\set fresh :abs_srcdir /lib/fresh.sql
\i :fresh
CREATE TABLE customers (id int PRIMARY KEY);
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, total int, note text);
CREATE TABLE log (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, order_id int, what text);
CREATE TABLE settings (pad text);
INSERT INTO settings VALUES ('');
CALL tools.copy_tables('customers', 'orders', 'log');
ALTER TABLE replica.log ALTER id DROP IDENTITY;
ALTER TABLE replica.orders ADD FOREIGN KEY (customer) REFERENCES replica.customers;
CREATE FUNCTION pad() RETURNS text LANGUAGE sql STABLE AS $$ SELECT pad FROM shop.settings $$;
-- A user's trigger before ours by name of letters, and one behind: both act on what is being changed.
CREATE FUNCTION make_customer() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO shop.customers VALUES (new.customer) ON CONFLICT DO NOTHING;
    RETURN new;
END $$;
CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF pg_trigger_depth() > 1 THEN
        RETURN NULL;
    END IF;
    INSERT INTO shop.log (order_id, what) VALUES (coalesce(new.id, old.id), TG_ARGV[0] || ' ' || TG_OP || shop.pad());
    CASE TG_ARGV[0]
        WHEN 'itself' THEN UPDATE shop.orders SET total = total + 1, note = note || shop.pad() WHERE id = new.id;
        WHEN 'sibling' THEN UPDATE shop.orders SET total = total * 2 WHERE id = new.id + 1;
        WHEN 'remove' THEN DELETE FROM shop.orders WHERE id = new.id - 1 AND total < 0;
        WHEN 'again' THEN
            DELETE FROM shop.orders WHERE id = new.id AND id % 5 = 0;
            INSERT INTO shop.orders SELECT new.id, new.customer, 77, 'again' || shop.pad() WHERE new.id % 5 = 0;
    END CASE;
    RETURN NULL;
END $$;
CREATE TRIGGER make BEFORE INSERT ON orders FOR EACH ROW EXECUTE FUNCTION make_customer();
CREATE TRIGGER a_sibling AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION meddle('sibling');
CREATE TRIGGER "0_itself" AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION meddle('itself');
CREATE TRIGGER "A_remove" AFTER UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION meddle('remove');
CREATE TRIGGER zz_again AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION meddle('again');
SELECT paysync.register('customers'), paysync.register('orders'), paysync.register('log');
-- The parent made by a BEFORE trigger comes before its child, the statement's own row before what triggers made of it.
INSERT INTO orders VALUES (1, 10, 1, ''), (2, 20, 2, '');
SELECT table_name, op, coalesce(new, key) AS row FROM tools.news();
UPDATE orders SET total = total + 100;
SELECT table_name, op, coalesce(new, key) AS row FROM tools.news();
-- A sibling that the same statement changes later keeps what the statement did.
INSERT INTO orders SELECT n, n % 4, n, 'many' FROM generate_series(3, 40) AS n;
UPDATE orders SET total = -total WHERE id % 2 = 0;
DELETE FROM orders WHERE id % 7 = 0;
BEGIN;
UPDATE orders SET total = total + 1;
SAVEPOINT s;
UPDATE orders SET total = 1000 WHERE id < 10;
ROLLBACK TO s;
INSERT INTO orders SELECT n, n % 6, n, 'more' FROM generate_series(100, 120) AS n;
UPDATE orders SET id = id + 1000 WHERE id >= 100;
COMMIT;
-- The same where rows are large, so that most of it is written before the transaction ends.
UPDATE settings SET pad = repeat('p', 700);
BEGIN;
INSERT INTO orders SELECT n, n % 6, n, 'large' FROM generate_series(200, 260) AS n;
UPDATE orders SET total = total + 1, note = 'l' WHERE id BETWEEN 200 AND 300;
DELETE FROM orders WHERE id BETWEEN 230 AND 240;
COMMIT;
-- An outer statement that is still going on while a savepoint inside it is rolled back or released.
CREATE FUNCTION risky() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        UPDATE shop.orders SET total = total + 5, note = repeat('q', new.id * 61 % 9000) WHERE id = new.id - 1;
        IF new.id % 2 = 0 THEN
            RAISE SQLSTATE 'ZZ001';
        END IF;
    EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
        NULL;
    END;
    RETURN NULL;
END $$;
CREATE TRIGGER risky AFTER INSERT ON orders FOR EACH ROW EXECUTE FUNCTION risky();
INSERT INTO orders SELECT n, n % 6, n, 'risky' FROM generate_series(400, 440) AS n;
-- Writing CTEs see the same snapshot; cascades and deferred constraints come behind.
WITH a AS (UPDATE orders SET total = 5 WHERE id = 1 RETURNING id), b AS (DELETE FROM orders WHERE id = 2 RETURNING id)
INSERT INTO orders SELECT id + 5000, 1, id, 'cte' FROM a UNION ALL SELECT id + 6000, 1, id, 'cte' FROM b;
CALL tools.replay();
SELECT tools.compare('customers'), tools.compare('orders'), tools.compare('log');
-- Ours is the first trigger by name, so that each row sets its anchor.
SELECT tgname FROM pg_trigger WHERE tgrelid = 'orders'::regclass AND NOT tgisinternal ORDER BY tgname LIMIT 1;
