"""What examines a database in use, and repairs what is safe to repair: `manage.py doctor`."""
