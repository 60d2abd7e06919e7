"""Which service a person means in a notebook: classes of its cells, by name, or none of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import ServiceDefinitionError, UsageError


class Services:
    """The service classes in the namespace of a notebook.

    Args:
        namespace: of the cells; read anew each time, so that a cell that runs again counts.
    """

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._marked = ""

    def classes(self) -> dict[str, type]:
        """Every service that has a name here, its own cells' or an imported one."""
        from ...runtime.service.service import INFO, ServiceInfo

        return {
            name: value
            for name, value in self._namespace.items()
            if not name.startswith("_")
            and isinstance(value, type)
            and isinstance(vars(value).get(INFO), ServiceInfo)
        }

    def mark(self, name: str) -> None:
        """Makes the class of that name the one that is meant when none is named."""
        self._marked = name

    def meant(self, text: str, *, given: bool) -> str | type:
        """
        Args:
            text: a target as the command takes it, or the name of a class of this notebook.
            given: whether a person wrote it; else it is the command's default.

        Raises:
            ServiceDefinitionError: the marked class is there no more.
            UsageError: several services are defined here, and none is marked.
        """
        classes = self.classes()
        if given:
            return classes.get(text, text)
        if self._marked:
            if self._marked not in classes:
                raise ServiceDefinitionError(
                    f"{self._marked}, which %%bundle service marked, is no service any more: "
                    "run its cell again, or name another"
                )
            return classes[self._marked]
        own = {name: cls for name, cls in classes.items() if cls.__module__ == "__main__"}
        if len(set(own.values())) > 1:
            names = ", ".join(own)
            raise UsageError(
                f"this notebook has several services: name one of {names}, or mark its cell: %%bundle service"
            )
        return next(iter(own.values()), text)
