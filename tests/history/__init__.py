"""What happened in a run, line by line, and whether it may have happened."""
