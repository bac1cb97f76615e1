"""One file per experiment; each offers `get_config(arg)`."""
