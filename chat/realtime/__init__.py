"""Channel names and tokens: all that this service says to Centrifugo besides the outbox."""
