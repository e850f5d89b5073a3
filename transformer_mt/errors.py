"""What the user can mend: every error here is one clear line (what, where, what to do) and exit code 2.

Anything else that escapes is our bug: it keeps its traceback and exits with 1.
"""

from collections.abc import Sequence


class TransformerMTError(Exception):
    """Base of all errors that the user can mend; the command prints its text and exits with 2."""


class ConfigError(TransformerMTError):
    """All problems of one configuration together, one line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


class DataError(TransformerMTError):
    """Sentence pairs that cannot be read or do not fit together."""


class TokenizerError(TransformerMTError):
    """A SentencePiece model that cannot be trained, loaded or used with this model."""


class BundleError(TransformerMTError):
    """A bundle or checkpoint that is missing, damaged, foreign or does not fit."""


class DeviceError(TransformerMTError):
    """A device or precision that this machine does not have."""


class TrainingError(TransformerMTError):
    """Training that cannot start or cannot go on."""


class ProcessLost(TransformerMTError):
    """Another process of this training has ended; it has told why."""


class Interrupted(Exception):
    """The user or the system asked to stop, and what had to be saved is saved; the command exits with 130."""


class MissingExtraError(TransformerMTError):
    """An optional package is needed; says which command installs it."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f'{purpose} needs the package {package}; run: pip install "transformer-mt[{extra}]"')
