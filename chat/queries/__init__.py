"""The read side: each module builds calls of named statements and reads their rows."""
