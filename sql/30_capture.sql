-- What is written in C: the trigger function, and what registration asks of it. All but capture() are for the functions of
-- this script; nobody is granted them.

-- Symbols of functions that look into the ring, here and where ticks are cut, are not those of 0.2: a session that still holds that
-- library, which takes the ring for one table, cannot find them and says so.
CREATE OR REPLACE FUNCTION capture() RETURNS trigger LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_capture_change';

-- The shape that changes of this relation are written with now.
CREATE OR REPLACE FUNCTION note_shape(table_name regclass) RETURNS bigint STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_note_shape';

-- A gap in the channel of a shape, whose table may be gone.
CREATE OR REPLACE FUNCTION record_gap(shape bigint, reason text) RETURNS void STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_record_gap';

-- The shape as it is now; an alter, if it is not the previous one.
CREATE OR REPLACE FUNCTION record_alter(table_name regclass, previous bigint) RETURNS bigint STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_record_alter';

CREATE OR REPLACE FUNCTION shape_columns(shape bigint) RETURNS TABLE (number integer, name text, type text, form integer)
STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_shape_columns';

-- The canonical text of a row filter; an error if it cannot be one.
CREATE OR REPLACE FUNCTION check_row_filter(table_name regclass, filter text) RETURNS text STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_check_row_filter';

-- What a canonical row filter stands on: columns with number, name and type, and functions.
CREATE OR REPLACE FUNCTION filter_uses(table_name regclass, filter text) RETURNS text[] STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_filter_uses';

-- Has the whole tree no row, as of now, whatever the transaction's snapshot?
CREATE OR REPLACE FUNCTION is_empty(table_name regclass) RETURNS boolean STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_is_empty';

-- Lets every session read the relation's registration again.
CREATE OR REPLACE FUNCTION forget(table_name regclass) RETURNS void STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_forget';

-- Runs a command of ours, of which our event triggers take no notice.
CREATE OR REPLACE FUNCTION own_command(command text) RETURNS void STRICT LANGUAGE c AS 'MODULE_PATHNAME', 'paysync_own_command';

CREATE OR REPLACE FUNCTION emit(channel text, type text, payload jsonb, key text DEFAULT NULL, headers jsonb DEFAULT '{}')
RETURNS void LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'paysync_emit_event';
COMMENT ON FUNCTION emit IS 'an explicit event, which commits or vanishes with the transaction';
