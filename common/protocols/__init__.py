"""What papers on prompts share: how they train and what they are measured on."""
