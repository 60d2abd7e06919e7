"""pydantic models: their own rules decide what they take; tiffin gives the path of what they refuse."""

from __future__ import annotations

from typing import Any

import msgspec

from ..manifest import TypeSpec
from .kind import Kind
from .wrong import WrongValueError


def is_model(hint: Any) -> bool:
    """Whether it is a pydantic (2.x) model class, without importing pydantic."""
    return (
        isinstance(hint, type) and hasattr(hint, "__pydantic_validator__") and hasattr(hint, "model_validate")
    )


class PydanticKind(Kind):
    """A `pydantic.BaseModel`, validated by itself."""

    def __init__(self, model: Any) -> None:
        super().__init__(model.__name__)
        self.model = model

    def from_plain(self, value: Any) -> Any:
        from pydantic import ValidationError

        if isinstance(value, self.model):
            return value
        try:
            if _binary_free(value):
                # JSON mode reads dates, enums and the like from text even in strict models.
                return self.model.model_validate_json(msgspec.json.encode(value))
            return self.model.model_validate(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            at = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in first["loc"])
            raise WrongValueError(str(first["msg"]), at) from error

    def spec(self) -> TypeSpec:
        return TypeSpec(kind="json", json_schema=self.json_schema())

    def json_schema(self) -> dict[str, Any]:
        schema: dict[str, Any] = self.model.model_json_schema()
        return schema

    def schema_with_refs(self, ref_template: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """The schema and the definitions that it refers to.

        Args:
            ref_template: with `{name}`, as msgspec writes it.
        """
        schema: dict[str, Any] = self.model.model_json_schema(
            ref_template=ref_template.replace("{name}", "{model}")
        )
        return schema, schema.pop("$defs", {})


def _binary_free(value: Any) -> bool:
    """Whether the value could have come from JSON; arrays, files and binary take pydantic's Python mode."""
    if isinstance(value, dict):
        return all(isinstance(key, str) and _binary_free(item) for key, item in value.items())
    if isinstance(value, list):
        return all(_binary_free(item) for item in value)
    return value is None or isinstance(value, (str, int, float, bool))


def to_plain(model: Any) -> Any:
    """The JSON form by the model's own serializers; what JSON does not know is left to tiffin's encoder."""
    from pydantic_core import PydanticSerializationError

    try:
        return model.model_dump(mode="json", by_alias=True)
    except PydanticSerializationError:
        return model.model_dump(by_alias=True)
