"""Pages for one person on this machine: readings confirmed or corrected, and a form's boxes drawn.

Importing it without the extra `serve` raises MissingDependencyError.
"""

from importlib.util import find_spec

from tenfold.errors import MissingDependencyError

for _package in ("fastapi", "python_multipart", "uvicorn"):  # all that tenfold.serve asks for
    if find_spec(_package) is None:
        raise MissingDependencyError(_package, extra="serve", purpose="the page")
