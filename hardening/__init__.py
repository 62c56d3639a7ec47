"""Attacks on tenfold that anyone can run: `python -m hardening` (or `make harden`) runs them all.

kill      commands that are killed at each of their file operations
faults    commands whose disk is full or broken, or whose memory runs out, at each of them
mutate    damaged files of every kind that is read
requests  hostile requests, slow clients and overload, against a running server

All is drawn from a seed. Each failure is printed with the command that reproduces it.
"""

import os

from tenfold.helpers import ONE_CORE

os.environ.update(ONE_CORE)  # before NumPy and PyTorch are imported: a forked process has one thread
