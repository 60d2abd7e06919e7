"""What `%bundle` knows between two cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .servers import Servers
from .services import Services

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from ..console import Surface


@dataclass(frozen=True)
class Session:
    """One IPython shell: the kernel of a notebook, or a prompt in a terminal."""

    shell: InteractiveShell
    services: Services
    servers: Servers
    surface: Surface | None
    """Where panels, tables and bars are drawn; None: they are printed, as by the command."""

    @classmethod
    def of(cls, shell: InteractiveShell) -> Session:
        surface: Surface | None = None
        if getattr(shell, "kernel", None) is not None:  # a front end that shows HTML, or picks the plain text
            from .notebook import Notebook

            surface = Notebook()
        return cls(shell, Services(shell.user_ns), Servers(), surface)
