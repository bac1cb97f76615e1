"""The version, which stands nowhere else: setup.py and every command read it here."""

__version__ = "0.1.0"
