"""Captions by a language model that is shown images and what h says of them."""
