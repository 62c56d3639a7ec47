"""Pages for one person on this machine: readings confirmed or corrected, and a form's boxes drawn.

Importing it without the extra `serve` raises MissingDependencyError.
"""

from importlib.util import find_spec

from tenfold.errors import MissingDependencyError

for _package in ("fastapi", "prometheus_client", "python_multipart", "uvicorn"):  # as tenfold.serve
    if find_spec(_package) is None:
        raise MissingDependencyError(_package, extra="serve", purpose="the page")
