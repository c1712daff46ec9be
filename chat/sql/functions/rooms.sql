-- Rooms.

-- A room as its members see it, with its last message; without it for whoever is no member.
CREATE OR REPLACE FUNCTION chat.room_body(
    p_room chat_room, p_is_member boolean DEFAULT true
) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object(
        'id', p_room.id, 'name', p_room.name, 'version', p_room.version,
        'member_count', p_room.member_count,
        'bumped_at', chat.time_text(p_room.bumped_at),
        'last_message', (
            SELECT chat.message_body(m) FROM chat_message m
            WHERE p_is_member AND m.room_id = p_room.id AND m.seq = p_room.last_seq),
        'created_at', chat.time_text(p_room.created_at))
$$;

-- The LIKE pattern for names that contain a text in either case: Unicode's full case folding,
-- whatever the locale of the database, with `%`, `_` and `\` as ordinary characters.
CREATE OR REPLACE FUNCTION chat.containing(p_text text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT '%' || replace(replace(replace(
        casefold(p_text COLLATE pg_unicode_fast), '\', '\\'), '%', '\%'), '_', '\_') || '%'
$$;

-- Creates a room with its first members. One row: `created` with the room; where an id cannot be a
-- user, `invalid_user` with that id, and for a name that is not 1 to 255 characters, `invalid_name`,
-- both with nothing created. The members hear a `user_joined` for
-- each of them.
CREATE OR REPLACE FUNCTION chat.create_room(p_name text, p_user_ids text[])
RETURNS TABLE (
    outcome text, invalid_user_id text, room json
) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_id bigint;
BEGIN
    PERFORM chat.require_read_committed();
    IF coalesce(char_length(p_name), 0) NOT BETWEEN 1 AND 255 THEN
        outcome := 'invalid_name';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT item.id INTO invalid_user_id
    FROM unnest(p_user_ids) AS item (id) WHERE NOT chat.is_user_id(item.id) LIMIT 1;
    IF FOUND THEN
        outcome := 'invalid_user';
        RETURN NEXT;
        RETURN;
    END IF;

    INSERT INTO chat_room (
        name, version, last_seq, member_count, bumped_at, created_at)
    SELECT p_name, 0, 0, 0, at.now, at.now FROM (SELECT clock_timestamp() AS now) at
    RETURNING id INTO v_id;
    PERFORM FROM chat.add_members(v_id, p_user_ids);
    RETURN QUERY
        SELECT 'created', NULL::text, chat.room_body(r) FROM chat_room r WHERE r.id = v_id;
END $$;

-- Renames a room and tells its members; the name it has already changes nothing. One row:
-- `renamed`, `unchanged`, `room_not_found`, or `invalid_name` for one that is not 1 to 255
-- characters.
CREATE OR REPLACE FUNCTION chat.rename_room(p_room_id bigint, p_name text)
RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    IF coalesce(char_length(p_name), 0) NOT BETWEEN 1 AND 255 THEN
        outcome := 'invalid_name';
        RETURN NEXT;
        RETURN;
    END IF;
    SELECT * INTO v_room FROM chat_room r WHERE r.id = p_room_id FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        outcome := 'room_not_found';
    ELSIF v_room.name = p_name THEN
        outcome := 'unchanged';
    ELSE
        v_room.version := v_room.version + 1;
        UPDATE chat_room r SET name = p_name, version = v_room.version WHERE r.id = p_room_id;
        INSERT INTO chat_event (room_id, version, type, member_count, bumped_at, created_at)
        VALUES (p_room_id, v_room.version, 'room_updated', v_room.member_count, v_room.bumped_at,
                clock_timestamp());
        PERFORM chat.queue_event(
            p_room_id, v_room.version, chat.audience(p_room_id),
            chat.room_event(
                'room_updated',
                chat.event_room(p_room_id, p_name, v_room.version, v_room.bumped_at,
                                   v_room.member_count)));
        outcome := 'renamed';
    END IF;
    RETURN NEXT;
END $$;
