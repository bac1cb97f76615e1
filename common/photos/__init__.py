"""Pictures: where their bytes lie, which files are read, and how they become upright RGB."""
