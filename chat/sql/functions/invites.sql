-- Invites: links by which users join a room. The token of a link is made and verified in
-- chat/api/invite_tokens.py from the invite's id and the time of its creation.

-- An invite as lists and answers show it; null for none.
CREATE OR REPLACE FUNCTION chat.invite_body(p_invite chat_invite) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN p_invite.id IS NOT NULL THEN json_build_object(
        'id', p_invite.id, 'room_id', p_invite.room_id,
        'expires_at', chat.time_text(p_invite.expires_at),
        'max_uses', p_invite.max_uses, 'uses', p_invite.uses,
        'created_by', p_invite.created_by, 'created_at', chat.time_text(p_invite.created_at),
        'revoked_at', chat.time_text(p_invite.revoked_at)) END
$$;

-- Whether nobody joins by an invite any more: it was revoked, has expired, or is used up.
CREATE OR REPLACE FUNCTION chat.is_invite_gone(p_invite chat_invite) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT p_invite.revoked_at IS NOT NULL OR p_invite.expires_at <= clock_timestamp()
        OR coalesce(p_invite.uses >= p_invite.max_uses, false)
$$;

-- Locks a room for a change of its invites, or says why the caller may make none: the room is null then.
--
-- p_by: the caller. p_allowed: where the right is given; see `find_refusal`. p_wait: as for `join_room`: a
-- stranger is answered without the lock. refusal: `room_not_found`, `right_required` or `busy`.
CREATE OR REPLACE FUNCTION chat.lock_room_of_invites(
    p_room_id bigint, p_by json, p_allowed text[], p_wait boolean,
    OUT refusal text, OUT room chat_room
) LANGUAGE plpgsql AS $$
DECLARE
    v_actor text := chat.actor_of(p_by);
    v_seen record;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT seen.room, seen.is_member INTO v_seen FROM chat.look_at_room(p_room_id, v_actor) AS seen;
    room := v_seen.room;
    refusal := CASE WHEN room.id IS NULL OR v_actor IS NOT NULL AND NOT v_seen.is_member
                    THEN 'room_not_found' END;
    IF refusal IS NULL THEN
        room := chat.lock_room(p_room_id, p_wait);
        refusal := CASE WHEN room.id IS NULL AND NOT p_wait THEN 'busy'
                        ELSE chat.find_refusal(room, v_actor, p_allowed) END;
    END IF;
    IF refusal IS NOT NULL THEN
        room := NULL;
    END IF;
END $$;

-- Creates an invite into a room. One row: `created` with the invite; `direct`, since nobody joins a direct
-- room; `archived`; or a refusal of `lock_room_of_invites`.
--
-- p_seconds: after how many it expires. p_max_uses: how many users may join by it; null for any number.
CREATE OR REPLACE FUNCTION chat.create_invite(
    p_room_id bigint, p_seconds int, p_max_uses int, p_by json, p_allowed text[],
    p_wait boolean DEFAULT true
) RETURNS TABLE (outcome text, invite json) LANGUAGE plpgsql AS $$
DECLARE
    v_locked record;
    v_room chat_room;
    v_now timestamptz;
    v_invite chat_invite;
BEGIN
    IF NOT coalesce(p_seconds >= 1, false) OR p_max_uses < 1 THEN
        PERFORM chat.refuse_argument(
            'create_invite: p_seconds or p_max_uses is not at least 1');
    END IF;
    SELECT l.refusal, l.room INTO v_locked
    FROM chat.lock_room_of_invites(p_room_id, p_by, p_allowed, p_wait) AS l;
    v_room := v_locked.room;
    outcome := CASE WHEN v_locked.refusal IS NOT NULL THEN v_locked.refusal
                    WHEN v_room.kind = 'direct' THEN 'direct'
                    WHEN v_room.archived_at IS NOT NULL THEN 'archived'
                    ELSE 'created' END;
    IF outcome = 'created' THEN
        v_now := clock_timestamp();
        INSERT INTO chat_invite (room_id, created_by, created_at, expires_at, max_uses)
        VALUES (p_room_id, p_by ->> 'id', v_now, v_now + p_seconds * interval '1 second', p_max_uses)
        RETURNING * INTO v_invite;
        invite := chat.invite_body(v_invite);
        PERFORM chat.write_audit(p_by, 'invite_created', p_room_id, NULL, json_build_object(
            'invite_id', v_invite.id, 'expires_at', chat.time_text(v_invite.expires_at),
            'max_uses', p_max_uses));
    END IF;
    RETURN NEXT;
