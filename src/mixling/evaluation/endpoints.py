"""Asks a running search system the queries of a task."""

from __future__ import annotations

import hashlib
import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from mixling.corpora.files import write_text
from mixling.errors import MixlingError, check_at_least
from mixling.evaluation.endpoint_forms import EndpointForm, fill_places, find_values
from mixling.evaluation.result import file_name
from mixling.evaluation.runs import id_rows
from mixling.evaluation.tasks import Task
from mixling.evaluation.top_lists import TopLists, make_top_lists
from mixling.evaluation.trec import trec_ids
from mixling.models.functions import import_object
from mixling.progress import Progress

DEPTH, CONCURRENCY = 100, 8
TRIES, LONGEST_WAIT = 5, 60.0
# answers of a server that a second try may mend
_PASSING = (408, 425, 429, 500, 502, 503, 504)
_SHOWN_CHARACTERS = 200
# ids and scores (None where the system gives none) of a query's passages, best first
Answer = tuple[list[str], list[float] | None]
# returns the answer to a query: its row in the task, and the number of passages
Ask = Callable[[Task, int, int], Answer]


class EndpointSystem:
    """A search system that is asked each query of a task.

    Answers are kept while a task is asked, so that a killed call goes on; once all are there they
    are a TREC run, and the next call asks anew.

    Args:
        name: Its name in results.
        origin: What it is, for results.
        ask: Asks one query.
        depth: Number of passages to ask for.
        concurrency: Number of queries that are asked at the same time.
        answers: Folder where answers are kept until a task is finished; None keeps none.

    Raises:
        MixlingError: The depth or the concurrency is no positive number.
    """

    precision = "given"

    def __init__(
        self,
        name: str,
        origin: dict[str, Any],
        ask: Ask,
        depth: int = DEPTH,
        concurrency: int = CONCURRENCY,
        answers: Path | None = None,
    ):
        check_at_least(1, depth=depth, concurrency=concurrency)
        self.name, self.origin, self.ask = name, {**origin, "depth": depth}, ask
        self.depth, self.concurrency, self.answers = depth, concurrency, answers

    def top_lists(self, task: Task) -> tuple[TopLists, dict[str, Any]]:
        """Ask all queries of a task.

        Args:
            task: The task.

        Returns:
            The lists, and the number of queries that were asked now.

        Raises:
            MixlingError: The system does not answer a query, or has none of the task's passages.
        """
        # one more, because the passage that is the query itself is left out
        depth = self.depth + (task.excluded is not None)
        store = _Answers(self.answers, task, {**self.origin, "data": task.fingerprint()})
        todo = [q for q in range(len(task.queries)) if q not in store.answers]
        self._ask_all(task, todo, depth, store)
        lists = _lists_of(task, [store.answers[q] for q in range(len(task.queries))], depth)
        store.remove()
        return lists, {"asked": len(todo)}

    def _ask_all(self, task: Task, todo: list[int], depth: int, store: _Answers) -> None:
        """Ask queries, several at the same time, and keep each answer when it is there."""
        futures: dict[Future[Answer], int] = {}
        try:
            with (
                Progress(f"{task.name}: {self.name}") as bar,
                ThreadPoolExecutor(self.concurrency) as threads,
            ):
                futures |= {threads.submit(self.ask, task, q, depth): q for q in todo}
                try:
                    for future in as_completed(futures):
                        store.add(futures[future], future.result())
                        bar(len(store.answers), len(task.queries))
                finally:
                    for future in futures:
                        future.cancel()
        except BaseException as error:
            # others may have been answered since: `as_completed` knows no order, and those on
            # their way were waited for
            for future, query in futures.items():
                done = future.done() and not future.cancelled()
                answered = done and future.exception() is None
                if answered and query not in store.answers:
                    store.add(query, future.result())
            if not isinstance(error, MixlingError):
                raise
            kept = "" if self.answers is None else " Run the same command again to continue."
            raise MixlingError(
                f"{error} {len(store.answers):,} of {len(task.queries):,} queries are answered."
                f"{kept}"
            ) from None


