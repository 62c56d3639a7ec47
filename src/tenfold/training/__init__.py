"""The loop, early stopping, checkpoints; recipes compared over folds, and their numbers searched."""
