"""Which runners have their workers in this container."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ...errors import ConfigError
from ..manifest import RunnerSpec, ServiceSpec, WorkerRange
from ..service.options import nearest
from .options import RUNNERS, WORKERS_AT, RoleOptions
from .places import Place


def here(options: RoleOptions, spec: ServiceSpec) -> list[RunnerSpec]:
    """Runners whose workers are started here.

    Raises:
        ConfigError: a runner is named that the service does not have, or one would run nowhere.
    """
    names = [runner.name for runner in spec.runners]
    _check(RUNNERS, options.runners, spec, names)
    _check(WORKERS_AT, (name for name in options.workers_at if name), spec, names)
    if options.role == "worker":
        if not names:
            raise ConfigError(
                f"service {spec.name!r} has no runners: there is nothing for a worker container to run"
            )
        return [runner for runner in spec.runners if not options.runners or runner.name in options.runners]
    away = elsewhere(options.workers_at, spec)
    left = [runner for runner in spec.runners if runner.name not in away]
    if options.role == "api" and left:
        missing = ", ".join(runner.name for runner in left)
        raise ConfigError(
            f"{WORKERS_AT} does not say where the workers of {missing} are, and role api runs none"
        )
    return left


def elsewhere(workers_at: Mapping[str, Sequence[Place]], spec: ServiceSpec) -> dict[str, tuple[Place, ...]]:
    """Runner to where its workers are, of those that are in other containers.

    Args:
        workers_at: as in `RoleOptions`.
    """
    fallback = workers_at.get("", ())
    places = {runner.name: tuple(workers_at.get(runner.name, fallback)) for runner in spec.runners}
    return {name: where for name, where in places.items() if where}


def check_numbers(
    options: RoleOptions, spec: ServiceSpec, wanted: Mapping[str, int | str | WorkerRange]
) -> None:
    """Numbers of workers that somebody asks for make sense here.

    Args:
        wanted: runner to number.

    Raises:
        ConfigError: the workers of a runner are elsewhere, or their number would follow a load that only API
            containers know.
    """
    names = {runner.name for runner in here(options, spec)}
    for runner in spec.runners:
        if runner.name in wanted and runner.name not in names:
            raise ConfigError(
                f"no workers of runner {runner.name!r} run here: change their number where they do"
            )
        number = wanted.get(runner.name)
        if options.role == "worker" and isinstance(number, WorkerRange):
            raise ConfigError(
                f"{runner.name}={number.min}..{number.max}: only API containers know the load; "
                "give a worker container a number, and run more containers"
            )


def fixed(spec: ServiceSpec) -> dict[str, int | str | WorkerRange]:
    """Runner to the least of its range, for those whose service says that the load decides."""
    return {one.name: one.workers.min for one in spec.runners if isinstance(one.workers, WorkerRange)}


def _check(variable: str, named: Iterable[str], spec: ServiceSpec, names: list[str]) -> None:
    for name in named:
        if name not in names:
            raise ConfigError(
                f"{variable}: service {spec.name!r} has no runner {name!r}{nearest(name, names)} "
                f"(it has: {', '.join(names) or 'none'})"
            )
