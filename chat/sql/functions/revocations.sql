-- Revocation: a user's tokens of the host that were issued before a time are refused.

-- The partition of a user's own commands, always the same one: among those of small rooms, so that a
-- large fan-out never delays it.
CREATE OR REPLACE FUNCTION chat.partition_of_user(p_user_id text, p_partitions int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (abs(hashtext(p_user_id)::bigint) % (p_partitions - p_partitions / 4))::int
$$;

-- Refuses the user's tokens that were issued before p_not_before, by default before now, and ends the
-- user's connections to Centrifugo. One row:
--
-- revoked       and not_before, from which on tokens are accepted
-- already       the same, where tokens before that time, or a later one, are refused already: of two
--               times the later one stays, and nothing is changed
-- invalid_user  the id cannot be a user's
-- invalid_time  the time is before 1970, or more than a minute ahead of this clock: a time that was
--               moved far ahead by mistake could never be moved back
--
-- The clients are closed with the code 3014. After it the official SDKs forget the tokens that they
-- hold, ask the API for new ones and connect again. So a device that has a token of after not_before
-- is back at once, and the others are refused by the API. The command has no idempotency key: when it
-- is run twice, clients connect once more.
CREATE OR REPLACE FUNCTION chat.revoke_tokens(
    p_user_id text, p_not_before timestamptz DEFAULT NULL
) RETURNS TABLE (outcome text, not_before timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz := clock_timestamp();
    v_not_before timestamptz := coalesce(p_not_before, v_now);
BEGIN
    PERFORM chat.require_read_committed();
    outcome := CASE
        WHEN NOT chat.is_user_id(p_user_id) THEN 'invalid_user'
        WHEN v_not_before NOT BETWEEN timestamptz 'epoch' AND v_now + interval '1 minute'
            THEN 'invalid_time' END;
    IF outcome IS NOT NULL THEN
        RETURN NEXT;
        RETURN;
    END IF;

    INSERT INTO chat_revocation AS r (user_id, not_before, changed_at, changed_in)
    VALUES (p_user_id, v_not_before, v_now, pg_current_xact_id()::text::bigint)
    ON CONFLICT (user_id) DO UPDATE
    SET not_before = excluded.not_before, changed_at = excluded.changed_at,
        changed_in = excluded.changed_in
    WHERE r.not_before < excluded.not_before;
    outcome := CASE WHEN FOUND THEN 'revoked' ELSE 'already' END;

    IF outcome = 'revoked' THEN
        INSERT INTO chat_outbox (method, payload, partition, created_at)
        SELECT 'disconnect',
               json_build_object(
                   'user', p_user_id,
                   'disconnect', json_build_object('code', 3014, 'reason', 'state invalidated')),
               chat.partition_of_user(p_user_id, i.outbox_partitions), v_now
        FROM chat_installation i;
    END IF;
    RETURN QUERY
        SELECT outcome, r.not_before FROM chat_revocation r WHERE r.user_id = p_user_id;
END $$;

-- Deletes at most p_limit revocations of tokens that were issued before p_before; returns how many.
CREATE OR REPLACE FUNCTION chat.prune_revocations(p_before timestamptz, p_limit int) RETURNS bigint
LANGUAGE sql AS $$
    SELECT chat.require_prune_arguments('prune_revocations', p_before, p_limit);
    WITH pruned AS (
        -- As an array: as a join, the plan for any limit can be a scan of all rows.
        DELETE FROM chat_revocation r
        WHERE r.user_id = ANY (ARRAY(
            SELECT k.user_id FROM chat_revocation k WHERE k.not_before < p_before
            ORDER BY k.not_before LIMIT p_limit FOR UPDATE SKIP LOCKED))
        RETURNING 1
    )
    SELECT count(*) FROM pruned
$$;
