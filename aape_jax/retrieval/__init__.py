"""Texts for images and images for texts, by h alone."""
