"""The loop, early stopping, checkpoints and the run's folder."""
