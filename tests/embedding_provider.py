"""An embedding API as OpenAI's, for tests: it takes texts and token arrays, and fails on demand."""

import asyncio
import base64
import gzip
import hashlib
import json

import numpy as np
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

DIMENSIONS = 32


def vector_of(value, dimensions=DIMENSIONS):
    """Return the vector of a text or of a list of token ids, float32 of length one."""
    seed = hashlib.sha256(json.dumps(value).encode()).digest()
    vector = np.random.default_rng(list(seed)).standard_normal(dimensions)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


class Provider:
    """The API; `requests` holds what came, and `answer` replaces what it answers.

    Attributes:
        app: The application.
        requests: Method, path with query, headers and body of each request.
        answer: A response in place of the vectors, or a function from the vectors' JSON to another
            object.
        failures: Responses to the next requests for embeddings, each given once.
        seconds: How long it waits before it answers a request for embeddings.
    """

    def __init__(self):
        self.requests, self.answer, self.failures, self.seconds = [], None, [], 0.0
        self.second_chunk = asyncio.Event()
        self.app = Starlette(
            routes=[
                Route("/v1/embeddings", self.embeddings, methods=["POST"]),
                Route("/v1/chat/completions", self.chat, methods=["POST"]),
                Route("/v1/release", self.release),
                Route(
                    "/{path:path}", self.echo, methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"]
                ),
            ]
        )

    async def record(self, request):
        path = request.scope["raw_path"].decode()
        query = request.scope["query_string"].decode()
        body = await request.body()
        headers = [(k.decode(), v.decode()) for k, v in request.headers.raw]
        self.requests.append((request.method, f"{path}?{query}" if query else path, headers, body))
        return body

    async def embeddings(self, request):
        body = json.loads(await self.record(request))
        await asyncio.sleep(self.seconds)
        if self.failures:
            return self.failures.pop(0)
        if isinstance(self.answer, Response):
            return self.answer
        inputs = body["input"]
        if isinstance(inputs, str) or (inputs and isinstance(inputs[0], int)):
            inputs = [inputs]
        vectors = [vector_of(x, body.get("dimensions") or DIMENSIONS) for x in inputs]
        if body.get("encoding_format") == "base64":
            forms = [base64.b64encode(v.tobytes()).decode() for v in vectors]
        else:
            forms = [v.tolist() for v in vectors]
        content = {
            "object": "list",
            "data": [
                {"object": "embedding", "index": i, "embedding": x} for i, x in enumerate(forms)
            ],
            "model": body["model"],
            "usage": {"prompt_tokens": 7, "total_tokens": 7},
            "provider": {"région": "é"},
        }
        if self.answer is not None:
            content = self.answer(content)
        headers = {"x-request-id": "r1", "content-encoding": "gzip"}
        return Response(
            gzip.compress(json.dumps(content).encode()), 200, headers, "application/json"
        )

    async def chat(self, request):
        await self.record(request)
        self.second_chunk.clear()

        async def chunks():
            yield b"data: one\n\n"
            await self.second_chunk.wait()
            yield b"data: two\n\n"

        return StreamingResponse(chunks(), media_type="text/event-stream")

    async def release(self, request):
        self.second_chunk.set()
        return JSONResponse({})

    async def echo(self, request):
        """Answer with what came, in gzip, with two cookies and an ETag."""
        body = await self.record(request)
        content = gzip.compress(json.dumps({"body": body.decode("latin-1")}).encode())
        response = Response(content, 207, {"content-encoding": "gzip", "etag": '"e"'})
        response.set_cookie("one", "1")
        response.set_cookie("two", "2")
        return response
