"""What the three methods share: CLIP, Stable Diffusion, weights, data and the training loop."""
