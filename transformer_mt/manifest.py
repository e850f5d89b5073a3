"""The manifest of a directory: size and SHA-256 of each of its files."""

import os
from collections.abc import Collection
from pathlib import Path

from transformer_mt.errors import BundleError, DataError
from transformer_mt.files import read_json, sha256_of, write_json

MANIFEST = "manifest.json"


def write_manifest(directory: Path) -> None:
    """Write size and SHA-256 of every file below `directory` into its manifest.json."""
    files = sorted(p for p in directory.rglob("*") if p.is_file() and p != directory / MANIFEST)
    write_json(directory / MANIFEST, {"files": {str(p.relative_to(directory)): _entry(p) for p in files}})


def update_manifest(directory: Path, name: str) -> None:
    """Enter the file `name` of `directory` as it is now; what the manifest says of others stays."""
    files = read_json(directory / MANIFEST)["files"]
    files[name] = _entry(directory / name)
    write_json(directory / MANIFEST, {"files": files})


def _entry(path: Path) -> dict[str, int | str]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def verify_manifest(directory: Path, to_be_read: Collection[str], may_change: Collection[str] = ()) -> None:
    """Raise a BundleError that names the first file of `directory` that is missing or not as it was written.

    Of the names `to_be_read` those that are there have to be in the manifest: nothing is read that has no hash.
    Those that `may_change` belong to the user.
    """
    if not directory.is_dir():
        raise BundleError(f"{directory}: no such directory")
    if not (directory / MANIFEST).is_file():
        raise BundleError(f"{directory}: has no {MANIFEST}; it is no bundle or checkpoint, or it is incomplete")
    try:
        entries = dict(read_json(directory / MANIFEST)["files"])
        expected = [(name, int(entry["bytes"]), str(entry["sha256"])) for name, entry in entries.items()]
        if odd := next((name for name in entries if not _is_plain_name(name)), None):
            raise ValueError(f"no file is called {odd[:40]!r}")
    except (DataError, KeyError, TypeError, ValueError, OverflowError) as error:
        found = f"there is no entry {error}" if isinstance(error, KeyError) else error
        raise BundleError(f"{directory / MANIFEST}: is damaged ({found}); copy the whole again") from None
    for name in to_be_read:
        if name not in entries and os.path.lexists(directory / name):
            raise BundleError(f"{directory / MANIFEST}: does not name {name}, which is there; copy the whole again")
    for name, size, digest in expected:
        path = directory / name
        if name in may_change:
            continue
        if path.is_symlink() and not path.resolve().is_relative_to(directory.resolve()):
            raise BundleError(f"{path}: is a link to a file outside of the directory; put the file itself there")
        if not path.resolve().is_relative_to(directory.resolve()):
            raise BundleError(f"{directory / MANIFEST}: names {name}, which is outside of the directory")
        if not path.is_file():
            raise BundleError(f"{path}: is missing; copy the whole directory again")
        if path.stat().st_size != size:
            raise BundleError(f"{path}: is damaged ({path.stat().st_size} bytes instead of {size}); copy it again")
        if (found := sha256_of(path)) != digest:
            raise BundleError(f"{path}: is damaged (its SHA-256 is {found}, {MANIFEST} has {digest})")


def _is_plain_name(name: str) -> bool:
    """Whether a file system can be asked for it."""
    return name.isprintable() and len(os.fsencode(name)) < 256
