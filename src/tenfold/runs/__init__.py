"""A run: one recipe trained on one data set, measured, and kept in a folder."""
