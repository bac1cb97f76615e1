"""What tasks share: h and g, what teaches them, and what is written and drawn."""
