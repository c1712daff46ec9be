"""The only writers: each module builds calls of the SQL functions, which carry their readers."""
