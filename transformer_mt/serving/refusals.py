"""What a client is told instead of an answer."""


class Refusal(Exception):
    """A status and one short sentence, in LibreTranslate's words where it has some; nothing that was sent is in it."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        """`retry_after` is in seconds."""
        self.status = status
        self.message = message
        self.retry_after = retry_after
        super().__init__(message)


def missing(name: str) -> Refusal:
    """For a parameter that is not there, or is empty."""
    return Refusal(400, f"Invalid request: missing {name} parameter")


def too_large(size: int, limit: int, what: str) -> Refusal:
    """For more than `limit` of something."""
    return Refusal(400, f"Invalid request: request ({size} {what}) exceeds text limit ({limit} {what})")
