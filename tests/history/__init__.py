"""Histories of runs, line by line, and the checker that finds what must not have happened."""
