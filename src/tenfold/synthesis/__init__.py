"""Synthetic and real strips of handwritten numbers, to train and test the line reader on."""
