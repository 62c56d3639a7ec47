"""The PyTorch engine: modules, losses, optimisers, precision, averaging, augmentation.

Importing this package without torch raises MissingDependencyError, which names the extra to install.
"""

from __future__ import annotations

import gc

from tenfold.errors import MissingDependencyError
from tenfold.helpers import wait_without_spinning as _wait_without_spinning

__all__: list[str] = []

_wait_without_spinning()
_collecting = gc.isenabled()
gc.disable()  # hundreds of modules keep it busy while torch is imported
try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise MissingDependencyError("torch", extra="torch", purpose="the PyTorch engine") from error
finally:
    if _collecting:
        gc.enable()
