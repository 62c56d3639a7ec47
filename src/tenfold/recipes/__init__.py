"""What to train, as frozen data: one TOML file per recipe, in this folder or the user's own."""
