"""A `.proto` file in the making: messages, enums and the service, with their comments."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from google.protobuf import descriptor_pb2

from .names import Names

FieldProto = descriptor_pb2.FieldDescriptorProto

_MESSAGES, _ENUMS, _SERVICES = 4, 5, 6
_FIELDS, _VALUES, _METHODS = 2, 2, 2
"""Numbers of the fields of descriptors, as paths of comments are written."""
_PACKAGE, _SYNTAX = 2, 12
_RESERVED = range(19_000, 20_000)
_LARGEST = 2**29 - 1


OWN = ("Tensor", "File", "Image", "DataFrame", "Column")
"""Names of messages that are the same in every file."""


class TooManyFieldsError(ValueError):
    """More fields than a message can have."""


class MessageDraft:
    """One message.

    Args:
        name: of its own.
        full_name: with a dot and the package in front.
        doc: comment.
    """

    def __init__(self, name: str, full_name: str, doc: str) -> None:
        self.name = name
        self.full_name = full_name
        self.doc = doc
        self.proto = descriptor_pb2.DescriptorProto(name=name)
        self.notes: list[str] = []
        """Comment of each field."""
        self._names = Names("_")

    def field_name(self, wanted: str) -> str:
        return self._names.take(wanted)

    def add(
        self,
        name: str,
        *,
        code: int,
        type_name: str = "",
        repeated: bool = False,
        optional: bool = False,
        oneof: str = "",
        note: str = "",
    ) -> None:
        """Adds a field; its number is the next one.

        Args:
            name: from `field_name`.
            code: `FieldProto.TYPE_…`.
            type_name: of a message or an enum.
            optional: `optional` is written in front: whether it was sent can be told.
            oneof: the group that it is one of.
        """
        number = len(self.proto.field) + 1
        if number in _RESERVED or number > _LARGEST:
            raise TooManyFieldsError(f"{self.name} has too many fields for a message")
        field = self.proto.field.add(name=name, number=number, type=code)
        field.label = FieldProto.LABEL_REPEATED if repeated else FieldProto.LABEL_OPTIONAL
        if type_name:
            field.type_name = type_name
        if optional:
            field.proto3_optional = True
        elif oneof:
            if oneof not in [each.name for each in self.proto.oneof_decl]:
                self.proto.oneof_decl.add(name=oneof)
            field.oneof_index = [each.name for each in self.proto.oneof_decl].index(oneof)
        self.notes.append(note)

    def add_map(
        self,
        name: str,
        key_type: int,
        code: int,
        type_name: str,
        note: str,
    ) -> None:
        """Adds `map<key, value> name`."""
        entry_name = "".join(part[:1].upper() + part[1:] for part in name.split("_")) + "Entry"
        entry = self.proto.nested_type.add(name=entry_name)
        entry.options.map_entry = True
        for number, (part, kind, named) in enumerate(
            (("key", key_type, ""), ("value", code, type_name)), start=1
        ):
            field = entry.field.add(name=part, number=number, type=kind, label=FieldProto.LABEL_OPTIONAL)
            if named:
                field.type_name = named
        self.add(
            name,
            code=FieldProto.TYPE_MESSAGE,
            type_name=f"{self.full_name}.{entry_name}",
            repeated=True,
            note=note,
        )

    def finished(self) -> descriptor_pb2.DescriptorProto:
        """With a group for each `optional` field, behind the others, as the compiler makes them."""
        made = descriptor_pb2.DescriptorProto()
        made.CopyFrom(self.proto)
        for field in made.field:
            if field.proto3_optional:
                field.oneof_index = len(made.oneof_decl)
                name = field.name if field.name.startswith("_") else f"_{field.name}"
                while name in {each.name for each in made.oneof_decl} | {each.name for each in made.field}:
                    name = f"X{name}"
                made.oneof_decl.add(name=name)
        return made


class FileDraft:
    """One file.

    Args:
        name: path that others import it by.
        package: of everything in it.
        doc: comment at the top.
    """

    def __init__(self, name: str, package: str, doc: str) -> None:
        self.name = name
        self.package = package
        self.doc = doc
        self.messages: list[MessageDraft] = []
        self.enums: list[tuple[descriptor_pb2.EnumDescriptorProto, str, list[str]]] = []
        """Each with its comment and those of its values."""
        self.imports: set[str] = set()
        self.known: dict[Hashable, Any] = {}
        """What has been made of a class, so that it is made once."""
        self._names = Names()
        for own in OWN:
            self._names.take(own)

    def name_for(self, wanted: str) -> str:
        """A name that no message, enum or service of the file has yet."""
        return self._names.take(wanted)

    def message(self, wanted: str, doc: str = "", *, own: bool = False) -> MessageDraft:
        """Adds a message; `own`: one of ours, which has its name whatever the user's classes are called."""
        name = wanted if own else self.name_for(wanted)
        made = MessageDraft(name, f".{self.package}.{name}", doc)
        self.messages.append(made)
        return made

    def enum(self, wanted: str, values: list[tuple[str, str]], doc: str) -> str:
        """Adds an enum, its values numbered from 0 on; gives its full name.

        Args:
            values: name and comment of each.
        """
        made = descriptor_pb2.EnumDescriptorProto(name=self.name_for(wanted))
        for number, (name, _) in enumerate(values):
            made.value.add(name=name, number=number)
        self.enums.append((made, doc, [note for _, note in values]))
        return f".{self.package}.{made.name}"

    def snapshot(self) -> tuple[Any, ...]:
        """For `restore`, when what is begun cannot be finished."""
        return (
            list(self.messages),
            list(self.enums),
            set(self.imports),
            dict(self.known),
            self._names.copy(),
        )

    def restore(self, snapshot: tuple[Any, ...]) -> None:
        self.messages, self.enums, self.imports, self.known, self._names = snapshot

    def finished(
        self, service: descriptor_pb2.ServiceDescriptorProto, doc: str, notes: list[str]
    ) -> descriptor_pb2.FileDescriptorProto:
        """The descriptor; comments are in its `source_code_info`.

        Args:
            service: the one that the file is about.
            doc: its comment.
            notes: comment of each of its methods.
        """
        made = descriptor_pb2.FileDescriptorProto(name=self.name, package=self.package, syntax="proto3")
        made.dependency.extend(sorted(self.imports))
        made.service.add().CopyFrom(service)
        comments: dict[tuple[int, ...], str] = {(_SYNTAX,): self.doc, (_SERVICES, 0): doc}
        for at, note in enumerate(notes):
            comments[_SERVICES, 0, _METHODS, at] = note
        for at, message in enumerate(self.messages):
            made.message_type.add().CopyFrom(message.finished())
            comments[_MESSAGES, at] = message.doc
            comments.update({(_MESSAGES, at, _FIELDS, i): note for i, note in enumerate(message.notes)})
        for at, (enum, enum_doc, enum_notes) in enumerate(self.enums):
            made.enum_type.add().CopyFrom(enum)
            comments[_ENUMS, at] = enum_doc
            comments.update({(_ENUMS, at, _VALUES, i): note for i, note in enumerate(enum_notes)})
        for path, comment in comments.items():
            if comment:
                made.source_code_info.location.add(
                    path=path, span=[0, 0, 0], leading_comments=_lines(comment)
                )
        return made


def _lines(comment: str) -> str:
    """As the compiler keeps `// ` comments: a space in front of each line."""
    return "".join(f" {line}".rstrip() + "\n" for line in comment.strip().splitlines())
