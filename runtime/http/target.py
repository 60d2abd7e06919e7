"""Which api answers on a route that names none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ...errors import ConfigError, NotFoundRouteError
from ..service.options import nearest

if TYPE_CHECKING:
    from .routes import Route, RouteTable

VARIABLE = "TIFFIN_INVOCATIONS_API"
_NAMED = re.compile(rb"(?:^|[,;\s])api=([^,;\s]+)")


class Targets:
    """The apis of a service, one of which is meant.

    Args:
        chosen: what `TIFFIN_INVOCATIONS_API` says; empty: the only one.

    Raises:
        ConfigError: there is no such api.
    """

    def __init__(self, table: RouteTable, chosen: str) -> None:
        self._by_name = {route.name: route for route in table.routes}
        if chosen and chosen not in self._by_name:
            raise ConfigError(
                f"{VARIABLE}={chosen!r}: the service has no such api{nearest(chosen, self._by_name)} "
                f"(apis: {', '.join(self._by_name) or 'none'})"
            )
        self.default: Route | None = self._by_name.get(chosen)
        if self.default is None and len(table.routes) == 1:
            self.default = table.routes[0]

    def of(self, attributes: bytes, path: str) -> Route:
        """The api of one request.

        Args:
            attributes: of the header that may name it: `api=classify`; empty when there is none.
            path: that was asked, for the error.

        Raises:
            NotFoundRouteError: nothing says which api is meant, or there is no such.
        """
        found = _NAMED.search(attributes)
        name = found[1].decode("latin-1") if found is not None else ""
        if name in self._by_name:
            return self._by_name[name]
        if name:
            raise NotFoundRouteError(f"no api {name[:80]!r}{nearest(name, self._by_name)}; {self._known()}")
        if self.default is None:
            raise NotFoundRouteError(
                f"{path} could be any of several apis: set {VARIABLE} to one of them; {self._known()}"
            )
        return self.default

    def _known(self) -> str:
        return f"apis: {', '.join(self._by_name) or 'none'}"
