"""What `make up` runs on a laptop: PostgreSQL, a realtime gateway and their supervisor."""
