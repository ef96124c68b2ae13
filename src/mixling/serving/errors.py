"""Errors as OpenAI's API writes them: {"error": {"message", "type", "param", "code"}}, code and param a string or null."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi.responses import JSONResponse, Response

CODES = {
    401: "invalid_api_key",
    404: "not_found",
    405: "method_not_allowed",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    503: "service_unavailable",
}


class Refusal(Exception):
    """A request that cannot be answered as it stands; `param` is the field at fault."""

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, status: int = 400
    ):
        super().__init__(message)
        self.message, self.param, self.code, self.status = message, param, code, status


def error(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Write an error in OpenAI's form."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    body = {"message": message, "type": kind, "param": param, "code": code or CODES.get(status)}
    return JSONResponse({"error": body}, status, headers)
