"""Which packages transformer_mt wants, and which of them are here; from its own metadata."""

import re
from importlib import metadata
from typing import NamedTuple

DISTRIBUTION = "transformer-mt"
_FOR_DEVELOPERS = ("test", "docs")


class Wanted(NamedTuple):
    """A package that is needed, or that an extra needs."""

    name: str
    versions: str
    """As `>=2.10,<3`."""
    extra: str | None


def wanted_packages() -> list[Wanted] | None:
    """Those of the installation, developers' extras left out; None where there is no installation, only a checkout."""
    try:
        lines = metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        return None
    found = []
    for line in lines:
        match = re.match(r"([\w.-]+)\s*(?:\[[^]]*\])?\s*\(?([^;)]*)\)?\s*(?:;(.*))?$", line)
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", match[3] or "") if match else None
        if match and not (extra and extra[1] in _FOR_DEVELOPERS):
            found.append(Wanted(match[1], match[2].strip(), extra[1] if extra else None))
    return found


def installed_version(name: str) -> str | None:
    """The version of a package, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def is_enough(version: str, versions: str) -> bool:
    """Whether `version` satisfies all of `versions`, of which `>=` and `<` are understood."""
    found = _numbers(version)
    for clause in filter(None, (clause.strip() for clause in versions.split(","))):
        if clause.startswith(">=") and found < _numbers(clause):
            return False
        if clause.startswith("<") and not clause.startswith("<=") and found >= _numbers(clause):
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    match = re.search(r"\d+(?:\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
