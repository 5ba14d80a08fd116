"""How a GitHub refuses: a status, a sentence, and for a bad field what is wrong with it."""

from __future__ import annotations

from typing import Any, Final

DOCUMENTATION: Final = "https://docs.github.com/rest"


class Refused(Exception):  # noqa: N818 - it is an answer of the service, not a fault of ours
    """The answer to a request that is not carried out."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        errors: tuple[dict[str, Any], ...] = (),
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message
        self.errors = errors
        self.headers = headers or {}

    @classmethod
    def invalid(cls, resource: str, field: str, code: str, words: str) -> Refused:
        """Return the 422 that names a field: `code` is missing_field, invalid, already_exists or custom."""
        error = {"resource": resource, "code": code}
        error |= {"field": field} if field else {}
        error |= {"message": words} if words else {}
        return cls(422, "Validation Failed", errors=(error,))

    def body(self) -> dict[str, Any]:
        """Return it as GitHub writes it."""
        told: dict[str, Any] = {
            "message": self.message,
            "documentation_url": DOCUMENTATION,
            "status": str(self.status),
        }
        return told | ({"errors": list(self.errors)} if self.errors else {})
