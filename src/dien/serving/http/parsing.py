"""How bodies are read: each once, into the structure that its route takes; and what a route may refuse."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from litestar import Request
from litestar.exceptions import InternalServerException
from litestar.openapi import ResponseSpec

from dien.serving.http.messages import Problem
from dien.serving.http.refusals import RefusedError, not_as_expected

One = TypeVar("One")


class ParsedRequest(Request[Any, Any, Any]):
    """A request whose JSON is parsed once, into the structure that its route takes."""

    async def json(self) -> Any:
        """Parse the body.

        Raises:
            RefusedError: 400 where it is no JSON, 422 where it is not the structure.
        """
        decoder: msgspec.json.Decoder[Any] = self.route_handler.opt["decoder"]
        body = await self.body()
        if (name := self.route_handler.opt.get("length_of_json")) is not None:
            body = body[: length_of_json(self.headers.get(name), name, len(body))]
        try:
            return decoder.decode(body)
        except msgspec.ValidationError as error:
            raise not_as_expected(error) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedError(400, f"the body: {error}; expected JSON in UTF-8") from None

    async def body(self) -> bytes:
        """Read the body.

        Raises:
            RefusedError: 400 where the client has gone.
        """
        try:
            return await super().body()
        except InternalServerException:
            raise RefusedError(400, "the client left before the end of the body") from None


def one_or_several(data: One | list[One]) -> tuple[list[One], bool]:
    """Give a body that is one thing or a list of them as a list, and whether it was one."""
    return (data, True) if isinstance(data, list) else ([data], False)


_REFUSED = {
    400: "The body is no JSON.",
    401: "The token is missing, or another.",
    404: "There is no such thing here.",
    409: "Another reload is under way.",
    413: "The body or the call is too large.",
    422: "The body or a header is not what is expected; the field says where.",
    429: "The queue is full, or too many calls wait.",
    503: "The server ends, or its store cannot be used.",
    504: "Not done before its deadline.",
}


def may_refuse(*statuses: int) -> dict[int, ResponseSpec]:
    """Declare the refusals of a route."""
    return {
        status: ResponseSpec(Problem, generate_examples=False, description=_REFUSED[status])
        for status in statuses
    }


def length_of_json(given: str | None, name: str, most: int) -> int:
    """Read how many bytes of a body are JSON, before what follows in binary form.

    Args:
        given: value of the header; None where all is JSON.
        name: of the header.
        most: bytes of the body.

    Raises:
        RefusedError: 422.
    """
    if given is None:
        return most
    if not (given.isascii() and given.isdigit() and len(given) < 20 and int(given) <= most):
        raise RefusedError(422, f"found {given!r}, expected a number of bytes, at most {most}", name)
    return int(given)
