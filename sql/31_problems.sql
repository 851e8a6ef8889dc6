-- Problems are collected and said together: what is wrong with a call, as an array of {code, message, detail, hint}.

-- The known word nearest to `word`, as the end of a hint.
CREATE OR REPLACE FUNCTION nearest(word text, known text[]) RETURNS text LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT format('Did you mean "%s"? Known: %s.', (
        SELECT candidate FROM unnest(known) AS candidate
        ORDER BY (SELECT count(*) FROM generate_series(1, length(word) - 1) AS i WHERE strpos(candidate, substr(word, i, 2)) > 0) DESC,
                 abs(length(candidate) - length(word)) LIMIT 1), array_to_string(known, ', '))
$$;

CREATE OR REPLACE FUNCTION problem(code text, message text, detail text DEFAULT NULL, hint text DEFAULT NULL) RETURNS jsonb[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS
$$ SELECT ARRAY[jsonb_build_object('code', code, 'message', message, 'detail', detail, 'hint', hint)] $$;

-- A name that is none of the known ones.
CREATE OR REPLACE FUNCTION unknown(what text, word text, known text[]) RETURNS jsonb[] LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
    SELECT paysync.problem('22023', format('unknown %s %s', what, coalesce('"' || word || '"', 'null')), NULL,
                           CASE WHEN cardinality(known) > 0 THEN paysync.nearest(coalesce(word, ''), known) END)
$$;

-- No problem: returns. One: an error as it stands. Several: error 22023 with a line for each.
CREATE OR REPLACE FUNCTION raise_problems(doing text, problems jsonb[]) RETURNS void LANGUAGE plpgsql IMMUTABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    single CONSTANT jsonb := problems[1];
    lines text;
BEGIN
    IF coalesce(cardinality(problems), 0) = 0 THEN
        RETURN;
    ELSIF cardinality(problems) = 1 THEN
        -- A null option would be an error of its own.
        IF single ->> 'detail' IS NULL AND single ->> 'hint' IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = single ->> 'code', MESSAGE = single ->> 'message';
        ELSIF single ->> 'detail' IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = single ->> 'code', MESSAGE = single ->> 'message', HINT = single ->> 'hint';
        ELSIF single ->> 'hint' IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = single ->> 'code', MESSAGE = single ->> 'message', DETAIL = single ->> 'detail';
        END IF;
        RAISE EXCEPTION USING ERRCODE = single ->> 'code', MESSAGE = single ->> 'message', DETAIL = single ->> 'detail', HINT = single ->> 'hint';
    END IF;
    SELECT string_agg(concat_ws(' ', p.problem ->> 'message' || '.', p.problem ->> 'hint'), E'\n' ORDER BY p.n)
    INTO lines FROM unnest(problems) WITH ORDINALITY AS p (problem, n);
    RAISE invalid_parameter_value USING MESSAGE = format('%s: %s problems', doing, cardinality(problems)), DETAIL = lines,
        HINT = 'Each line of the detail is one of them.';
END $$;

-- A channel's name: 1 to 63 bytes, no control characters.
CREATE OR REPLACE FUNCTION channel_problem(channel text) RETURNS jsonb[] LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN channel IS NULL OR octet_length(channel) NOT BETWEEN 1 AND 63 OR channel ~ '[[:cntrl:]]' THEN
        paysync.problem('22023', format('invalid channel name %L', channel), NULL, 'A channel''s name is 1 to 63 bytes long and has no control characters.')
    END
$$;
CREATE OR REPLACE FUNCTION check_channel(channel text) RETURNS void LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS
$$ SELECT paysync.raise_problems('', paysync.channel_problem(channel)) $$;