END $$;

-- Revokes an invite of a room; repeating it changes nothing. One row: `revoked`, `already`,
-- `invite_not_found`, or a refusal of `lock_room_of_invites`. Who joined by it stays.
CREATE OR REPLACE FUNCTION chat.revoke_invite(
    p_room_id bigint, p_invite_id bigint, p_by json, p_allowed text[], p_wait boolean DEFAULT true
) RETURNS TABLE (outcome text) LANGUAGE plpgsql AS $$
DECLARE
    v_invite chat_invite;
BEGIN
    SELECT l.refusal INTO outcome
    FROM chat.lock_room_of_invites(p_room_id, p_by, p_allowed, p_wait) AS l;
    IF outcome IS NULL THEN
        SELECT * INTO v_invite FROM chat_invite i
        WHERE i.id = p_invite_id AND i.room_id = p_room_id;
        outcome := CASE WHEN v_invite.id IS NULL THEN 'invite_not_found'
                        WHEN v_invite.revoked_at IS NOT NULL THEN 'already'
                        ELSE 'revoked' END;
    END IF;
    IF outcome = 'revoked' THEN
        UPDATE chat_invite i SET revoked_at = clock_timestamp() WHERE i.id = p_invite_id;
        PERFORM chat.write_audit(p_by, 'invite_revoked', p_room_id, NULL,
                                 json_build_object('invite_id', p_invite_id));
    END IF;
    RETURN NEXT;
END $$;

-- Makes a user a member by an invite; repeating it changes nothing and is not counted. One row, as
-- `enter_room` gives it, or:
--
-- outcome           meaning                                              the other columns
-- already           the user was a member before                         the room
-- invite_not_found  there is no such invite                              null
-- gone              it was revoked, has expired, or is used up           null
-- invalid_user      an id that cannot be a user's                        null
--
-- p_created_at: when the invite was created. A restored database gives an id again, to another invite.
-- Every change of an invite is made under its room's lock, so the uses are counted exactly.
CREATE OR REPLACE FUNCTION chat.accept_invite(
    p_invite_id bigint, p_created_at timestamptz, p_user_id text, p_joins_per_user text,
    p_rooms_per_user int, p_members_per_room int
) RETURNS TABLE (outcome text, room json, retry_after float8)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    v_invite chat_invite;
    v_room chat_room;
BEGIN
    PERFORM chat.require_read_committed();
    SELECT * INTO v_invite FROM chat_invite i
    WHERE i.id = p_invite_id AND i.created_at = p_created_at;
    IF v_invite.id IS NOT NULL THEN
        v_room := chat.lock_room(v_invite.room_id, true);
        -- As it is now that nobody else can change it.
        SELECT * INTO v_invite FROM chat_invite i WHERE i.id = p_invite_id;
    END IF;
    outcome := CASE WHEN NOT chat.is_user_id(p_user_id) THEN 'invalid_user'
                    WHEN v_invite.id IS NULL OR v_room.id IS NULL THEN 'invite_not_found'
                    WHEN chat.is_member(v_room.id, p_user_id) THEN 'already'
                    WHEN chat.is_invite_gone(v_invite) THEN 'gone' END;
    IF outcome IS NULL THEN
        SELECT e.outcome, e.room, e.retry_after INTO outcome, room, retry_after FROM chat.enter_room(
            v_room, p_user_id, p_joins_per_user, p_rooms_per_user, p_members_per_room) AS e;
        IF outcome = 'joined' THEN
            UPDATE chat_invite i SET uses = i.uses + 1 WHERE i.id = p_invite_id;
        END IF;
    ELSIF outcome = 'already' THEN
        room := chat.present_room(v_room);
    END IF;
    RETURN NEXT;
END $$;
