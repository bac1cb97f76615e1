"""Questions about images, answered with h."""
