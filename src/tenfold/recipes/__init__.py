"""What to train, as frozen data: one TOML file a recipe, in this folder or the user's own."""
