"""The HTTP server: one process that speaks HTTP, and workers that read and answer.

Importing it without the extra `serve` raises MissingDependencyError.
"""

from importlib.util import find_spec

from tenfold.errors import MissingDependencyError

for _package in ("fastapi", "prometheus_client", "python_multipart", "uvicorn"):
    if find_spec(_package) is None:
        raise MissingDependencyError(_package, extra="serve", purpose="the server")
