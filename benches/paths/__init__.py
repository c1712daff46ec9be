"""One module for each measured path."""
