-- What is asked of a subscriber, read and checked.

-- Channels, each once.
CREATE OR REPLACE FUNCTION read_channels(channels text[]) RETURNS text[] LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF coalesce(cardinality(channels), 0) = 0 THEN
        RAISE invalid_parameter_value USING MESSAGE = 'a subscriber needs at least one channel';
    END IF;
    PERFORM paysync.check_channel(c) FROM unnest(channels) AS c;
    RETURN ARRAY(SELECT DISTINCT c FROM unnest(channels) AS c ORDER BY c);
END $$;

CREATE OR REPLACE FUNCTION read_bytes(value text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN pg_size_bytes(value);
EXCEPTION WHEN invalid_parameter_value OR numeric_value_out_of_range OR invalid_text_representation THEN
    RETURN NULL;
END $$;
CREATE OR REPLACE FUNCTION read_interval(value text) RETURNS interval LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN value::interval;
EXCEPTION WHEN invalid_datetime_format OR datetime_field_overflow OR interval_field_overflow THEN
    RETURN NULL;
END $$;

-- Options into a subscriber. A null takes a limit away; what is not named stays.
CREATE OR REPLACE FUNCTION read_subscriber_options(s subscriber, options jsonb) RETURNS subscriber LANGUAGE plpgsql STABLE
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    known CONSTANT text[] := '{max_lag_bytes,max_lag_age,on_limit}';
    problems jsonb[] := '{}';
    option record;
BEGIN
    IF jsonb_typeof(options) IS DISTINCT FROM 'object' THEN
        RAISE invalid_parameter_value USING MESSAGE = 'options must be a JSON object', HINT = format('Known: %s.', array_to_string(known, ', '));
    END IF;
    FOR option IN SELECT o.key, o.value, o.value #>> '{}' AS text FROM jsonb_each(options) AS o LOOP
        IF option.key = 'max_lag_bytes' THEN
            s.max_lag_bytes := paysync.read_bytes(option.text);
            IF option.text IS NOT NULL AND (coalesce(s.max_lag_bytes, 0) <= 0 OR jsonb_typeof(option.value) NOT IN ('number', 'string')) THEN
                problems := problems || paysync.problem('22023', format('invalid max_lag_bytes %s', option.value), NULL,
                                                        'A number of bytes above 0, or a text like "10GB"; null for no limit.');
            END IF;
        ELSIF option.key = 'max_lag_age' THEN
            s.max_lag_age := paysync.read_interval(option.text);
            IF option.text IS NOT NULL AND (coalesce(s.max_lag_age, '0') <= '0' OR jsonb_typeof(option.value) <> 'string') THEN
                problems := problems || paysync.problem('22023', format('invalid max_lag_age %s', option.value), NULL,
                                                        'An interval above 0 like "2 days"; null for no limit.');
            END IF;
        ELSIF option.key = 'on_limit' THEN
            s.on_limit := option.text;
            IF coalesce(s.on_limit, '') NOT IN ('cut_off', 'keep') THEN
                problems := problems || paysync.unknown('on_limit', option.text, '{cut_off,keep}');
            END IF;
        ELSE
            problems := problems || paysync.unknown('option', option.key, known);
        END IF;
    END LOOP;
    PERFORM paysync.raise_problems('cannot take the options', problems);
    RETURN s;
END $$;
