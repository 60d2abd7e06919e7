"""A service's schema → the source of a client."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from ..rendering import environment
from .model import Operation, Parameter, Service, Typed
from .python_types import PythonTypes, dtype
from .records import Record, Records
from .typescript_types import TypescriptTypes, key

LANGUAGES = {"python": "py", "typescript": "ts"}
"""Language to the ending of its files."""

_ARRAYS = ("array", "tensor")
_BINARY = ("file", "bytes", "image")
_BLOCKS = frozenset(
    {"float64", "float32", "bfloat16", "bool"}
    | {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}
)
"""What JavaScript has an array of; bfloat16 is answered as float32."""
_WORD = re.compile(r"[A-Za-z0-9]+")
_TAKEN = {
    "python": """Any ArrayLike BinaryIO BytesIO ConnectionFailedError File Iterator Literal Mapping NDArray
        Path Sequence ServerError Table TypeAlias TypedDict Union Upload None True False""",
    "typescript": """ACCEPT AbortController AbortSignal Api Array ArrayBuffer ArrayLike AsyncGenerator BLOCKS
        BigInt64Array BigUint64Array Blob BlobPart CallOptions ClientOptions ConnectionFailedError
        DOMException DataView Date DownloadedFile Error FEW Float32Array Float64Array FormData Headers
        Int16Array Int32Array Int8Array JSON Map Math NEVER_CONNECTED NPY NdArray Nested Number Numbers Object
        Promise Readonly ReadableStreamDefaultReader Record RequestInit Response ServerError Set String Table
        TextDecoder TypeError TypedArray Uint16Array Uint32Array Uint8Array Upload""",
}
"""Names that the rest of a file uses: definitions of the service get others."""
_OWN = {
    "python": {"close", "wait_ready", "int", "float", "str", "bool", "bytes", "list", "dict"},
    "typescript": {"constructor", "then", "waitReady"},
}
"""Methods of the client itself, and names of types; an api of that name gets another one here."""


def client_code(document: Mapping[str, Any], language: str) -> str:
    """The file.

    Args:
        document: OpenAPI, with tiffin's `x-tiffin`.
        language: one of LANGUAGES.

    Raises:
        BuildError: the document is not tiffin's, or no code can be written for it.
    """
    service = Service.of(document)
    client = f"{''.join(word[:1].upper() + word[1:] for word in _WORD.findall(service.name))}Client"
    client = client if client[0].isalpha() else f"Service{client}"
    records = Records(service, taken=[*_TAKEN[language].split(), client])
    write = _python if language == "python" else _typescript
    facts = {
        "service": service,
        "client": client,
        "title": f"Calls the service {service.name}.",
        "example": next((_method(api, language) for api in service.operations if not api.stream), ""),
        **write(service, records),
    }
    made = environment({"literal": repr, "json": json.dumps, "doc": _doc, "comment": _comment})
    return made.get_template(f"client/{language}.{LANGUAGES[language]}.j2").render(facts)


def _python(service: Service, records: Records) -> dict[str, Any]:
    types = PythonTypes(records)
    every = [typed for api in service.operations for typed in (api.output, *_typed(api.parameters))]
    return {
        "arrays": any(typed.kind in _ARRAYS for typed in every),
        "records": [_python_record(record, types) for record in records.all],
        "apis": [_python_api(api, types) for api in service.operations],
    }


def _python_record(record: Record, types: PythonTypes) -> dict[str, Any]:
    fields = [(each, types.hint(each.schema, given=record.given)) for each in record.fields or ()]
    rows = [{"name": each.name, "hint": hint, "required": each.required} for each, hint in fields]
    return {
        "name": record.name,
        "doc": record.doc,
        "fields": None if record.fields is None else rows,
        "required": [row for row in rows if row["required"]],
        "optional": [row for row in rows if not row["required"]],
        "functional": not all(_is_name(each.name) for each, _ in fields),
        "alias": types.alias(record) if record.fields is None else "",
    }


def _python_api(api: Operation, types: PythonTypes) -> dict[str, Any]:
    parameters, star = [], True
    for each in api.parameters:
        begins = each.keyword_only and star
        star = star and not begins
        parameters.append(
            {
                "api_name": each.name,
                "name": f"{each.name}_" if not _is_name(each.name) or each.name == "self" else each.name,
                "hint": types.given(each.typed),
                "default": None if each.required else _python_default(each.default),
                "star": begins,
                "way": _way(each.typed),
            }
        )
    return {
        **_api(api, "python"),
        "route": api.route,
        "kind": api.output.kind,
        "parameters": parameters,
        "result": types.result(api.output),
        "dtype": (dtype(api.output) if api.output.dtype else "None")
        if api.output.kind in _ARRAYS
        else "None",
        "timeout_s": api.timeout_s,
    }


def _python_default(value: Any) -> str:
    plain = value is None or isinstance(value, (bool, int, str))
    return repr(value) if plain or isinstance(value, float) else "_DEFAULT"


def _way(typed: Typed) -> str:
    """How Python sends it when something binary is sent."""
    if typed.kind in _ARRAYS:
        return "array"
    if typed.items in _BINARY:
        return "files"
    return "file" if typed.kind in _BINARY else "json"


def _typescript(service: Service, records: Records) -> dict[str, Any]:
    types = TypescriptTypes(records)
    return {
        "records": [_typescript_record(record, types) for record in records.all],
        "apis": [_typescript_api(api, types) for api in service.operations],
    }


def _typescript_record(record: Record, types: TypescriptTypes) -> dict[str, Any]:
    fields = None
    if record.fields is not None:
        fields = [
            {
                "key": key(each.name),
                "type": types.type(each.schema, given=record.given),
                "required": each.required,
            }
            for each in record.fields
        ]
    return {
        "name": record.name,
        "doc": record.doc,
        "fields": fields,
        "alias": types.alias(record) if fields is None else "",
    }


def _typescript_api(api: Operation, types: TypescriptTypes) -> dict[str, Any]:
    arrays = {each.name: each.typed.dtype for each in api.parameters if each.typed.kind in _ARRAYS}
    called = {
        "route": api.route,
        "kind": api.output.kind,
        "limitMs": round(api.timeout_s * 1000),
        "binary": [each.name for each in api.parameters if _way(each.typed) in ("file", "files")],
        "arrays": arrays,
        "alone": bool(arrays) and len(api.parameters) == 1,
    }
    return {
        **_api(api, "typescript"),
        "parameters": [
            {"key": key(each.name), "type": types.given(each.typed), "required": each.required}
            for each in api.parameters
        ],
        "needed": any(each.required for each in api.parameters),
        "result": types.result(api.output),
        "flat": _flat(api.output),
        "called": called,
    }


def _flat(output: Typed) -> str:
    """The type of a result that can come as a block; else empty."""
    if output.kind not in _ARRAYS or output.dtype not in _BLOCKS:
        return ""
    return "NdArray | null" if output.optional else "NdArray"


def _api(api: Operation, language: str) -> dict[str, Any]:
    return {
        "method": _method(api, language),
        "doc": api.doc,
        "stream": api.stream,
    }


def _method(api: Operation, language: str) -> str:
    return f"{api.name}_api" if api.name in _OWN[language] else api.name


def _typed(parameters: Iterable[Parameter]) -> Iterable[Typed]:
    return (each.typed for each in parameters)


def _is_name(text: str) -> bool:
    from keyword import iskeyword

    return text.isidentifier() and not iskeyword(text) and not text.startswith("__")


def _doc(text: str, indent: int = 0) -> str:
    """Inside a Python docstring."""
    safe = _printable(text).replace("\\", "\\\\").replace('"""', "'''")
    safe = f'{safe[:-1]}\\"' if safe.endswith('"') else safe
    return _indented(safe, " " * indent)


def _comment(text: str, indent: int = 0) -> str:
    """Inside a `/** … */`."""
    return _indented(_printable(text).replace("*/", "* /"), f"{' ' * indent} * ")


def _printable(text: str) -> str:
    return "".join(char for char in text.strip() if char.isprintable() or char == "\n")


def _indented(text: str, margin: str) -> str:
    first, *lines = text.split("\n")
    return "\n".join([first, *(f"{margin}{line}".rstrip() for line in lines)])
