"""The written forms: `model.yaml`, `bundle.yaml`, and what a service says of itself.

These structs are the contract between the rooms: the bundler writes them, the supervisor, the workers and the
clients read them. They hold only what YAML, JSON and msgpack can hold, and unknown keys are refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec
import yaml

from ..errors import IntegrityError, UsageError
from .service.image_options import ImageOptions

MODEL_FILE = "model.yaml"
BUNDLE_FILE = "bundle.yaml"
FORMAT = 1
"""Version of both layouts; a reader refuses a newer one."""


class _Record(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class FileEntry(_Record, kw_only=True):
    """One file of a model or bundle."""

    path: str
    """POSIX path relative to the folder."""
    size_bytes: int
    sha256: str
    """64 hexadecimal digits."""
    mode: str = "644"
    """`755` keeps the executable bit; nothing else of the mode is kept."""


class TypeSpec(_Record, kw_only=True):
    """What a value looks like, in words that every client can use."""

    kind: str
    """`array`, `tensor`, `dataframe`, `image`, `bytes`, `file`, `text`, `number`, `boolean`, `json`."""
    dtype: str = ""
    """numpy name for arrays and tensors (`float32`); empty means any."""
    dtypes: list[str] = []
    """When several are accepted (`Float[np.ndarray, …]`)."""
    shape: list[int | str] | None = None
    """One entry an axis: a size, a name (`n`) for one that varies, `...` for any number; None means any."""
    columns: dict[str, str] | None = None
    """Data frames: column to dtype."""
    classes: int | None = None
    """Number of classes of a classifier's output, when known."""
    json_schema: dict[str, Any] = {}
    """JSON Schema of the JSON form."""


Number = bool | int | float


class PaddingSpec(_Record, kw_only=True):
    """How rows of different lengths are made equal before they go together."""

    value: Number | None = None
    """Fills up every argument whose rows have the axis; None: only those in `values`."""
    values: dict[str, Number] = {}
    """Argument to what fills it up; the others are left as they are."""
    arguments: list[str] = []
    """Names of the positional parameters, in order."""
    axis: int = 1
    """The axis of the batch along which lengths differ; rows lie on axis 0."""
    buckets: list[int] = []
    """Lengths that the model sees, increasing; a longer row is refused. Empty: 16, 32, 64, … without end."""
    lengths: bool = False
    """Whether the method takes `lengths`, int64[rows]."""
    unpad: bool | list[str | int] = False
    """What of the result has the padded axis and is cut back to each row's own length: all of it, or these
    keys, fields or positions."""


class MethodSpec(_Record, kw_only=True):
    """One method of a runner that a service may call."""

    batch: bool = True
    """True: rows of many callers go together on axis 0 (or list position); False: one call, one request."""
    inputs: dict[str, TypeSpec] = {}
    output: TypeSpec | None = None
    max_batch_size: int | None = None
    """Rows; overrides the runner's."""
    max_latency_ms: float | None = None
    """Overrides the runner's."""
    cost: str = ""
    """What batches weigh: `length`, or `module:qualname` of the user's function; empty: rows."""
    max_cost: int | None = None
    """Most that a batch may weigh; given when `cost` is."""
    padding: PaddingSpec | None = None
    sizes: list[int] = []
    """Numbers of rows that the method is called with, increasing; batches between are filled up."""


class ModelInfo(_Record, kw_only=True):
    """`model.yaml`."""

    format: int = FORMAT
    name: str
    version: str
    framework: str
    """Entry point name in the group `tiffin.frameworks`."""
    created: str
    """UTC, ISO 8601."""
    files: list[FileEntry]
    digest: str
    """`sha256:…` over framework, options and files; equal content has an equal digest."""
    size_bytes: int
    pickled: bool = False
    """True when loading runs code from the file; `TIFFIN_ALLOW_PICKLE=0` refuses it."""
    options: dict[str, Any] = {}
    """What the framework needs to load it again."""
    methods: dict[str, MethodSpec] = {}
    """Methods that a runner offers; the first is the default."""
    classes: list[str] = []
    """The label file: class index to word."""
    labels: dict[str, str] = {}
    metadata: dict[str, Any] = {}
    versions: dict[str, str] = {}
    """`python`, `tiffin` and each distribution the framework loads with."""
    provenance: dict[str, Any] = {}
    """Who, where, git; and what the user said: `parent`, `data`, `metrics`."""
    examples: list[FileEntry] = []
    """Recorded calls, a file a method (`model/recorded.py`); the digest is without them."""


class WorkerRange(_Record, kw_only=True):
    """Workers of a runner that change with its load."""

    min: int = 1
    """1 or more; as many as run when nobody asks."""
    max: int | str
    """`min` or more, or `auto`: one per core that this container may use, or as many as the GPUs suffice
    for."""


