-- name: begin_anew
-- Starts over after a restore that lost something; see functions/installation.sql.
SELECT rooms, epoch FROM chat.begin_anew();

-- name: keep_on
-- Accepts the database after a move that lost nothing; see functions/installation.sql.
SELECT identity FROM chat.keep_on();
