"""`4` and `forest=4`: numbers of processes, as options and as arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import ConfigError

if TYPE_CHECKING:
    from ..runtime.manifest import WorkerRange


AUTO = "auto"


class NumberOrAuto(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """A number from 1 on, or `auto`."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | str:
        if value == AUTO:
            return AUTO
        if not str(value).isdecimal() or int(value) < 1:
            self.fail(f"{value!r} is neither a number from 1 on nor {AUTO!r}", param, ctx)
        return int(value)


class RunnerNumber(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """`forest=4`, `forest=auto`, `forest=1..4`"""

    name = "RUNNER=N"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, int | str | WorkerRange]:
        from ..runtime.service.workers import parse_workers

        if isinstance(value, tuple):
            return value
        runner, equals, number = str(value).partition("=")
        if not equals or not runner:
            self.fail(f"{value!r}: write the runner's name, '=' and a number: forest=4", param, ctx)
        try:
            return runner, parse_workers(number)
        except ConfigError as error:
            self.fail(f"{runner}={error}", param, ctx)


def one_each(numbers: tuple[tuple[str, int | str | WorkerRange], ...]) -> dict[str, int | str | WorkerRange]:
    """
    Raises:
        ConfigError: a runner is named twice.
    """
    chosen = dict(numbers)
    for runner, _ in numbers:
        if sum(name == runner for name, _ in numbers) > 1:
            raise ConfigError(f"{runner} is named twice: give each runner one number")
    return chosen
