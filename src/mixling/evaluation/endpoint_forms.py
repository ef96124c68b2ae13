"""Forms of search systems: a request with places for the query, and paths in the answer.

Known forms are `mixling` (`/v1/search` of `mixling serve`), `opensearch` (`_search`, the same for
Elasticsearch) and `qdrant` (`points/query`). Any other system is described in a TOML file:

    url = "https://search.example.org/find"
    ids = "results[].doc.id"      # path to the ids in the answer, best first
    scores = "results[].score"    # optional: path to the scores
    method = "POST"               # optional; GET sends the parameters of [params]

    [headers]
    Authorization = "Bearer ${SEARCH_KEY}"   # from the environment; also in [params] and url

    [body]
    text = "{query}"
    size = "{k}"

A value that is nothing but `{k}` becomes a number, and `{vector}` the query's vector by a model.
`{language}` is the query's language tag.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mixling.corpora.files import read_text
from mixling.errors import MixlingError, choose

_FIELDS = {"url", "ids", "scores", "method", "headers", "params", "body"}
_ENVIRONMENT = re.compile(r"\$\{(\w+)\}")
_PLACE = re.compile(r"\{(query|k|vector|language)\}")
_STEP = re.compile(r"([^.\[\]]+)|(\[\])|\[(\d+)\]")
FORMS = ("mixling", "opensearch", "qdrant")


@dataclass(frozen=True)
class EndpointForm:
    """A request and where the answer stands.

    Args:
        url: Address of the request.
        ids: Path to the ids in the answer.
        scores: Path to the scores, "" where the answer has none.
        method: HTTP method.
        headers: Headers of the request, with keys.
        params: Parameters in the address.
        body: JSON of the body; None for no body.
        secrets: Values of the environment that must not be shown.
    """

    url: str
    ids: str
    scores: str = ""
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    params: Mapping[str, Any] = field(default_factory=dict)
    body: Any = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def address(self) -> str:
        """The address without user, password and parameters, for results and messages."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return f"{parts.scheme}://{host}{parts.path}"

    @property
    def needs_vector(self) -> bool:
        """Whether the request has a place for the query's vector."""
        return "{vector}" in repr((self.body, self.params))

    def hide(self, text: str) -> str:
        """Replace keys in a text by stars."""
        password = urlsplit(self.url).password
        for secret in (*self.secrets, *((password,) if password else ())):
            text = text.replace(secret, "***")
        return text


def endpoint_form(
    url: str,
    form: str = "mixling",
    template: Mapping[str, Any] | None = None,
    id_field: str | None = None,
) -> EndpointForm:
    """Return how an endpoint is asked.

    Args:
        url: Its address: that of the server for mixling, of the index for opensearch, of the
            collection for qdrant. If it is "", that of the TOML file.
        form: "mixling", "opensearch", "qdrant", or the path of a TOML file.
        template: Body of the request instead of the form's.
        id_field: Field that holds the ids: of a document's source in opensearch, of the payload
            in qdrant.

    Returns:
        The form.

    Raises:
        MixlingError: The form is unknown, the file is wrong, or the address is no HTTP address.
    """
    if form.endswith(".toml"):
        return _read_form(Path(form), url)
    choose(form, FORMS, "form of an endpoint (or a .toml file)")
    base = _check_url(url).rstrip("/")
    if form == "mixling":
        return _with_key(
            "MIXLING_API_KEY",
            "Bearer {}",
            url=base if base.endswith("/v1/search") else f"{base}/v1/search",
            ids="results[].document",
            scores="results[].score",
            body=template or {"query": "{query}", "k": "{k}"},
        )
    if form == "opensearch":
        source = id_field is not None
        default = {"query": {"match": {"text": "{query}"}}}
        body = {"size": "{k}", "_source": [id_field] if source else False, **(template or default)}
        return _with_key(
            "OPENSEARCH_API_KEY",
            "ApiKey {}",
            url=base if base.endswith("/_search") else f"{base}/_search",
            ids=f"hits.hits[]._source.{id_field}" if source else "hits.hits[]._id",
            scores="hits.hits[]._score",
            body=body,
        )
    name = id_field or "id"
    body = {"limit": "{k}", "with_payload": [name], **(template or {"query": "{vector}"})}
    return _with_key(
        "QDRANT_API_KEY",
        "{}",
        header="api-key",
        url=base if base.endswith("/points/query") else f"{base}/points/query",
        ids=f"result.points[].payload.{name}",
        scores="result.points[].score",
        body=body,
    )


def _with_key(
    variable: str, value: str, *, header: str = "Authorization", **options: Any
) -> EndpointForm:
    """Make a form whose key is a variable of the environment, where that is set."""
    key = _secret(variable, "endpoint") if variable in os.environ else ""
    headers = {header: value.format(key)} if key else {}
    return EndpointForm(**options, headers=headers, secrets=(key,) if key else ())


