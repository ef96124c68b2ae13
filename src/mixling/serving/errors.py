"""Writes errors as OpenAI's API does.

The body is {"error": {"message", "type", "param", "code"}}; code and param are a string or null.
"""

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


class RequestError(Exception):
    """A request that cannot be answered as it is.

    Args:
        message: What is wrong and what to send instead.
        param: The field at fault.
        code: OpenAI's code of the error; by default that of the status.
        status: The HTTP status.
    """

    def __init__(
        self, message: str, param: str | None = None, code: str | None = None, status: int = 400
    ):
        super().__init__(message)
        self.message, self.param, self.code, self.status = message, param, code, status


def error_response(
    status: int,
    message: str,
    *,
    param: str | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an error in OpenAI's form.

    Args:
        status: The HTTP status.
        message: What is wrong and what to send instead.
        param: The field at fault.
        code: OpenAI's code of the error; by default that of the status.
        headers: More headers of the answer.
    """
    error_type = "server_error" if status >= 500 else "invalid_request_error"
    error = {
        "message": message,
        "type": error_type,
        "param": param,
        "code": code or CODES.get(status),
    }
    return JSONResponse({"error": error}, status, headers)
