"""Pictures of pages as a browser shows them: wide and narrow, light and dark.

    python scripts/screenshots.py OUT_DIR PAGE...

PAGE is an HTML file, a run's folder (its report) or an address. Written are, for each,
NAME-{1280,390}-{light,dark}.png of the whole page, and what one sees first of it (-top). Whatever the
browser complains of, and every request that leaves the page's own host, is printed and fails.
"""

from __future__ import annotations

import sys
from pathlib import Path
from urllib.parse import urlsplit

from browser import Page, open_page

__all__ = ["take_screenshots"]


def take_screenshots(given: Path | str, folder: Path, name: str) -> tuple[list[Path], list[str]]:
    """The pictures of one page, and what was wrong with it."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    with open_page() as page:
        for width in (1280, 390):
            for dark in (False, True):
                page.show(given, width=width, dark=dark)
                for suffix, whole in (("", True), ("-top", False)):
                    path = folder / f"{name}-{width}-{'dark' if dark else 'light'}{suffix}.png"
                    path.write_bytes(page.screenshot(whole=whole))
                    written.append(path)
        return written, page.complaints() + _strangers(page, given)


def _strangers(page: Page, given: Path | str) -> list[str]:
    """Requests to elsewhere."""
    host = urlsplit(given).netloc if isinstance(given, str) else ""
    asked = [urlsplit(url) for url in page.requests()]
    return [url.geturl() for url in asked if url.scheme in ("http", "https") and url.netloc != host]


def _find(given: str) -> tuple[Path | str, str]:
    """What to open, and a name for its pictures."""
    if given.startswith(("http://", "https://")):
        return given, "page"
    path = Path(given)
    if path.is_dir():
        return path / "report.html", f"report-{path.resolve().name}"
    return path, path.stem


def main(arguments: list[str]) -> int:
    if len(arguments) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    wrong: list[str] = []
    for given in arguments[1:]:
        page, name = _find(given)
        if isinstance(page, Path) and not page.is_file():
            print(f"{page} is not there", file=sys.stderr)
            return 1
        written, complaints = take_screenshots(page, Path(arguments[0]), name)
        wrong += complaints
        print(*written, sep="\n")
    print(*wrong, sep="\n", file=sys.stderr, end="\n" if wrong else "")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
