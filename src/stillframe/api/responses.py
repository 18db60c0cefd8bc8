"""How answers are written, wherever a door does not say otherwise."""

from typing import Any, TypeVar

from litestar import Response
from litestar.serialization import default_serializer
from litestar.types import Serializer

T = TypeVar("T")


class EmptyOrJson(Response[T]):
    """A handler that returns nothing sends nothing: `null` would be a document, and clients look for keys in it."""

    def render(self, content: Any, media_type: str, enc_hook: Serializer = default_serializer) -> bytes:
        return b"" if content is None else super().render(content, media_type, enc_hook)
