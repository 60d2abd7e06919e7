"""A service's own `.proto`: one method for each api, whose messages have its parameters and its result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from google.protobuf import descriptor_pb2

from .draft import FileDraft, TooManyFieldsError
from .form import UnsupportedFormError
from .hints import Hints
from .method import TypedMethod
from .names import Names, package_name, type_name
from .pool import message_classes
from .slot import Slot
from .tensors import TENSOR
from .text import proto_text

if TYPE_CHECKING:
    from ...service.api import ApiInfo
    from ...service.service import ServiceInfo

_HEADER = """{name}: written by tiffin from the service's code; do not edit.

Numbers of fields follow the order in which parameters and fields of classes are declared: add new ones at
the end, with a default, and messages of today's callers stay valid. Fields with `optional` may be left out;
all others without a value are 0, empty, or refused where that does not fit."""
_ITEMS = "Items, in any message of the stream; the first message has all other parameters."


class TypedProto:
    """Compiled from a service.

    Args:
        info: the service.
    """

    def __init__(self, info: ServiceInfo) -> None:
        self.package = package_name(info.name)
        self._draft = FileDraft(f"{self.package}/service.proto", self.package, _HEADER.format(name=info.name))
        self._hints = Hints(self._draft)
        self._names = Names()
        self.service = self._draft.name_for(type_name(info.name))
        self.full_name = f"{self.package}.{self.service}"
        self.methods: dict[str, TypedMethod] = {}
        """Api to method, for those that can be one."""
        self.refused: dict[str, str] = {}
        """Api to the reason why it is no method."""
        self._service = descriptor_pb2.ServiceDescriptorProto(name=self.service)
        for api in info.apis.values():
            self._add(api)
        notes = [api.doc for api in info.apis.values() if api.name in self.methods]
        self.file = self._draft.finished(self._service, info.doc, notes)
        """With comments, in `source_code_info`."""
        find = message_classes(self.file)
        tensor = find(f"{self.package}.Tensor") if TENSOR in self._draft.known else None
        for method, described in zip(self.methods.values(), self._service.method, strict=True):
            method.bind(find(described.input_type[1:]), find(described.output_type[1:]), tensor)

    @property
    def text(self) -> str:
        """The same file for people and compilers."""
        return proto_text(self.file)

    def _add(self, api: ApiInfo) -> None:
        before = self._draft.snapshot()
        try:
            self._add_method(api)
        except (UnsupportedFormError, TooManyFieldsError) as error:
            self._draft.restore(before)
            self.refused[api.name] = str(error)

    def _add_method(self, api: ApiInfo) -> None:
        draft, hints = self._draft, self._hints
        wanted = type_name(api.name)
        request = draft.message(f"{wanted}Request")
        reply = draft.message(f"{wanted}Reply")
        slots: list[Slot] = []
        for parameter in api.inputs.parameters.values():
            try:
                place = hints.place(parameter.plain)
            except UnsupportedFormError as error:
                raise UnsupportedFormError(f"parameter {parameter.name!r}: {error}") from error
            if api.inputs.stream is not None and api.inputs.stream.name == parameter.name:
                place = place._replace(note=_ITEMS)
            default = msgspec.NODEFAULT if parameter.required else parameter.default
            slots.append(
                hints.slot(request, parameter.name, place, default=default, required=parameter.required)
            )
        result = None
        if api.output.hint is not None:
            try:
                result = hints.slot(reply, "result", hints.answer(api.output.hint))
            except UnsupportedFormError as error:
                raise UnsupportedFormError(f"the result: {error}") from error
        name = self._names.take(wanted)
        self._service.method.add(
            name=name,
            input_type=request.full_name,
            output_type=reply.full_name,
            client_streaming=api.inputs.stream is not None or None,
            server_streaming=api.stream or None,
        )
        self.methods[api.name] = TypedMethod(api, name, slots, result)