def _check_url(url: str) -> str:
    """Return an address if it is one of HTTP."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        shown = url.rpartition("@")[2].partition("?")[0]
        raise MixlingError(
            f"endpoint '{shown}': this is not an address of HTTP. Expected an address such as "
            "http://127.0.0.1:8080"
        )
    return url


def _secret(variable: str, place: str) -> str:
    """Return a variable of the environment that stands in a header, without space around it."""
    value = os.environ[variable].strip()
    if not value.isascii() or not value.isprintable():
        raise MixlingError(
            f"{place}: the environment variable {variable} holds characters that a header cannot "
            "have. Set it to printable ASCII characters."
        )
    return value


def _read_form(path: Path, url: str) -> EndpointForm:
    """Read a form of a TOML file."""
    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise MixlingError(f"{path}: the file is not TOML ({error}). Correct the file.") from None
    unknown = sorted(set(content) - _FIELDS)
    if unknown:
        choose(unknown[0], sorted(_FIELDS), f"field in {path}")
    for name, expected, description in (
        ("url", str, "a text"),
        ("ids", str, "a text"),
        ("scores", str, "a text"),
        ("method", str, "a text"),
        ("headers", dict, "a table"),
        ("params", dict, "a table"),
        ("body", (dict, list, str), "a table, an array or a text"),
    ):
        if name in content and not isinstance(content[name], expected):
            raise MixlingError(
                f"{path}: field '{name}' is {content[name]!r}. Expected {description}."
            )
    if not content.get("ids"):
        raise MixlingError(
            f"{path}: field 'ids' is missing. Write the path to the ids in the answer, for "
            'instance ids = "hits[].id"'
        )
    secrets: list[str] = []

    def fill(text: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] not in os.environ:
                raise MixlingError(
                    f"{path}: the environment variable {match[1]} is not set. Set it."
                )
            secrets.append(_secret(match[1], str(path)))
            return secrets[-1]

        return _ENVIRONMENT.sub(value, text)

    params = content.get("params", {})
    places = {
        match[1]
        for match in _PLACE.finditer(repr((content.get("body"), params, url, content.get("url"))))
    }
    if not places & {"query", "vector"}:
        raise MixlingError(
            f"{path}: the request has no place for the query. Write {{query}} or {{vector}} in "
            "[body] or [params]."
        )
    headers = {k: fill(str(v)) for k, v in content.get("headers", {}).items()}
    secrets += [word for value in headers.values() for word in value.split()[-1:]]
    return EndpointForm(
        url=_check_url(fill(url or content.get("url", ""))),
        ids=_check_path(content["ids"], path),
        scores=_check_path(content.get("scores", ""), path),
        method=content.get("method", "POST").upper(),
        headers=headers,
        params={k: fill(v) if isinstance(v, str) else v for k, v in params.items()},
        body=content.get("body"),
        secrets=tuple(s for s in secrets if s),
    )


def _check_path(text: str, path: Path) -> str:
    """Return a path in an answer if it can be read."""
    parse_path(text, str(path))
    return text


def parse_path(text: str, where: str = "path") -> list[str | int | None]:
    """Parse a path such as `hits.hits[]._id` (also `$.hits.hits[*]._id`).

    Returns:
        Its steps: the name of a field, the number of an element, or None for all elements.
    """
    plain = text.removeprefix("$").removeprefix(".").replace("[*]", "[]")
    steps: list[str | int | None] = []
    end = 0
    for match in _STEP.finditer(plain):
        if plain[end : match.start()] not in ("", "."):
            break
        steps.append(match[1] if match[1] else None if match[2] else int(match[3]))
        end = match.end()
    if end < len(plain):
        raise MixlingError(
            f"{where}: '{text}' is not a path in an answer. Write it as hits.hits[]._id"
        )
    return steps


def find_values(content: Any, path: str) -> list[Any]:
    """Return the values at a path of an answer.

    Args:
        content: Parsed JSON.
        path: The path; see `parse_path`.

    Returns:
        The values; a final list is one value for each of its elements.

    Raises:
        KeyError: The answer has nothing there.
    """
    values = [content]
    for step in parse_path(path):
        following: list[Any] = []
        for value in values:
            if step is None:
                if not isinstance(value, list):
                    raise KeyError(path)
                following += value
            elif isinstance(step, int):
                if not isinstance(value, list) or step >= len(value):
                    raise KeyError(path)
                following.append(value[step])
            else:
                if not isinstance(value, dict) or step not in value:
                    raise KeyError(path)
                following.append(value[step])
        values = following
    return values[0] if len(values) == 1 and isinstance(values[0], list) else values


def fill_places(content: Any, values: Mapping[str, Any]) -> Any:
    """Fill the places of a template.

    Args:
        content: Parsed JSON or TOML.
        values: Value of each place: query, k, vector, language.

    Returns:
        The content with the values; a text that is nothing but a place becomes the value itself.
    """
    if isinstance(content, Mapping):
        return {k: fill_places(v, values) for k, v in content.items()}
    if isinstance(content, list):
        return [fill_places(v, values) for v in content]
    if not isinstance(content, str):
        return content
    whole = _PLACE.fullmatch(content)
    if whole:
        return values[whole[1]]
    # one pass, so that a query that holds "{k}" stays as it is
    return _PLACE.sub(lambda match: str(values[match[1]]), content)
