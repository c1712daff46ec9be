-- Direct rooms: each is the one room of 2 to 8 people, who never change.

-- What tells a direct room from every other one: the SHA-256 of the JSON array of its users in the order of
-- their bytes.
CREATE OR REPLACE FUNCTION chat.direct_key_of(p_user_ids text[]) RETURNS bytea
LANGUAGE sql STABLE AS $$
    SELECT sha256(convert_to(array_to_json(ARRAY(
        SELECT DISTINCT item.id COLLATE "C" FROM unnest(p_user_ids) AS item (id) ORDER BY 1
    ))::text, 'UTF8'))
$$;

-- Finds the direct room of exactly these users, or creates it; two calls at once give one room. One row:
--
-- outcome          meaning                                                the other columns
-- created          the room exists now; each user received a              the room
--                  `user_joined` for each of them
-- found            it existed before                                      the room as it is now, with its
--                                                                         last message for a user of it
-- banned, blocked  it did not, and cannot: see `find_unwanted`            refused_user_id
-- rate_limited     the user opened as many as p_limit allows              retry_after, in seconds
-- invalid_user     an id that cannot be a user's                          refused_user_id
-- invalid_number   fewer than 2 users, or more than 8                     null
--
-- p_by: the caller (functions/audit.sql); a user is one of the room's people, named or not. p_limit: how
-- many direct rooms a user may open (`count_use`).
--
-- A room that exists is found whatever has happened between its users: they have it in their lists.
CREATE OR REPLACE FUNCTION chat.open_direct_room(
    p_by json, p_user_ids text[], p_limit text DEFAULT NULL
) RETURNS TABLE (outcome text, refused_user_id text, room json, retry_after float8)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_actor text := chat.actor_of(p_by);
    v_user_ids text[];
    v_key bytea;
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    PERFORM chat.require_list('open_direct_room: p_user_ids', p_user_ids);
    v_user_ids := ARRAY(
        SELECT DISTINCT item.id COLLATE "C"
        FROM unnest(CASE WHEN v_actor IS NULL THEN p_user_ids ELSE v_actor || p_user_ids END)
            AS item (id) ORDER BY 1);
    SELECT 'invalid_user', item.id INTO outcome, refused_user_id
    FROM unnest(v_user_ids) AS item (id) WHERE NOT chat.is_user_id(item.id) LIMIT 1;
    IF outcome IS NULL AND cardinality(v_user_ids) NOT BETWEEN 2 AND 8 THEN
        outcome := 'invalid_number';
    END IF;
    v_key := chat.direct_key_of(v_user_ids);
    WHILE outcome IS NULL LOOP
        SELECT r.* INTO v_room FROM chat_room r WHERE r.direct_key = v_key;
        IF FOUND THEN
            outcome := 'found';
            EXIT;
        END IF;
        SELECT u.outcome, u.user_id INTO outcome, refused_user_id
        FROM chat.find_unwanted(v_actor, v_user_ids, true) AS u;
        EXIT WHEN outcome IS NOT NULL;
        -- Of two calls at once the second waits here until the first is committed, and then finds the room.
        INSERT INTO chat_room (
            name, version, last_seq, member_count, bumped_at, created_at, kind, direct_key,
            created_by)
        SELECT left(array_to_string(v_user_ids, ', '), 255), 0, 0, 0, t.now, t.now, 'direct',
               v_key, v_actor
        FROM clock_timestamp() AS t (now)
        ON CONFLICT (direct_key) DO NOTHING
        RETURNING * INTO v_room;
        CONTINUE WHEN NOT FOUND;
        IF v_actor IS NOT NULL THEN
            retry_after := chat.count_use(v_actor, 'direct_opened', p_limit);
        END IF;
        IF retry_after IS NULL THEN
            outcome := 'created';
            v_room := chat.insert_members(v_room, v_user_ids);
            PERFORM chat.write_audit(
                p_by, 'room_created', v_room.id, NULL, json_build_object('kind', 'direct'));
        ELSE
            outcome := 'rate_limited';
            DELETE FROM chat_room r WHERE r.id = v_room.id;
        END IF;
    END LOOP;
    IF outcome IN ('created', 'found') THEN
        SELECT chat.room_seen_by(r, p_by ->> 'id')::json INTO room
        FROM chat_room r WHERE r.id = v_room.id;
    END IF;
    RETURN NEXT;
END $$;
