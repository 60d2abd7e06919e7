"""Where containers run, and what each place asks of one: a file a place, `detect.py` has them in order."""
