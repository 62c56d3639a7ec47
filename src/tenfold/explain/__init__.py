"""Explanations of predictions: the ink that decides, the runner-up, and similar training images."""
