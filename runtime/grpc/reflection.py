"""Server reflection: what is served here, for clients that ask (`grpcurl`); both versions of the service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto
from google.protobuf.message import DecodeError

from ...errors import MalformedInputError
from ..auth.tokens import PREDICT
from .call import Call
from .code import Code
from .context import BothStreams, Rpc
from .messages import message

if TYPE_CHECKING:
    from ..http.serving import Serving
    from .context import Context

VERSIONS = ("v1", "v1alpha")
SERVICES = tuple(f"grpc.reflection.{version}.ServerReflection" for version in VERSIONS)


class Reflection:
    """
    Args:
        files: everything that can be asked for, with all that it imports.
        services: names of the services that are served.
    """

    def __init__(
        self, serving: Serving, files: Iterable[FileDescriptorProto], services: Iterable[str]
    ) -> None:
        self._serving = serving
        self._files = {file.name: file for file in files}
        self._services = sorted(services)
        self._symbols = {name: file for file in self._files.values() for name in _symbols(file)}

    def rpcs(self) -> dict[str, Rpc]:
        return {_path(version): BothStreams(_Version(self, version).serve, PREDICT) for version in VERSIONS}

    def malformed(self, context: Context) -> Exception:
        error = MalformedInputError("the message is no ServerReflectionRequest")
        return Call(self._serving, context).refused(error)

    def answer(self, request: Any, reply: Any) -> None:
        """Fills the reply to one question."""
        asked = request.WhichOneof("message_request")
        if asked == "list_services":
            for name in self._services:
                reply.list_services_response.service.add(name=name)
        elif asked == "file_by_filename":
            self._put(self._files.get(request.file_by_filename), request.file_by_filename, reply)
        elif asked == "file_containing_symbol":
            name = request.file_containing_symbol
            self._put(self._symbols.get(name.removeprefix(".")), name, reply)
        elif (
            asked == "all_extension_numbers_of_type"
            and request.all_extension_numbers_of_type in self._symbols
        ):
            reply.all_extension_numbers_response.base_type_name = request.all_extension_numbers_of_type
        else:  # no message here has extensions
            reply.error_response.error_code = Code.NOT_FOUND
            reply.error_response.error_message = "there is no such extension or type"

    def _put(self, file: FileDescriptorProto | None, name: str, reply: Any) -> None:
        if file is None:
            reply.error_response.error_code = Code.NOT_FOUND
            reply.error_response.error_message = f"{name[:200]!r} is not served here"
            return
        for each in self._with_imports(file, {}).values():
            reply.file_descriptor_response.file_descriptor_proto.append(each.SerializeToString())

    def _with_imports(
        self, file: FileDescriptorProto, found: dict[str, FileDescriptorProto]
    ) -> dict[str, FileDescriptorProto]:
        found[file.name] = file
        for name in file.dependency:
            if name not in found:
                self._with_imports(self._files[name], found)
        return found


class _Version:
    """The same questions under one name of the service."""

    def __init__(self, reflection: Reflection, version: str) -> None:
        self._reflection = reflection
        self._request = message(f"grpc.reflection.{version}.ServerReflectionRequest")
        self._reply = message(f"grpc.reflection.{version}.ServerReflectionResponse")

    async def serve(self, requests: AsyncIterator[bytes], context: Context) -> None:
        async for data in requests:
            try:
                request = self._request.FromString(data)
            except DecodeError:
                raise self._reflection.malformed(context) from None
            reply = self._reply(valid_host=request.host, original_request=request)
            self._reflection.answer(request, reply)
            await context.write(bytes(reply.SerializeToString()))


def _path(version: str) -> str:
    return f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"


def _symbols(file: FileDescriptorProto) -> list[str]:
    """Full names of everything in a file."""
    begin = f"{file.package}." if file.package else ""
    names: list[str] = []
    for service in file.service:
        name = f"{begin}{service.name}"
        names += (name, *(f"{name}.{method.name}" for method in service.method))
    for enum in file.enum_type:
        names += _of_enum(enum, begin)
    for each in file.message_type:
        names += _of_message(each, begin)
    return names


def _of_message(found: DescriptorProto, begin: str) -> list[str]:
    name = f"{begin}{found.name}"
    names = [name, *(f"{name}.{field.name}" for field in found.field)]
    for enum in found.enum_type:
        names += _of_enum(enum, f"{name}.")
    for inner in found.nested_type:
        names += _of_message(inner, f"{name}.")
    return names


def _of_enum(found: EnumDescriptorProto, begin: str) -> list[str]:
    return [f"{begin}{found.name}", *(f"{begin}{value.name}" for value in found.value)]