class RunnerSpec(_Record, kw_only=True):
    """A piece of inference and how it is to be run."""

    name: str
    model: str = ""
    """Resolved tag `iris:6f3k2q…` when the runner is a model; empty when it is a class."""
    cls: str = ""
    """`module:QualName` when the runner is a class of the user's."""
    models: list[str] = []
    """Resolved tags of models that the class loads itself."""
    methods: dict[str, MethodSpec] = {}
    workers: int | str | WorkerRange = 1
    """A number ≥ 1, `auto` (one per core that this container may use), or a range where the load decides."""
    max_batch_size: int = 64
    """Rows."""
    max_latency_ms: float | None = None
    """Longest a row may spend in this runner; later rows are refused early. None: the request's deadline."""
    max_queue_rows: int | None = None
    """Rows that may wait in one API process; None: 16 batches a worker."""
    gpus: float = 0
    """Devices per worker: 0 none, 1, 2 …; 0.5: half of one, so that two workers share a device."""
    threads: int | None = None
    """BLAS/OpenMP threads per worker; None: cores / workers, at least 1."""
    retry: bool = True
    """Whether a request may run again after its worker died. False for calls with side effects."""
    compile: str = ""
    """Mode of `torch.compile`: `default`, `reduce-overhead`, `max-autotune`; empty: not compiled."""
    prepack: bool | None = None
    """Whether a worker packs the weights of large linear layers; None: while they are not too many."""
    copy_ahead: bool = False
    """Whether a batch is copied to the GPU while the one before it is computed."""
    start_timeout_s: float = 300.0
    """Longest that loading and warming may take."""


class ApiSpec(_Record, kw_only=True):
    """One route."""

    name: str
    """Method name of the service class."""
    route: str
    """`/classify`"""
    doc: str = ""
    inputs: dict[str, TypeSpec] = {}
    defaults: dict[str, Any] = {}
    """Parameter to default, for those that have one."""
    output: TypeSpec
    stream: bool = False
    input_stream: str = ""
    """The parameter whose items may come while the api runs; its entry in `inputs` is the list of them."""
    timeout_s: float = 30.0
    max_body_bytes: int = 100 * 1024 * 1024


class ServiceSpec(_Record, kw_only=True):
    """What a service says of itself: all that the supervisor needs, without importing user code."""

    name: str
    """Name for tags and metrics: the class name in kebab case, or `@service(name=…)`."""
    cls: str
    """`module:QualName`"""
    doc: str = ""
    apis: list[ApiSpec] = []
    runners: list[RunnerSpec] = []
    processes: int | str = 1
    """API processes: a number ≥ 1, or `auto`."""
    mounts: dict[str, str] = {}
    """Attribute of the service to the path below which an ASGI application of the user's answers."""

    def longest_request_s(self, override_s: float | None = None) -> float:
        """Seconds after which nobody waits for an answer any more; 0 without apis.

        Args:
            override_s: every api's time-out, `--timeout-s`.
        """
        return override_s or max((api.timeout_s for api in self.apis), default=0.0)


class BundleInfo(_Record, kw_only=True):
    """`bundle.yaml`."""

    format: int = FORMAT
    name: str
    version: str
    created: str
    digest: str
    """`sha256:…` over service, models and files, without name, version, time and provenance."""
    service: ServiceSpec
    models: list[str] = []
    """Resolved tags under `models/`."""
    files: list[FileEntry] = []
    """Every file but this one."""
    size_bytes: int = 0
    python: str = ""
    """`3.11`: the version the code was checked with."""
    platform: str = ""
    """`linux-x86_64`"""
    pickled: list[str] = []
    """Tags of the models that are pickles."""
    labels: dict[str, str] = {}
    description: str = ""
    provenance: dict[str, Any] = {}
    options: dict[str, Any] = {}
    """Build options that shaped it."""
    image: ImageOptions = ImageOptions()
    """What its container image is to be like."""


R = TypeVar("R", bound=_Record)


def dump_yaml(record: msgspec.Struct) -> str:
    """Keys in the order of the fields; the same record gives the same text.

    Raises:
        UsageError: it holds a text that is no Unicode (half of a surrogate pair), or a number without bounds.
    """
    plain = msgspec.to_builtins(record)
    if hasattr(record, "format"):
        plain = {"format": record.format, **plain}  # though it is the default: later readers need it
    try:
        text: str = yaml.dump(plain, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)
        text.encode()
    except ValueError as error:
        raise UsageError(f"labels, metadata or words that cannot be written: {error}") from error
    return text


def load_yaml(path: Path, kind: type[R], *, text: str | None = None) -> R:
    """Reads and checks a record.

    Args:
        path: the file; named in errors.
        text: its content, when it was read already (from an archive, say).

    Raises:
        IntegrityError: not YAML, wrong types, unknown keys, or written by a newer format.
        FileNotFoundError: no such file.
    """
    try:
        text = path.read_text(encoding="utf-8") if text is None else text
        _check_shape(path, text)
        raw = yaml.load(text, _LOADER)  # noqa: S506 - a safe loader, the C one where there is one
    except (yaml.YAMLError, UnicodeDecodeError, ValueError) as error:
        raise IntegrityError(f"{path} is not YAML: {error}") from error
    if isinstance(raw, dict) and isinstance(raw.get("format"), int) and raw["format"] > FORMAT:
        raise IntegrityError(f"{path} has format {raw['format']}, this tiffin reads {FORMAT}: upgrade tiffin")
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        raise IntegrityError(f"{path} is damaged or was edited: {error}") from error


def _check_shape(path: Path, text: str) -> None:
    """Refuses what a manifest never has and a hostile one may: deep nesting ends the C loader with a
    segmentation fault, and aliases of aliases grow without bound when they are followed."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _MAX_DEPTH or isinstance(event, yaml.AliasEvent):
            raise IntegrityError(f"{path} is damaged or was edited: it has aliases or is nested too deeply")


_MAX_DEPTH = 100
# The C loader and dumper are several times faster on thousands of files; some wheels come without.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BaseDumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


class _Dumper(_BaseDumper):  # type: ignore[misc]
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - the value is written out wherever it stands
        return True
