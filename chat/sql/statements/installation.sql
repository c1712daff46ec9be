-- name: start_over
-- Starts over after a restore that lost something; see functions/installation.sql.
SELECT rooms, epoch FROM chat.start_over();

-- name: accept_identity
-- Accepts the database after a move that lost nothing; see functions/installation.sql.
SELECT identity FROM chat.accept_identity();
