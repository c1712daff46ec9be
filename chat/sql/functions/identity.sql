-- What the other functions use: arguments, who a user is to Centrifugo, how values are written.

-- Refuses an argument with a sentence that names it: `invalid_parameter_value`.
CREATE OR REPLACE FUNCTION chat.refuse_argument(p_fact text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RAISE EXCEPTION '%', p_fact USING ERRCODE = 'invalid_parameter_value';
END $$;

-- Refuses an argument that is no list: NULL, of more than one dimension, with a first index that is
-- not 1, or of more than p_most entries. An empty array is a list. p_name: the function and the
-- argument, as `add_members: p_user_ids`.
CREATE OR REPLACE FUNCTION chat.require_list(p_name text, p_list anyarray, p_most int DEFAULT 10000)
RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_list IS NULL THEN
        PERFORM chat.refuse_argument(p_name || ' is null: give an array, which may be empty');
    ELSIF array_ndims(p_list) > 1 THEN
        PERFORM chat.refuse_argument(format(
            '%s has %s dimensions, not one', p_name, array_ndims(p_list)));
    ELSIF array_lower(p_list, 1) <> 1 THEN
        PERFORM chat.refuse_argument(format(
            'the first index of %s is %s, not 1', p_name, array_lower(p_list, 1)));
    ELSIF cardinality(p_list) > p_most THEN
        PERFORM chat.refuse_argument(format(
            '%s has %s entries: one call takes at most %s', p_name, cardinality(p_list), p_most));
    END IF;
END $$;

-- Refuses a deletion of what is old without a time or a number of rows: NULL would mean all of them.
CREATE OR REPLACE FUNCTION chat.require_prune_arguments(
    p_function text, p_before timestamptz, p_limit int
) RETURNS void LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF p_before IS NULL THEN
        PERFORM chat.refuse_argument(p_function || ': p_before is null');
    ELSIF coalesce(p_limit, -1) < 0 THEN
        PERFORM chat.refuse_argument(p_function || ': p_limit is not a number of rows');
    END IF;
END $$;

-- The personal channel of a user: a one-to-one encoding of the id into ASCII that subscribing
-- accepts. Space, non-ASCII and `~ # , $ * & / %` are written `~hh`, one for each UTF-8 byte.
CREATE OR REPLACE FUNCTION chat.personal_channel(p_user_id text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    v_bytes bytea;
    v_byte int;
    v_channel text := 'personal:';
BEGIN
    IF p_user_id COLLATE "C" !~ '[^!-~]|[~#,$*&/%]' THEN
        RETURN v_channel || p_user_id;
    END IF;
    v_bytes := convert_to(p_user_id, 'UTF8');
    FOR i IN 0 .. length(v_bytes) - 1 LOOP
        v_byte := get_byte(v_bytes, i);
        IF v_byte BETWEEN 33 AND 125 AND position(chr(v_byte) IN '#,$*&/%') = 0 THEN
            v_channel := v_channel || chr(v_byte);
        ELSE
            v_channel := v_channel || '~' || lpad(to_hex(v_byte), 2, '0');
        END IF;
    END LOOP;
    RETURN v_channel;
END $$;

-- Whether a string can be a user: 1 to 128 characters, no control characters, and a channel that
-- Centrifugo lets its owner subscribe to (at most 240 bytes).
CREATE OR REPLACE FUNCTION chat.is_user_id(p_user_id text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        char_length(p_user_id) BETWEEN 1 AND 128
        AND p_user_id COLLATE "C" !~ '[\u0001-\u001f\u007f-\u009f]'
        AND octet_length(chat.personal_channel(p_user_id)) <= 240,
        false)
$$;

-- A time as every answer and every event writes it: RFC 3339, UTC, microseconds.
CREATE OR REPLACE FUNCTION chat.time_text(p_time timestamptz) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT to_char(p_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
$$;
