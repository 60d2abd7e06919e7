"""`%load_ext tiffin`: puts `%bundle` and `%%bundle` into an IPython shell."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING

from .completion import Completion
from .magic import BundleMagic
from .session import Session

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

_ATTRIBUTE = "_tiffin_session"


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Called by IPython for `%load_ext tiffin`."""
    session = Session.of(shell)
    magic = BundleMagic(session)

    def bundle(line: str, cell: str | None = None) -> object:
        __tracebackhide__ = True  # IPython leaves the frame out when a cell fails
        return magic(line, cell)

    bundle.__doc__ = BundleMagic.__doc__
    shell.register_magic_function(bundle, magic_kind="line_cell", magic_name="bundle")
    shell.Completer.custom_matchers.append(Completion(session))
    setattr(shell, _ATTRIBUTE, session)
    atexit.register(session.servers.leave)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Called by IPython for `%unload_ext tiffin`: stops what runs, and takes the magic away."""
    session: Session = getattr(shell, _ATTRIBUTE)
    session.servers.stop_all()
    atexit.unregister(session.servers.leave)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("bundle", None)
    matchers = shell.Completer.custom_matchers
    matchers[:] = [one for one in matchers if not isinstance(one, Completion)]
    delattr(shell, _ATTRIBUTE)
