"""Trained classifiers in forms that other programs run."""
