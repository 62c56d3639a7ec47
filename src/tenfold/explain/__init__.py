"""What moved a verdict: which ink, against which other answer, and which training images are like it."""