class _Answers:
    """Answers to the queries of a task, kept in a file of JSON lines while they come in."""

    def __init__(self, folder: Path | None, task: Task, job: dict[str, Any]):
        self.answers: dict[int, Answer] = {}
        self.path = None if folder is None else folder / f"{file_name(task.name)}.jsonl"
        if self.path is None:
            return
        digest = hashlib.sha256(json.dumps(job, sort_keys=True).encode()).hexdigest()
        if self.path.exists():
            self._read(self.path, digest, len(task.queries))
        # written anew: a killed call may have left half a line
        lines = [_answer_line(q, answer) for q, answer in self.answers.items()]
        write_text(self.path, "".join([json.dumps({"job": digest}) + "\n", *lines]))

    def _read(self, path: Path, digest: str, n_queries: int) -> None:
        """Read the answers that an earlier call with the same job left."""
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
            try:
                row = json.loads(line)
            except ValueError:
                return  # the last line of a killed call
            if number == 0 and row.get("job") != digest:
                return
            if number and 0 <= row["query"] < n_queries:
                self.answers[row["query"]] = (row["ids"], row["scores"])

    def add(self, query: int, answer: Answer) -> None:
        """Keep an answer."""
        self.answers[query] = answer
        if self.path is not None:
            with self.path.open("a", encoding="utf-8") as out:
                out.write(_answer_line(query, answer))

    def remove(self) -> None:
        """Remove the file: all queries are answered."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


def _answer_line(query: int, answer: Answer) -> str:
    """Write an answer as a line of JSON."""
    return json.dumps({"query": query, "ids": answer[0], "scores": answer[1]}) + "\n"


def _lists_of(task: Task, answers: list[Answer], depth: int) -> TopLists:
    """Turn the ids of answers into rows of a task's passages."""
    by_passage = id_rows(task)[1]
    lists: list[tuple[list[int], list[float] | None]] = []
    unknown = repeated = 0
    example = ""
    for ids, scores in answers:
        rows: dict[int, int] = {}
        for place, name in enumerate(ids):
            row = by_passage.get(name)
            if row is None:
                unknown, example = unknown + 1, example or name
            elif row in rows:
                repeated += 1  # a further part of the same document
            else:
                rows[row] = place
        lists.append(
            (list(rows), None if scores is None else [scores[place] for place in rows.values()])
        )
    if not any(rows for rows, _ in lists):
        found = f"it returned for example '{example}'" if example else "its lists are empty"
        raise MixlingError(
            f"the system returned none of the {len(task.passages):,} passages of the task "
            f"'{task.name}' ({found}; an id of the task is '{trec_ids(task)[1][0]}'). Index the "
            f"texts that `mixling texts {task.name} --out texts.jsonl` writes, with their ids."
        )
    counts = {
        "returned passages that the task does not have": unknown,
        "returned passages that stood before in the same list": repeated,
    }
    counts = {what: n for what, n in counts.items() if n}
    return make_top_lists(task, lists, depth, counts, [len(ids) for ids, _ in answers])


def python_system(
    spelling: str | Callable[[str, int], Iterable[tuple[str, float]]], **options: Any
) -> EndpointSystem:
    """Make a system of a Python function.

    Args:
        spelling: `python:module:function`, or the function: it takes a query and a number of
            passages and returns pairs of id and score, best first.
        options: Arguments of `EndpointSystem`. By default one query is asked at a time.

    Returns:
        The system.

    Raises:
        MixlingError: There is no such module or name, or it is no function.
    """
    function = import_object(spelling) if isinstance(spelling, str) else spelling
    if not callable(function):
        raise MixlingError(
            f"{spelling}: this is a {type(function).__name__}. Expected a function (query, k) "
            "that returns pairs of id and score, best first."
        )
    name = spelling if isinstance(spelling, str) else getattr(spelling, "__name__", "function")

    def ask(task: Task, query: int, k: int) -> Answer:
        where = f"{name}, query '{task.query_ids[query]}'"
        try:
            pairs = [(str(key), float(score)) for key, score in function(task.queries[query], k)]
        except Exception as error:
            raise MixlingError(
                f"{where}: the function failed with {type(error).__name__}: {error}. Expected "
                "pairs of id and score, best first."
            ) from error
        if any(not np.isfinite(score) for _, score in pairs):
            raise MixlingError(f"{where}: a score is NaN or infinite. Return finite scores.")
        return [key for key, _ in pairs], [score for _, score in pairs]

    return EndpointSystem(name, {"system": name}, ask, **{"concurrency": 1, **options})


