"""Filters for the templates of the admin."""
