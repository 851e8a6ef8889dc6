"""Every type that a column can have, with values at its edges as SQL expressions."""

# Made in the source before the copy is copied from it, so that types have the same numbers in both.
TYPES = """
create extension hstore;
create extension citext;
create type mood as enum ('sad', 'fine', 'so "so"', '', 'à,{}');
create type money_of as (amount numeric(12,2), currency char(3), at timestamptz);
create type parcel as (label text, price money_of, tags text[], mood mood, "a column" bytea);
create domain positive as numeric check (value > 0);
create domain short_text as varchar(20);
create domain moment as timestamptz;
create domain document as jsonb;
create domain moods as mood[];
create domain price as money_of check ((value).amount is distinct from -1);
create domain small_positive as positive check (value < 1000);
create type span as range (subtype = timestamptz);
create type float_range as range (subtype = float8, subtype_diff = float8mi);
create table as_type (a int, gone int, b text);
alter table as_type drop column gone;
"""
BIG_TEXT = "repeat('long ', 20000)"
BUILT_IN = {
    "smallint": ["-32768", "32767", "0"],
    "integer": ["-2147483648", "2147483647", "-1"],
    "bigint": ["-9223372036854775808", "9223372036854775807", "-129", "256", "4294967296"],
    "oid": ["4294967295", "0"],
    "boolean": ["true", "false"],
    "numeric": ["'NaN'", "'Infinity'", "'-Infinity'", "0", "0.00", "'1e-1000'", "'-1e1000'", "repeat('9', 1000)", "1.10", "1.1000",
                "'0.' || repeat('0', 300) || '1'", "repeat('9', 131072)", "'0.' || repeat('7', 16383)", "'-0.0'"],
    "numeric(12,2)": ["9999999999.99", "-0.01", "1.50", "'NaN'"],
    "numeric(5,-2)": ["12300", "-99900"],
    "numeric(3,5)": ["0.00123"],
    "real": ["'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "0", "1.1", "3.4028235e38", "1.4e-45", "-1e-20", "16777217"],
    "double precision": ["'NaN'", "'Infinity'", "'-Infinity'", "'-0'", "0.1", "1.7976931348623157e308", "5e-324", "123456789.123456789", "1e15", "1e16", "-1e22"],
    "money": ["'-92233720368547758.08'", "'92233720368547758.07'", "0", "-0.01"],
    "text": ["''", "' '", "E'\\n\\t\\\\ \\'\"\\r'", "U&'\\00e4\\20ac\\+01f600'", "E'\\x01\\x7f'", BIG_TEXT, "'NULL'", "'{}'", "U&'a\\0308\\200f'"],
    "character varying": ["'abc  '", "''", "'null'"],
    "character varying(80)": ["'abc  '", "''"],
    "character(10)": ["'abc'", "''", "'  x'", "'ä'"],
    "character(1)": ["'a'", "''"],
    '"char"': ["'a'", "''", "'\\'"],
    "name": ["'pg_class'", "''", "repeat('n', 63)"],
    "bytea": ["''", "'\\x00ff00'", "decode(repeat('00ff', 20000), 'hex')", "'\\x5c'", "E'\\\\\\\\000'"],
    "date": ["'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'2024-02-29'", "'0001-01-01'", "'0001-12-31 BC'", "'2000-01-01'",
             "'9999-12-31'", "'10000-01-01'"],
    "time": ["'00:00'", "'24:00'", "'23:59:59.999999'"],
    "time(2)": ["'12:34:56.789'"],
    "time with time zone": ["'00:00+15:59:59'", "'24:00-15:59'", "'12:00:00.5+02'"],
    "timestamp": ["'infinity'", "'-infinity'", "'4713-01-01 00:00 BC'", "'294276-12-31 23:59:59.999999'", "'0001-01-01'", "'0001-12-31 BC'",
                  "'9999-12-31 23:59:59.999999'", "'10000-01-01'", "'2000-01-01'", "'1999-12-31 23:59:59.999999'", "'0001-12-31 23:59:59.999999 BC'"],
    "timestamp(0)": ["'2024-01-01 00:00:00.6'"],
    "timestamp with time zone": ["'infinity'", "'-infinity'", "'4713-01-01 00:00+00 BC'", "'294276-12-31 23:59:59.999999+00'",
                                 "'2024-03-31 02:30 Europe/Berlin'", "'0001-01-01 00:00+00'", "'1900-01-01 00:00 Europe/Amsterdam'"],
    "interval": ["'0'", "'1 year -2 months 3 days -04:05:06.789'", "'-178000000 years'", "'1 mon -1 day'", "'-0.000001 s'", "'2562047788:00:54.775807'"],
    "interval day to second(3)": ["'1 2:3:4.5678'"],
    "interval year to month": ["'-1-2'"],
    "uuid": ["'00000000-0000-0000-0000-000000000000'", "'ffffffff-ffff-ffff-ffff-ffffffffffff'"],
    "json": ["'{\"a\" : 1.00, \"a\":2,  \"b\": [1e400]}'", "'null'", "'\"\\u00e4\"'", "' [ ] '", "'{\"a\":\"\\u0000\"}'", "E'[1,\\n\\t2]'"],
    "jsonb": ["'{\"a\" : 1.00, \"b\": [12345678901234567890.12345678901234567890]}'", "'null'", "'\"ä\"'", "'[[], {}]'", "'1e400'", "'{\"b\":1,\"aa\":2}'"],
    "jsonpath": ["'$.a[*] ? (@ > 1)'", "'strict $.\"a b\".type()'"],
    "xml": ["'<a b=\"1\">&amp;</a>'", "'only <b/> text'", "''", "'<?xml version=\"1.0\"?><a>ä</a>'", "xmlelement(name a, '\\x00ff'::bytea)"],
    "inet": ["'192.168.0.1/24'", "'::1'", "'::ffff:1.2.3.4/96'", "'0.0.0.0/0'"],
    "cidr": ["'10.0.0.0/8'", "'2001:db8::/32'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "macaddr8": ["'08:00:2b:01:02:03:04:05'"],
    "bit": ["B'1'"],
    "bit(5)": ["B'10101'"],
    "bit varying": ["B''", "B'1'", "(repeat('10', 5000))::varbit"],
    "bit varying(3)": ["B'011'"],
    "point": ["'(1.5,-0)'", "'(Infinity,NaN)'", "'(1e-320,0.1)'"],
    "line": ["'{1,-1,0.1}'"],
    "lseg": ["'[(0,0),(1,0.3)]'"],
    "box": ["'(1,1),(0,0)'", "'(1e300,0.1),(-0.1,-1e300)'"],
    "path": ["'[(0,0),(1,1)]'", "'((0,0),(1,1))'"],
    "polygon": ["'((0,0),(1,1),(2,0.1))'"],
    "circle": ["'<(0,0.1),1>'"],
    "tsvector": ["'a:1A b:2 ''it''''s'':3'", "''", "'ä'"],
    "tsquery": ["'a & !b | c:*'", "''", "'a <-> (b & c)'", "'''it''''s'''"],
    "pg_lsn": ["'FFFFFFFF/FFFFFFFF'", "'0/0'"],
    "pg_snapshot": ["'10:20:10,14,15'"],
    "txid_snapshot": ["'10:20:10,14,15'"],
    "xid": ["'4294967295'"],
    "xid8": ["'18446744073709551615'"],
    "cid": ["'4294967295'"],
    "tid": ["'(4294967295,65535)'", "'(0,1)'"],
    "refcursor": ["'a cursor'"],
    "aclitem": ["'postgres=arwdDxt/postgres'", "'=r/postgres'"],
    "int2vector": ["'1 2 -3'", "''"],
    "oidvector": ["'1 2 4294967295'", "''"],
    "regclass": ["'pg_catalog.pg_class'", "'as_type'", "0", "999999"],
    "regtype": ["'int4'", "'mood'", "'mood[]'", "0"],
    "regproc": ["'pg_catalog.now'", "0"],
    "regprocedure": ["'pg_catalog.abs(numeric)'", "'citext(boolean)'"],
    "regoper": ["'pg_catalog.||/'", "0"],
    "regoperator": ["'pg_catalog.+(int4,int4)'"],
    "regrole": ["'postgres'"],
    "regnamespace": ["'pg_catalog'", "'public'"],
    "regconfig": ["'english'"],
    "regdictionary": ["'simple'"],
    "regcollation": ["'\"C\"'", "'\"default\"'"],
    "int4range": ["'empty'", "'[1,5)'", "'(,)'", "'[1,)'"],
    "int8range": ["'[-9223372036854775808,9223372036854775807)'"],
    "numrange": ["'[1.10,2.0)'", "'(NaN,]'"],
    "daterange": ["'[2024-01-01,infinity]'", "'[0044-03-15 BC,)'"],
    "tsrange": ["'[\"2024-01-01 00:00\",infinity)'"],
    "tstzrange": ["'[\"2024-01-01 00:00+00\",infinity)'", "'empty'"],
    "int4multirange": ["'{}'", "'{[1,3),[5,7)}'"],
    "int8multirange": ["'{[1,3)}'"],
    "nummultirange": ["'{[1.10,2.00],(3,)}'"],
    "datemultirange": ["'{[2024-01-01,2024-01-02),(infinity,)}'"],
    "tsmultirange": ["'{[2024-01-01,2024-01-02)}'"],
    "tstzmultirange": ["'{[\"2024-01-01 00:00+05\",)}'"],
}
# Made from those above, in every way that CREATE TYPE and CREATE DOMAIN have, and from extensions.
OURS = {
    "span": ["'[\"0044-03-15 00:00+00 BC\",)'"],
    "span_multirange": ["'{[2024-01-01 00:00+00,2024-01-02 00:00+00)}'"],
    "float_range": ["'[0.1,1e300)'"],
    "float_multirange": ["'{[0.1,1e300)}'"],
    "mood": ["'sad'", "'so \"so\"'", "''", "'à,{}'"],
    "money_of": ["row(1.50, 'EUR', '2024-01-01 00:00+00')", "row(null, null, null)", "row(0, '\"', 'infinity')"],
    "parcel": ["row('a \"label\", (with) \\ all', row(1.50, 'EUR', 'infinity'), array['{', null, ''], 'so \"so\"', '\\x00ff')",
               "row('', row(null, null, null), '{}', null, '')"],
    "as_type": ["row(1, 'b')"],
    "positive": ["0.000000000001", "'NaN'", "1.0"],
    "small_positive": ["999.90"],
    "short_text": ["'x'", "''"],
    "moment": ["'-infinity'", "'2024-01-01 00:00:00.000001+00'"],
    "document": ["'{\"b\": 1, \"a\": 2}'"],
    "moods": ["array['sad', null, 'so \"so\"']::mood[]", "'{}'"],
    "price": ["row(1.50, 'EUR', null)"],
    "hstore": ["'a=>1, \"b c\"=>NULL, \"\"=>\"\\\"\"'", "''"],
    "citext": ["'aBc'", "''"],
}
VALUES = {**BUILT_IN, **OURS}
# Types of the catalogs that no user's table can hold and give back: their input functions refuse every value.
UNREADABLE = {name: "its input function refuses every value" for name in (
    "gtsvector", "pg_brin_bloom_summary", "pg_brin_minmax_multi_summary", "pg_dependencies", "pg_mcv_list", "pg_ndistinct", "pg_node_tree")}
# Whose elements could not stand in an array: PostgreSQL takes them for arrays themselves.
NO_ARRAY = {"int2vector", "oidvector"}
# Settings that change how values are printed or read.
HOSTILE = """set datestyle = 'SQL, DMY'; set intervalstyle = 'iso_8601'; set timezone = 'Asia/Kolkata'; set extra_float_digits = -5;
set bytea_output = 'escape'; set lc_monetary = 'C.UTF-8'; set xmlbinary = 'hex'; set quote_all_identifiers = on; set lc_numeric = 'C.UTF-8';
set search_path = elsewhere, public; set array_nulls = off; set default_text_search_config = 'pg_catalog.german'; set client_encoding = 'LATIN1';
set standard_conforming_strings = on; set transform_null_equals = on"""


def literal(value: str, kind: str) -> str:
    """A value as an expression of its type."""
    return f"({value})::{kind}"


def arrays_of(values: list, kind: str) -> list:
    """Arrays of one and two dimensions, with and without nulls, with other lower bounds, and an empty one."""
    if kind in NO_ARRAY:
        return []
    first, last = literal(values[0], kind), literal(values[-1], kind)
    every = ", ".join(literal(value, kind) for value in values)
    return [f"array[{every}, null]", "'{}'", f"array[[{first}, null], [{last}, {first}]]", f"array[[[{first}], [{last}]]]",
            f"array_fill({first}, array[2], array[0])", f"array_fill({last}, array[1, 2], array[-3, 5])", "array[null]"]
