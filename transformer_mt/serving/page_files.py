"""The files of the page, which are read once and found by their names alone: no request reaches the file system."""

from importlib import resources

PAGE_POLICY = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
_INDEX = "index.html"
_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


def read_page_files() -> dict[str, tuple[bytes, str]]:
    """Content and type of each file of the page, by the path it is served at."""
    found = {}
    for file in (resources.files("transformer_mt.serving") / "page").iterdir():
        kind = _KINDS.get(file.name.rpartition(".")[2])
        if kind is not None:
            found["/" if file.name == _INDEX else f"/{file.name}"] = file.read_bytes(), kind
    return found