def http_system(
    form: EndpointForm,
    encode: Callable[[Task], np.ndarray] | None = None,
    timeout: float = 30.0,
    **options: Any,
) -> EndpointSystem:
    """Make a system of an HTTP endpoint.

    Args:
        form: How it is asked.
        encode: Encodes the queries of a task as float `[n_queries, dim]`, for a form with a place
            for vectors.
        timeout: Seconds to wait for an answer.
        options: Arguments of `EndpointSystem`.

    Returns:
        The system.

    Raises:
        MixlingError: httpx is not installed, or the form needs vectors and there is no encoder.
    """
    try:
        import httpx
    except ImportError:
        raise MixlingError("httpx is not installed. Install it with: pip install httpx") from None
    if form.needs_vector and encode is None:
        raise MixlingError(
            f"{form.address}: the request needs the vector of the query, but no encoder is "
            "named. Name one, as in `mixling evaluate MODEL --endpoint URL`, or give a body "
            "with {query}."
        )
    if logging.getLogger("httpx").level == logging.NOTSET:
        # its messages of level INFO hold whole addresses, with keys
        logging.getLogger("httpx").setLevel(logging.WARNING)
    client = httpx.Client(headers=dict(form.headers), timeout=timeout)
    vectors: dict[str, np.ndarray] = {}
    lock = threading.Lock()

    def ask(task: Task, query: int, k: int) -> Answer:
        vector: list[float] = []
        if form.needs_vector and encode is not None:
            with lock:  # the first query encodes all
                if task.name not in vectors:
                    vectors[task.name] = encode(task)
            vector = vectors[task.name][query].tolist()
        values = {
            "query": task.queries[query],
            "k": k,
            "vector": vector,
            "language": task.languages[task.query_language[query]],
        }
        safe = {name: quote(str(x), safe="") for name, x in values.items() if name != "vector"}
        where = f"{form.address}, query '{task.query_ids[query]}'"
        answer = _request(
            lambda: client.request(
                form.method,
                fill_places(form.url, {**safe, "vector": ""}),
                params=fill_places(form.params, values) or None,
                json=None if form.body is None else fill_places(form.body, values),
            ),
            httpx.HTTPError,
            form,
            where,
        )
        return _read_answer(answer, form, where)

    origin = {"endpoint": form.address, "method": form.method, "body": form.body}
    return EndpointSystem(f"endpoint:{form.address}", origin, ask, **options)


def _request(
    send: Callable[[], Any], failure: type[Exception], form: EndpointForm, where: str
) -> Any:
    """Send a request, again where the server is busy or does not answer; returns parsed JSON."""
    message = ""
    for number in range(TRIES):
        wait = min(0.5 * 2**number, LONGEST_WAIT)
        try:
            answer = send()
        except failure as error:
            message = (
                f"the system does not answer ({type(error).__name__}: {form.hide(str(error))})"
            )
        else:
            if answer.status_code < 300:
                try:
                    return answer.json()
                except ValueError:
                    text = form.hide(answer.text[:_SHOWN_CHARACTERS])
                    raise MixlingError(
                        f"{where}: the answer is not JSON: {text!r}. Check the address and the "
                        "form."
                    ) from None
            text = form.hide(answer.text)[:_SHOWN_CHARACTERS]
            message = f"the answer has status {answer.status_code}: {text}"
            if answer.status_code not in _PASSING:
                raise MixlingError(f"{where}: {message}. Check the address, the key and the form.")
            wait = _retry_after(answer.headers.get("Retry-After")) or wait
        if number + 1 < TRIES:
            time.sleep(min(wait, LONGEST_WAIT))
    raise MixlingError(
        f"{where}: {message} ({TRIES} tries). Check the address, and whether the system is running."
    )


def _retry_after(value: str | None) -> float | None:
    """Return the seconds that a server asks to wait, None where it gives no number."""
    try:
        seconds = float(value or "")
    except ValueError:
        return None
    return seconds if 0 <= seconds < float("inf") else None


def _read_answer(content: Any, form: EndpointForm, where: str) -> Answer:
    """Find ids and scores in an answer."""
    try:
        ids = list(find_values(content, form.ids))
        scores = find_values(content, form.scores) if form.scores else None
    except KeyError as error:
        text = form.hide(json.dumps(content))[:_SHOWN_CHARACTERS]
        raise MixlingError(
            f"{where}: the answer has nothing at {error.args[0]}: {text}. Check the form."
        ) from None
    if any(not isinstance(x, (str, int)) for x in ids):
        wrong = next(x for x in ids if not isinstance(x, (str, int)))
        raise MixlingError(
            f"{where}: the answer has the id {wrong!r} at {form.ids}. Expected a text or a number."
        )
    if scores is not None and (
        len(scores) != len(ids) or any(not isinstance(x, (int, float)) for x in scores)
    ):
        scores = None  # such as null where the system sorts by something else
    return [str(x) for x in ids], None if scores is None else [float(x) for x in scores]
