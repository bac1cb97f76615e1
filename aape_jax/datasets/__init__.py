"""Readers of images with captions or questions; nothing here is encoded."""
