"""The files of the page, which are read once and found by their names alone: no request reaches the file system."""

from importlib import resources

PAGE_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
_FILES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
}


def read_page_files() -> dict[str, tuple[bytes, str]]:
    """Content and type of each file of the page that this installation has, by the path it is served at."""
    folder = resources.files("transformer_mt.serving") / "page"
    found = ((path, folder / name, kind) for path, (name, kind) in _FILES.items())
    return {path: (file.read_bytes(), kind) for path, file, kind in found if file.is_file()}
