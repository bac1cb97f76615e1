"""Commands that are the same for every method."""
