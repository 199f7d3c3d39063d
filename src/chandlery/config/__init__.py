"""The ready-made Django project: `chandlery …` and `manage.py` run in it, with or without a checkout."""
