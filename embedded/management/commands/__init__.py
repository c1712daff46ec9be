"""Commands of `manage.py` that are for development only."""
