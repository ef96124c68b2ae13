"""The text that a model reads: its prompt, a passage's title, and the text.

Models name their prompts differently. `ROLE_NAMES` lists the names that published models and mteb
give the prompts of retrieval. Prompts for other purposes (clustering, similarity of sentences) are
not used.

A title is read as the model was trained with it. Most models read "title text". A prompt that has
a place for the title takes it there: EmbeddingGemma's "title: none | text: ".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

from mixling.corpora.values import TITLES, with_title
from mixling.errors import MixlingError, choose

Role = Literal["query", "passage"]
ROLES: tuple[Role, ...] = ("query", "passage")
# Names of a role's prompt; the first that a model has is used. sentence-transformers itself knows
# query, document, passage and corpus. The others: jina-embeddings-v3, Stella and Jasper, nomic,
# mteb ("TYPE-ROLE"), e5-mistral and Harrier.
ROLE_NAMES: dict[Role, tuple[str, ...]] = {
    "query": (
        "query",
        "retrieval.query",
        "retrieval_query",
        "s2p_query",
        "search_query",
        "Retrieval-query",
        "web_search_query",
    ),
    "passage": (
        "document",
        "passage",
        "corpus",
        "retrieval.passage",
        "retrieval.document",
        "retrieval_passage",
        "retrieval_document",
        "search_document",
        "search_passage",
        "Retrieval-document",
        "Retrieval-passage",
    ),
}
DEFAULT_TASK = "Given a web search query, retrieve relevant passages that answer the query"
_INSTRUCTION = re.compile(r"(Instruct:\s*)(.+?)(\s*\n\s*Query:\s*)", re.DOTALL)
TitleOption = Literal["model", "joined", "none"]
NO_TITLES = "none"
_EMPTY_TITLE = "title: none"


def prompt_name(prompts: Mapping[str, str], role: Role) -> str | None:
    """Return the name of a role's prompt among a model's prompts, or None if it has none."""
    return next((name for name in ROLE_NAMES[role] if prompts.get(name)), None)


def unknown_names(prompts: Mapping[str, str]) -> list[str]:
    """Return the names of prompts that belong to no role, sorted."""
    known = {name for names in ROLE_NAMES.values() for name in names}
    return sorted(name for name, prompt in prompts.items() if prompt and name not in known)


def with_task_description(prompt: str, description: str, model: str) -> str:
    r"""Put a task description into an instruction prompt.

    Args:
        prompt: A prompt such as "Instruct: …\nQuery: ".
        description: What a query is for, in a sentence.
        model: The model's name in messages.

    Returns:
        The prompt with the description.

    Raises:
        MixlingError: The description is empty, or the prompt has no place for it.
    """
    if not description.strip():
        raise MixlingError(
            "the task description is empty. Expected a sentence that says what a query is for."
        )
    match = _INSTRUCTION.fullmatch(prompt)
    if match is None:
        raise MixlingError(
            f"{model}: the model takes no task description, because its prompt of queries is "
            f"{prompt!r}. Expected a prompt of the form 'Instruct: …\\nQuery: '. To put another "
            "text before queries, use --query-prompt."
        )
    return match[1] + description + match[3]


def title_form(option: TitleOption, passage_prompt: str) -> str:
    """Return how titles are read, as results record it.

    Args:
        option: "model" for the model's way, "joined" for "title text", "none" for the text alone.
        passage_prompt: The prompt of passages.

    Returns:
        "title, space, text"; the prompt with places for title and text, such as "title: {title} |
        text: {text}"; or "none".
    """
    choose(option, ("model", "joined", "none"), "titles")
    if option == "none":
        return NO_TITLES
    if option == "model" and _EMPTY_TITLE in passage_prompt:
        return passage_prompt.replace(_EMPTY_TITLE, "title: {title}", 1) + "{text}"
    return TITLES


def input_parts(prompt: str, form: str, text: str, title: str | None) -> tuple[str, str]:
    """Return the two parts of a model's input: the prompt and the text, one with the title.

    Args:
        prompt: The role's prompt.
        form: How titles are read (see `title_form`).
        text: The text.
        title: Its title, if there is one.

    Returns:
        The prompt, which may hold the title, and the text, which may begin with the title.
    """
    if not title or form == NO_TITLES:
        return prompt, text
    if form != TITLES and _EMPTY_TITLE in prompt:
        return prompt.replace(_EMPTY_TITLE, f"title: {title}", 1), text
    return prompt, with_title(title, text)


def model_inputs(
    prompt: str, form: str, texts: Sequence[str], titles: Sequence[str | None] | None
) -> list[str]:
    """Return the texts that a model reads, with prompt and titles.

    Args:
        prompt: The role's prompt.
        form: How titles are read (see `title_form`).
        texts: The texts.
        titles: The title of each text, if there are any.

    Returns:
        One text for each.

    Raises:
        MixlingError: There are more or fewer titles than texts.
    """
    if titles is None:
        return [prompt + text for text in texts]
    if len(titles) != len(texts):
        raise MixlingError(
            f"there are {len(titles)} titles for {len(texts)} texts. Expected one title for each "
            "text."
        )
    return [
        "".join(input_parts(prompt, form, text, title))
        for text, title in zip(texts, titles, strict=True)
    ]
