"""Explanation of a prediction: which ink, against which other answer, and which training images are like it."""
