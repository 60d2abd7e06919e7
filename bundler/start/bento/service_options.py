"""Arguments of `@bentoml.service` and `@bentoml.api`: which of ours they are.

Fields: docs.bentoml.com, "Configurations" and "Adaptive batching".
"""

from __future__ import annotations

import ast
from typing import Any

from .bundlefile import Carrying
from .code import Source, arguments, literal
from .edits import Edits, quoted
from .notes import Notes

_ELSEWHERE = {
    "logging": "the access log is `bundle serve --log-format` and `--no-access-log`",
    "metrics": "metrics are at /metrics, with names of their own: docs/07-metrics.md",
    "monitoring": "log what you want to keep in the api itself",
    "tracing": "a traceparent header is passed on; there is no exporter",
    "ssl": "bundle serve --tls-cert FILE --tls-key FILE",
    "runner_probe": "/livez and /readyz answer always",
    "threads": "a plain `def` api has threads of its own",
    "endpoints": "",
    "labels": "write them into bundlefile.yaml, labels:",
    "extra_ports": "a service has one HTTP port and one for gRPC",
    "cmd": "",
}
_IMAGE_METHODS = (
    "python_packages",
    "system_packages",
    "requirements_file",
    "run",
    "pyproject_toml",
    "run_script",
)


class ServiceOptions:
    """What `@bentoml.service(…)` becomes.

    Attributes:
        service: arguments of `@tiffin.service`, as source.
        runner: arguments of `tiffin.runner`, as source.
    """

    def __init__(self, source: Source, edits: Edits, notes: Notes, carrying: Carrying) -> None:
        self.service: dict[str, str] = {}
        self.runner: dict[str, str] = {}
        self._source = source
        self._edits = edits
        self._notes = notes
        self._carrying = carrying

    def carry(self, options: dict[str, ast.expr]) -> None:
        for name, node in options.items():
            where = self._source.where(node)
            value = literal(node)
            if name == "image":
                self._image(node)
            elif value is None:
                self._notes.leave(
                    where,
                    f"{name}={ast.unparse(node)} is not written out, so it cannot be read without running it",
                )
            elif name == "name":
                self.service["name"] = quoted(str(value).lower().replace("_", "-"))
                self._notes.took(where, f"name {value}")
            elif name == "workers":
                self.runner["workers"] = '"auto"' if value == "cpu_count" else repr(value)
                self._notes.took(where, f"workers {value}")
            elif name == "traffic" and isinstance(value, dict):
                self._traffic(value, where)
            elif name == "resources" and isinstance(value, dict):
                self._resources(value, where)
            elif name == "envs":
                self._carrying.image.set_variables(value, where)
            elif name == "http" and isinstance(value, dict):
                self._http(value, where)
            else:
                more = _ELSEWHERE.get(name, "")
                self._notes.leave(where, f"`{name}` was not carried over" + (f": {more}" if more else ""))

    def _traffic(self, value: dict[str, Any], where: str) -> None:
        for key, each in value.items():
            if key == "timeout":
                self.service["timeout_s"] = repr(each)
                self._notes.took(where, f"timeout {each} s")
            elif key == "max_concurrency":
                self._notes.leave(
                    where,
                    f"traffic.max_concurrency={each} counts requests: tiffin.runner(…, max_queue_rows=…) "
                    "bounds the rows that wait",
                )
            else:
                self._notes.leave(where, f"traffic.{key} is for BentoCloud")

    def _resources(self, value: dict[str, Any], where: str) -> None:
        for key, each in value.items():
            if key == "gpu":
                self.runner["gpus"] = repr(each)
                self._notes.took(where, f"gpus {each}")
            else:
                self._notes.leave(
                    where, f"resources.{key}={each} is a request to the cloud: give the container that much"
                )

    def _http(self, value: dict[str, Any], where: str) -> None:
        for key, each in value.items():
            if key == "port":
                self._notes.leave(where, f"the port is told when serving: bundle serve --port {each}")
            elif key == "cors" and isinstance(each, dict):
                origins = each.get("access_control_allow_origins") or ["…"]
                origins = [origins] if isinstance(origins, str) else origins
                options = " ".join(f"--cors-origin {origin}" for origin in origins)
                self._notes.leave(where, f"CORS is told when serving: bundle serve {options}")
            else:
                self._notes.leave(where, f"http.{key} was not carried over")

    def _image(self, node: ast.expr) -> None:
        """`bentoml.images.Image(…).python_packages(…)…`, in place or in a variable of the file."""
        if isinstance(node, ast.Name):
            name = node.id
            for each in self._source.tree.body:
                if isinstance(each, ast.Assign) and any(
                    isinstance(to, ast.Name) and to.id == name for to in each.targets
                ):
                    self._image(each.value)
                    self._edits.drop_lines(each.lineno, each.end_lineno or each.lineno)
                    return
        calls: list[ast.Call] = []
        at: ast.expr = node
        while (
            isinstance(at, ast.Call) and isinstance(at.func, ast.Attribute) and at.func.attr in _IMAGE_METHODS
        ):
            calls.append(at)
            at = at.func.value
        name = self._source.dotted(at.func) if isinstance(at, ast.Call) else ""
        if name not in {"bentoml.images.Image", "bentoml.images.PythonImage"}:
            self._notes.leave(
                self._source.where(node), "the image is made by code that cannot be read without running it"
            )
            return
        for key, value in arguments(at).items():
            self._image_argument(key, literal(value), self._source.where(value))
        for call in reversed(calls):
            self._image_call(call)

    def _image_argument(self, key: str, value: Any, where: str) -> None:
        if key == "distro":
            self._carrying.image.distro(str(value), where)
        elif key == "base_image":
            self._carrying.image.set(where, base=str(value))
        elif key == "python_version":
            self._carrying.python_version(str(value), where)
        elif key == "lock_python_packages" and value is not False:
            self._notes.took(where, "locking is what `bundle build` does")
        else:
            self._notes.leave(where, f"{key}={value} of the image was not carried over")

    def _image_call(self, call: ast.Call) -> None:
        where = self._source.where(call)
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        values = [literal(argument) for argument in call.args]
        texts = [str(value) for value in values if value is not None]
        if len(texts) < len(values):
            self._notes.leave(where, f"an argument of {method}() has to be run to be known")
        if method == "python_packages":
            for text in texts:
                self._carrying.requirements.add(text, where)
        elif method == "system_packages":
            packages = [*self._carrying.image.options.system_packages, *texts]
            self._carrying.image.set(where, system_packages=list(dict.fromkeys(packages)))
        elif method == "requirements_file":
            for text in texts:
                self._carrying.requirements.add_file(text, where)
        else:
            self._notes.leave(
                where,
                f"{method}({', '.join(texts)}) of the image: write it as RUN into image.dockerfile_template",
            )


def batch_arguments(options: dict[str, ast.expr], source: Source, notes: Notes) -> str | None:
    """`(max_size=32, max_latency_ms=1000)` for `@tiffin.batch`, of `@bentoml.api` or `Runnable.method`.

    Returns:
        None: it takes no batches.
    """
    if literal(options.get("batchable")) is not True:
        return None
    dim = literal(options.get("batch_dim"))
    if dim not in {None, 0, (0, 0)}:
        notes.leave(
            source.where(options["batch_dim"]),
            f"batch_dim={dim}: rows lie on axis 0 here; transpose in the method",
        )
    parts = []
    for theirs, ours in (("max_batch_size", "max_size"), ("max_latency_ms", "max_latency_ms")):
        if theirs in options:
            value = ast.unparse(options[theirs])  # a name means the same where ours stands
            parts.append(f"{ours}={value}")
            notes.took(source.where(options[theirs]), f"{theirs} {value}")
    return f"({', '.join(parts)})" if parts else ""
