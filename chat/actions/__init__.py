"""The only writers: each module builds calls of the SQL functions and reads their outcomes."""
