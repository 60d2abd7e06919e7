"""A file's descriptor → its text, as a person would write it."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf import descriptor_pb2

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    _Field.TYPE_DOUBLE: "double",
    _Field.TYPE_FLOAT: "float",
    _Field.TYPE_INT64: "int64",
    _Field.TYPE_BOOL: "bool",
    _Field.TYPE_STRING: "string",
    _Field.TYPE_BYTES: "bytes",
}


def proto_text(file: descriptor_pb2.FileDescriptorProto) -> str:
    """proto3 text that compiles to the same descriptor; comments come from `source_code_info`."""
    return "\n".join(_File(file).lines()) + "\n"


class _File:
    def __init__(self, file: descriptor_pb2.FileDescriptorProto) -> None:
        self._file = file
        self._comments = {
            tuple(location.path): location.leading_comments for location in file.source_code_info.location
        }

    def lines(self) -> Iterator[str]:
        file = self._file
        yield from self._comment((12,), "")
        yield from ('syntax = "proto3";', "", f"package {file.package};")
        if file.dependency:
            yield ""
        yield from (f'import "{name}";' for name in file.dependency)
        for at, service in enumerate(file.service):
            yield ""
            yield from self._service(service, (6, at))
        for at, message in enumerate(file.message_type):
            yield ""
            yield from self._message(message, (4, at))
        for at, enum in enumerate(file.enum_type):
            yield ""
            yield from self._enum(enum, (5, at))

    def _comment(self, path: tuple[int, ...], indent: str) -> Iterator[str]:
        for line in self._comments.get(path, "").splitlines():
            yield f"{indent}//{line}"

    def _service(
        self, service: descriptor_pb2.ServiceDescriptorProto, path: tuple[int, ...]
    ) -> Iterator[str]:
        yield from self._comment(path, "")
        yield f"service {service.name} {{"
        for at, method in enumerate(service.method):
            if at:
                yield ""
            yield from self._comment((*path, 2, at), "  ")
            asked = "stream " * method.client_streaming + self._type(method.input_type)
            answered = "stream " * method.server_streaming + self._type(method.output_type)
            yield f"  rpc {method.name}({asked}) returns ({answered});"
        yield "}"

    def _message(self, message: descriptor_pb2.DescriptorProto, path: tuple[int, ...]) -> Iterator[str]:
        yield from self._comment(path, "")
        if not message.field:
            yield f"message {message.name} {{}}"
            return
        yield f"message {message.name} {{"
        entries = {
            f".{self._file.package}.{message.name}.{entry.name}": entry for entry in message.nested_type
        }
        group = -1
        for at, field in enumerate(message.field):
            within = field.oneof_index if field.HasField("oneof_index") and not field.proto3_optional else -1
            if group >= 0 and within != group:
                yield "  }"
            if within >= 0 and within != group:
                yield f"  oneof {message.oneof_decl[within].name} {{"
            group = within
            indent = "    " if within >= 0 else "  "
            yield from self._comment((*path, 2, at), indent)
            yield f"{indent}{self._declared(field, entries)} {field.name} = {field.number};"
        if group >= 0:
            yield "  }"
        yield "}"

    def _declared(
        self,
        field: descriptor_pb2.FieldDescriptorProto,
        entries: dict[str, descriptor_pb2.DescriptorProto],
    ) -> str:
        entry = entries.get(field.type_name)
        if entry is not None:
            key, value = entry.field
            return f"map<{self._kind(key)}, {self._kind(value)}>"
        repeated = field.label == _Field.LABEL_REPEATED
        label = "repeated " if repeated else "optional " if field.proto3_optional else ""
        return label + self._kind(field)

    def _enum(self, enum: descriptor_pb2.EnumDescriptorProto, path: tuple[int, ...]) -> Iterator[str]:
        yield from self._comment(path, "")
        yield f"enum {enum.name} {{"
        for at, value in enumerate(enum.value):
            yield from self._comment((*path, 2, at), "  ")
            yield f"  {value.name} = {value.number};"
        yield "}"

    def _kind(self, field: descriptor_pb2.FieldDescriptorProto) -> str:
        return self._type(field.type_name) if field.type_name else _SCALARS[field.type]

    def _type(self, full_name: str) -> str:
        return full_name.removeprefix(f".{self._file.package}.").removeprefix(".")
