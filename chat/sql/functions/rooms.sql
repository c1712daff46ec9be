-- Rooms.

-- A room as every list and answer shows it, as the text of a JSON object.
--
-- p_last_message: its last message; null for a room without messages, for anyone who may not read it, and
-- where it was sent before a member joined whose history is `since_join`. p_member: the member who asks;
-- null for anyone else, whose `my` is null. p_is_member: shown only in what a search finds. p_rights: the
-- rights of each `kind:role` as a JSON object of arrays, of which the member's own are shown; null where
-- rights are not shown.
--
-- It is one expression, without a query: PostgreSQL then makes it a part of the statement that calls
-- it, which finds the last messages of a whole page by one join. It is put together as text: a page
-- of 200 rooms takes a quarter less time than with JSON_OBJECT.
CREATE OR REPLACE FUNCTION chat.compose_room_v2(
    p_room chat_room, p_last_message chat_message, p_member chat_member,
    p_is_member boolean DEFAULT NULL, p_rights json DEFAULT NULL
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat(
        '{"id":', p_room.id,
        ',"name":', to_json(p_room.name),
        ',"kind":"', p_room.kind,
        '","external_id":', coalesce(to_json(p_room.external_id)::text, 'null'),
        ',"data":', coalesce(p_room.data::text, '{}'),
        ',"version":', p_room.version,
        ',"member_count":', p_room.member_count,
        ',"bumped_at":"', chat.time_text(p_room.bumped_at),
        '","bump_id":', p_room.bump_id,
        ',"archived_at":', coalesce('"' || chat.time_text(p_room.archived_at) || '"', 'null'),
        ',"history":"', p_room.history,
        '","slow_mode_seconds":', p_room.slow_mode_seconds,
        ',"last_message":', CASE WHEN p_last_message.id IS NULL THEN 'null'
                                  ELSE chat.message_body(p_last_message)::text END,
        ',"created_at":"', chat.time_text(p_room.created_at), '"',
        ',"is_member":' || p_is_member::text,
        ',"my":', CASE WHEN p_member.id IS NULL THEN 'null' ELSE concat(
            '{"role":"', p_member.role,
            '","muted_until":',
            coalesce('"' || chat.time_text(p_member.muted_until) || '"', 'null'),
            ',"settings":{"muted":', p_member.is_muted::text,
            ',"hidden":', coalesce(p_member.hidden_seq >= p_room.last_seq, false)::text,
            ',"pinned":', (p_member.pinned_at IS NOT NULL)::text, '}',
            ',"rights":' || (p_rights -> (p_room.kind || ':' || p_member.role))::text,
            '}') END,
        '}')
$$;

-- The same in the release before, which knows public rooms only: its search finds no other ones.
CREATE OR REPLACE FUNCTION chat.compose_room(
    p_room chat_room, p_last_message chat_message, p_is_member boolean DEFAULT NULL
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_room.kind = 'public' OR p_is_member IS NOT FALSE THEN concat(
        '{"id":', p_room.id,
        ',"name":', to_json(p_room.name),
        ',"version":', p_room.version,
        ',"member_count":', p_room.member_count,
        ',"bumped_at":"', chat.time_text(p_room.bumped_at),
        '","bump_id":', p_room.bump_id,
        ',"last_message":', CASE WHEN p_last_message.id IS NULL THEN 'null'
                                  ELSE chat.message_body(p_last_message)::text END,
        ',"created_at":"', chat.time_text(p_room.created_at), '"',
        ',"is_member":' || p_is_member::text,
        '}') END
$$;

-- One room as its members see it, with its last message; without it for anyone else.
CREATE OR REPLACE FUNCTION chat.room_body(
    p_room chat_room, p_is_member boolean DEFAULT true
) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT chat.compose_room(p_room, m)::json
    FROM (SELECT) AS room
    LEFT JOIN chat_message m
        ON p_is_member AND m.room_id = p_room.id AND m.seq = p_room.last_seq
$$;

-- One room as a user sees it who is a member, or as anyone else does. Only members see its last message,
-- and only one that they may read.
CREATE OR REPLACE FUNCTION chat.room_seen_by(p_room chat_room, p_user_id text) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT chat.compose_room_v2(p_room, m, o)
    FROM (SELECT) AS room
    LEFT JOIN chat_member o ON o.room_id = p_room.id AND o.user_id = p_user_id
    LEFT JOIN chat_message m ON m.room_id = p_room.id AND m.seq = p_room.last_seq
        AND o.id IS NOT NULL AND (p_room.history = 'all' OR m.seq > o.joined_seq)
$$;

-- A text as searches compare it, equal for all spellings of it: in either case, composed or
-- decomposed, full-width or ligature (Unicode's full case folding over NFKC, whatever the locale of
-- the database). The four Turkish i are one letter, because each language maps their cases in its own
-- way. Vietnamese marks are one letter in any order.
--
-- Most names are of letters for which only the case has to be folded; for them it takes a fifth of
-- the time. Migration 0011 has the same expression as an index. Change both together: PostgreSQL puts
-- this one expression in the place of each call, and finds the index if the two are equal.
CREATE OR REPLACE FUNCTION chat.search_text(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN p_text COLLATE "C" ~ '^[\u0001-\u007f\u00c0-\u012f\u0134-\u013e\u0141-\u0148\u014a-\u017e\u01a0\u01a1\u01af\u01b0\u0391-\u03af\u03b1-\u03c9\u0400-\u045f\u05d0-\u05ea\u0621-\u064a\u1ea0-\u1ef9\u3041-\u3096\u30a1-\u30fa\u4e00-\u9fff\uac00-\ud7a3]*$'
    THEN casefold(p_text COLLATE pg_unicode_fast)
    ELSE normalize(replace(replace(regexp_replace(
        casefold(normalize(p_text, NFKD) COLLATE pg_unicode_fast),
        '([\u0300\u0301\u0303\u0309])([\u0302\u0306])', '\2\1', 'g'),
        U&'i\0307', 'i'), U&'\0131', 'i'), NFKC)
    END COLLATE pg_unicode_fast
$$;

-- The LIKE pattern for names that contain a text, compared as `search_text` does, with `%`, `_` and
-- `\` as ordinary characters.
CREATE OR REPLACE FUNCTION chat.search_pattern(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '%' || replace(replace(replace(
        chat.search_text(p_text), '\', '\\'), '%', '\%'), '_', '\_') || '%'
$$;

-- Whether the index of room names can find a text: it knows sequences of three letters or digits.
CREATE OR REPLACE FUNCTION chat.is_searchable_text(p_text text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT chat.search_text(p_text) ~ '[[:alnum:]]{3}'
$$;

-- The same in the release before, which folds the case alone; with its own index it searches until it
-- is gone.
CREATE OR REPLACE FUNCTION chat.containing(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '%' || replace(replace(replace(
        casefold(p_text COLLATE pg_unicode_fast), '\', '\\'), '%', '\%'), '_', '\_') || '%'
$$;

CREATE OR REPLACE FUNCTION chat.is_indexed_text(p_text text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT casefold(p_text COLLATE pg_unicode_fast) ~ '[[:alnum:]]{3}'
$$;

-- Whether a text can be a room's name: 1 to 255 characters.
CREATE OR REPLACE FUNCTION chat.is_room_name(p_name text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(char_length(p_name), 0) BETWEEN 1 AND 255
$$;

-- What a key of a creation stands for: the SHA-256 of all that was asked for. What has its default is left
-- out, so a name and members have the digest that they had before rooms had more.
CREATE OR REPLACE FUNCTION chat.digest_of_room(
    p_name text, p_user_ids text[], p_kind text, p_data json, p_history text, p_external_id text
) RETURNS bytea LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(
        CASE WHEN more.given = '{}' THEN json_build_array(p_name, users.ids)
             ELSE json_build_array(p_name, users.ids, more.given::json) END::text, 'UTF8'))
    FROM (SELECT ARRAY(
        SELECT DISTINCT item.id COLLATE "C" FROM unnest(p_user_ids) AS item (id) ORDER BY 1
    ) AS ids) AS users,
    (SELECT json_strip_nulls(json_build_object(
        'kind', nullif(p_kind, 'public'), 'data', p_data::text,
        'history', nullif(p_history, 'all'), 'external_id', p_external_id))::text AS given) AS more
$$;

-- Creates a room with its first members, each of whom receives a `user_joined` for each of them. A
-- repeated call with the same key creates nothing. One row:
--
-- outcome         meaning                                            the other columns
-- created         the room exists, with these members                the room
-- duplicate       this creator used the key, for this very room      the room as it is now, with
--                                                                   its last message for a member
-- conflict        this creator used the key, for another room        null
-- invalid_name    not 1 to 255 characters; nothing was created       null
-- invalid_user    an id that cannot be a user's; nothing created     invalid_user_id
-- invalid_key     a key that is not 1 to 64 long, or of no user      null
--
-- p_created_by, p_client_id: who creates the room and the key that makes repeating harmless. Without
-- a key each call creates a room.
CREATE OR REPLACE FUNCTION chat.create_room(
    p_name text, p_user_ids text[], p_created_by text DEFAULT NULL, p_client_id text DEFAULT NULL
) RETURNS TABLE (outcome text, invalid_user_id text, room json) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_id bigint;
    v_digest bytea;
    v_now timestamptz;
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM chat.require_list('create_room: p_user_ids', p_user_ids);
    SELECT item.id INTO invalid_user_id
    FROM unnest(p_user_ids) AS item (id) WHERE NOT chat.is_user_id(item.id) LIMIT 1;
    outcome := CASE WHEN NOT chat.is_room_name(p_name) THEN 'invalid_name'
                    WHEN FOUND THEN 'invalid_user'
                    WHEN p_client_id IS NULL THEN 'created'
                    WHEN char_length(p_client_id) NOT BETWEEN 1 AND 64
                        OR NOT chat.is_user_id(p_created_by) THEN 'invalid_key'
                    ELSE 'created' END;
    IF outcome <> 'created' THEN
        RETURN NEXT;
        RETURN;
    END IF;

    -- As an insert would: an id that is drawn while `start_over` waits could be one of before it.
    LOCK TABLE chat_room IN ROW EXCLUSIVE MODE;
    v_id := nextval(pg_get_serial_sequence('chat_room', 'id'));
    IF p_client_id IS NOT NULL THEN
        v_digest := sha256(convert_to(json_build_array(p_name, ARRAY(
            SELECT DISTINCT item.id COLLATE "C" FROM unnest(p_user_ids) AS item (id) ORDER BY 1
        ))::text, 'UTF8'));
        -- Of two equal keys at once the second waits here until the first is committed.
        INSERT INTO chat_room_key (room_id, created_by, client_id, digest)
        VALUES (v_id, p_created_by, p_client_id, v_digest)
        ON CONFLICT (created_by, client_id) DO NOTHING;
        IF NOT FOUND THEN
            SELECT k.room_id, CASE WHEN k.digest = v_digest THEN 'duplicate' ELSE 'conflict' END
            INTO STRICT v_id, outcome FROM chat_room_key k
            WHERE k.created_by = p_created_by AND k.client_id = p_client_id;
        END IF;
    END IF;

    IF outcome = 'created' THEN
        v_now := clock_timestamp();
        INSERT INTO chat_room (
            id, name, version, last_seq, member_count, bumped_at, created_at)
        VALUES (v_id, p_name, 0, 0, 0, v_now, v_now);
        PERFORM FROM chat.add_members(v_id, p_user_ids);
    END IF;
    IF outcome IN ('created', 'duplicate') THEN
        SELECT chat.room_body(r, chat.is_member(r.id, p_created_by)) INTO room
        FROM chat_room r WHERE r.id = v_id;
    END IF;
    RETURN NEXT;
END $$;

-- Whether a JSON value can be a room's `data`: an object of at most 4,096 bytes.
-- tests/architecture/test_one_value.py compares the figure with chat/conf.py.
CREATE OR REPLACE FUNCTION chat.is_room_data(p_data json) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(octet_length(p_data::text) <= 4096 AND json_typeof(p_data) = 'object', true)
$$;

-- Whether a text can be a host's own key of a room: 1 to 255 characters, none of them a control character.
CREATE OR REPLACE FUNCTION chat.is_external_id(p_external_id text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(char_length(p_external_id) BETWEEN 1 AND 255
                    AND p_external_id COLLATE "C" !~ '[\u0001-\u001f\u007f-\u009f]', false)
$$;

-- What is wrong with a room that is to be created: an outcome of `create_room_v2`, or null.
CREATE OR REPLACE FUNCTION chat.find_room_fault(
    p_name text, p_kind text, p_data json, p_history text, p_external_id text
) RETURNS text LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE WHEN NOT chat.is_room_name(p_name) THEN 'invalid_name'
                WHEN (p_kind IN ('public', 'private')) IS NOT TRUE THEN 'invalid_kind'
                WHEN NOT chat.is_room_data(p_data) THEN 'invalid_data'
                WHEN (p_history IN ('all', 'since_join')) IS NOT TRUE THEN 'invalid_history'
                WHEN p_external_id IS NOT NULL AND NOT chat.is_external_id(p_external_id)
                    THEN 'invalid_external_id' END;
END $$;

-- Whether users may begin a room together: the outcome and the user that speak against it, or nulls.
--
-- p_actor: the user who begins the room, one of p_user_ids; null for the host's service and staff. Its lock
-- is taken, and those of all users of a direct room: whom another call bans at the same time does not enter.
--
-- banned   one of them is banned from all rooms, whoever begins the room: the ban has to be lifted first
-- blocked  one of them blocks the one who begins it, or in a direct room any other one
CREATE OR REPLACE FUNCTION chat.find_unwanted(
    p_actor text, p_user_ids text[], p_is_direct boolean, OUT outcome text, OUT user_id text
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM chat.lock_user(item.id)
    FROM (SELECT u.id FROM unnest(p_user_ids) AS u (id)
          WHERE p_is_direct OR u.id = p_actor ORDER BY u.id COLLATE "C") AS item;
    -- Statements of their own: each sees what was committed while the locks were awaited. Few users have a
    -- ban anywhere, so `is_banned` is asked for few.
    SELECT 'banned', item.id INTO outcome, user_id
    FROM unnest(p_user_ids) WITH ORDINALITY AS item (id, n)
    WHERE EXISTS (SELECT FROM chat_ban b WHERE b.user_id = item.id) AND chat.is_banned(NULL, item.id)
    ORDER BY item.id IS DISTINCT FROM p_actor, item.n LIMIT 1;
    IF outcome IS NULL THEN
        SELECT 'blocked', b.user_id INTO outcome, user_id
        FROM chat_block b
        WHERE b.blocked_id = ANY (CASE WHEN p_is_direct THEN p_user_ids ELSE ARRAY[p_actor] END)
          AND b.user_id = ANY (p_user_ids)
        LIMIT 1;
    END IF;
END $$;

-- Creates a room with its first members, each of whom receives a `user_joined` for each of them. A user who
-- creates a room enters it first, as its owner, and then the others do. A repeated call with the same key
-- creates nothing. One row:
--
-- outcome              meaning                                         the other columns
-- created              the room exists, with these members             the room
-- duplicate            this caller used the key, for this very room    the room as it is now, with its
--                                                                      last message for a member
-- conflict             this caller used the key, for another room      null
-- room_not_found       this user used the key, and is no member of     null
--                      that room now, which is not public
-- external_id_taken    another room has this external id               null
-- banned, blocked      see `find_unwanted`                             refused_user_id
-- limit_reached        the user is in as many rooms as are allowed     null
-- too_many_members     more members than p_members_most                null
-- rate_limited         the user created as many as p_limit allows      retry_after, in seconds
-- invalid_…            see `find_room_fault`                           null
-- invalid_user         an id that cannot be a user's                   refused_user_id
-- invalid_key          a key that is not 1 to 64 long, or of no user   null
--
-- p_by: the caller (functions/audit.sql). p_client_id: the caller's key, which makes repeating harmless.
-- Without one each call creates a room. It stands for what was asked for, where what is left out counts as
-- its default here: so the keys of the release before, which knew a name and members, stay valid.
-- p_limit, p_rooms_most, p_members_most: of users; how many rooms a user may create (`count_use`) and be in,
-- and how many members a room may have.
CREATE OR REPLACE FUNCTION chat.create_room_v2(
    p_by json, p_name text, p_user_ids text[], p_client_id text DEFAULT NULL,
    p_kind text DEFAULT 'public', p_data json DEFAULT NULL, p_history text DEFAULT 'all',
    p_external_id text DEFAULT NULL, p_limit text DEFAULT NULL, p_rooms_most int DEFAULT NULL,
    p_members_most int DEFAULT NULL
) RETURNS TABLE (outcome text, refused_user_id text, room json, retry_after float8)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_actor text := chat.actor_of(p_by);
    v_caller text := p_by ->> 'id';
    v_others text[];
    v_user_ids text[];
    v_data json := CASE WHEN p_data::text <> '{}' THEN p_data END;
    v_room chat_room;
    v_digest bytea;
    v_key chat_room_key;
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM chat.require_list('create_room_v2: p_user_ids', p_user_ids);
    v_others := ARRAY(
        SELECT item.id FROM unnest(chat.distinct_users(p_user_ids)) WITH ORDINALITY AS item (id, n)
        WHERE item.id IS DISTINCT FROM v_actor ORDER BY item.n);
    v_user_ids := CASE WHEN v_actor IS NULL THEN v_others ELSE v_actor || v_others END;
    outcome := chat.find_room_fault(p_name, p_kind, v_data, p_history, p_external_id);
    IF outcome IS NULL THEN
        SELECT 'invalid_user', item.id INTO outcome, refused_user_id
        FROM unnest(v_user_ids) AS item (id) WHERE NOT chat.is_user_id(item.id) LIMIT 1;
    END IF;
    IF outcome IS NULL AND p_client_id IS NOT NULL AND (
        char_length(p_client_id) NOT BETWEEN 1 AND 64 OR NOT chat.is_user_id(v_caller))
    THEN
        outcome := 'invalid_key';
    END IF;
    IF outcome IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;

    -- As an insert would: an id that is drawn while `start_over` waits could be one of before it.
    LOCK TABLE chat_room IN ROW EXCLUSIVE MODE;
    v_room.id := nextval(pg_get_serial_sequence('chat_room', 'id'));
    IF p_client_id IS NOT NULL THEN
        v_digest := chat.digest_of_room(
            p_name, v_user_ids, p_kind, v_data, p_history, p_external_id);
        -- Of two equal keys at once the second waits here until the first is committed.
        INSERT INTO chat_room_key (room_id, created_by, client_id, digest)
        VALUES (v_room.id, v_caller, p_client_id, v_digest)
        ON CONFLICT (created_by, client_id) DO NOTHING;
        IF NOT FOUND THEN
            SELECT k.* INTO STRICT v_key FROM chat_room_key k
            WHERE k.created_by = v_caller AND k.client_id = p_client_id;
            SELECT r.* INTO STRICT v_room FROM chat_room r WHERE r.id = v_key.room_id;
            -- A user whose id is that of the service's tokens is not the service.
            outcome := CASE
                WHEN v_key.digest <> v_digest OR v_room.created_by IS DISTINCT FROM v_actor
                    THEN 'conflict'
                WHEN v_actor IS NOT NULL AND v_room.kind <> 'public'
                    AND NOT chat.is_member(v_room.id, v_actor) THEN 'room_not_found'
                ELSE 'duplicate' END;
        END IF;
    END IF;

    IF outcome IS NULL THEN
        SELECT u.outcome, u.user_id INTO outcome, refused_user_id
        FROM chat.find_unwanted(v_actor, v_user_ids, false) AS u;
        IF outcome IS NULL AND v_actor IS NOT NULL THEN
            outcome := CASE
                WHEN p_members_most > 0 AND cardinality(v_user_ids) > p_members_most
                    THEN 'too_many_members'
                WHEN chat.is_in_all_allowed_rooms(v_actor, p_rooms_most) THEN 'limit_reached' END;
        END IF;
        IF outcome IS NULL THEN
            v_room.created_at := clock_timestamp();
            INSERT INTO chat_room (
                id, name, version, last_seq, member_count, bumped_at, created_at, kind,
                external_id, data, history, created_by)
            VALUES (
                v_room.id, p_name, 0, 0, 0, v_room.created_at, v_room.created_at, p_kind,
                p_external_id, v_data, p_history, v_actor)
            ON CONFLICT (external_id) DO NOTHING
            RETURNING * INTO v_room;
            IF NOT FOUND THEN
                outcome := 'external_id_taken';
            ELSIF v_actor IS NOT NULL THEN
                retry_after := chat.count_use(v_actor, 'room_created', p_limit);
                outcome := CASE WHEN retry_after IS NOT NULL THEN 'rate_limited' END;
            END IF;
        END IF;
        IF outcome IS NULL THEN
            outcome := 'created';
            IF v_actor IS NOT NULL THEN
                v_room := chat.insert_members(v_room, ARRAY[v_actor], 'owner');
            END IF;
            v_room := chat.insert_members(v_room, v_others);
            PERFORM chat.write_audit(
                p_by, 'room_created', v_room.id, NULL, json_build_object('kind', p_kind));
        ELSE
            -- What was refused uses up no key.
            DELETE FROM chat_room_key k
            WHERE k.created_by = v_caller AND k.client_id = p_client_id;
            DELETE FROM chat_room r WHERE r.id = v_room.id;
        END IF;
    END IF;
    IF outcome IN ('created', 'duplicate') THEN
        SELECT chat.room_seen_by(r, v_caller)::json INTO room
        FROM chat_room r WHERE r.id = v_room.id;
    END IF;
    RETURN NEXT;
END $$;

-- Renames a room and sends the members an event; a name that the room has already changes nothing.
-- One row: `renamed`, `unchanged`, `room_not_found` or `invalid_name`.
CREATE OR REPLACE FUNCTION chat.rename_room(p_room_id bigint, p_name text)
RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    IF NOT chat.is_room_name(p_name) THEN
        outcome := 'invalid_name';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    outcome := CASE WHEN v_room.id IS NULL OR v_room.deleted_at IS NOT NULL THEN 'room_not_found'
                    WHEN v_room.name = p_name THEN 'unchanged' ELSE 'renamed' END;
    IF outcome = 'renamed' THEN
        v_room.name := p_name;
        PERFORM chat.record_event('room_updated', v_room, chat.audience_of(v_room));
    END IF;
    RETURN NEXT;
END $$;
