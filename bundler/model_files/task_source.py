"""What `--task` adds to a written service: pre- and post-processing by `tiffin.tasks`, with routes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...runtime.manifest import MethodSpec, ModelInfo, TypeSpec
from .hints import NUMPY, PANDAS, PILLOW, Imports, input_hint
from .inputs import parameter
from .task_input import OF_TEXTS, check_input

_RATE, _WINDOW, _HOP = 16_000, 400, 160
"""Of `tiffin.tasks.Sound`."""
_SCORES = ("predict_proba", "predict")
_BEST = "The likeliest classes of {}, the best first."
_LABELS = "list[tiffin.tasks.Label]"
_IMAGE = "Image.Image"


@dataclass(frozen=True)
class TaskApi:
    """A route of a task, without what several models need to tell theirs apart."""

    name: str
    parameters: str
    """Behind `self`."""
    returns: str
    doc: str
    body: Sequence[str]


@dataclass(frozen=True)
class TaskSource:
    """Lines of a service."""

    task: str
    """What the attribute is: `tiffin.tasks.ImageClassification(…)`."""
    apis: Sequence[TaskApi]


@dataclass(frozen=True)
class _Subject:
    """The model that a task is written for."""

    info: ModelInfo
    method: str
    runner: str
    """`self.model`"""
    task: str
    """`self.task`"""
    words: str
    """`self.model.model.classes`"""
    imports: Imports

    @property
    def spec(self) -> MethodSpec:
        return self.info.methods[self.method]

    @property
    def input(self) -> TypeSpec:
        return next(iter(self.spec.inputs.values()), TypeSpec(kind="json"))

    def predict(self, rows: str) -> str:
        more = f", top_k={self.task}.top" if self.tells_best else ""
        return f"{self.runner}.{self.method}({rows}{more})"

    @property
    def tells_best(self) -> bool:
        """Whether the model gives the likeliest class alone unless it is asked for more."""
        return self.info.framework == "transformers" and self.info.options.get("task") == OF_TEXTS

    def run(self, *, with_inputs: bool = False) -> str:
        """Inputs to results, with `{0}` where the list of inputs goes."""
        more = "{0}, " if with_inputs else ""
        return f"{self.task}.results({self.predict(f'{self.task}.prepare({{0}})')}, {more}{self.words})"


def task_source(
    task: str, info: ModelInfo, *, runner: str, attribute: str, words: str, imports: Imports
) -> TaskSource:
    """The lines for a task.

    Args:
        task: one of `TASKS`.
        info: of the model.
        runner: `self.model`.
        attribute: `self.task`.
        words: where the words for the classes are.
        imports: gets what the lines need.

    Raises:
        UsageError: the model is known to take something else than the task gives it.
    """
    method = next((name for name in _SCORES if name in info.methods), next(iter(info.methods)))
    subject = _Subject(info, method, runner, attribute, words, imports)
    check_input(task, subject.spec, info)
    return TASKS[task](subject)


def _image_classification(subject: _Subject) -> TaskSource:
    pixels = _pixels(subject.input, height=224, fit="crop", imagenet=True)
    run = subject.run()
    return TaskSource(
        f"tiffin.tasks.ImageClassification({pixels})",
        [
            *_pair(subject, "classify", "image", _IMAGE, result=_LABELS, doc=_BEST, run=run),
            TaskApi(
                "classify_film",
                "film: tiffin.File, every_s: float = 1.0",
                "list[tiffin.tasks.FrameLabels]",
                "The likeliest classes of images of a film, `every_s` seconds apart.",
                [
                    "moments = tiffin.tasks.frames(film, every_s=every_s)",
                    f"found = {run.format('[image for _, image in moments]')}",
                    "times = [time_s for time_s, _ in moments]",
                    "return [tiffin.tasks.FrameLabels(*pair) for pair in zip(times, found, strict=True)]",
                ],
            ),
        ],
    )


def _object_detection(subject: _Subject) -> TaskSource:
    pixels = _pixels(subject.input, height=640, fit="letterbox")
    run = subject.run(with_inputs=True)
    doc = "What is in {}, and where."
    return TaskSource(
        f'tiffin.tasks.ObjectDetection({pixels}, form="{_form(subject.spec.output)}")',
        _pair(subject, "detect", "image", _IMAGE, result="list[tiffin.tasks.Box]", doc=doc, run=run),
    )


def _segmentation(subject: _Subject) -> TaskSource:
    pixels = _pixels(subject.input, height=512, fit="stretch", imagenet=True)
    run = subject.run(with_inputs=True)
    doc = "The class of each pixel of {}."
    return TaskSource(
        f"tiffin.tasks.Segmentation({pixels})",
        _pair(subject, "segment", "image", _IMAGE, result="tiffin.tasks.Segmented", doc=doc, run=run),
    )


def _ocr(subject: _Subject) -> TaskSource:
    pixels = _pixels(subject.input, height=32, width=256, channels=1, fit="left")
    doc = "The text of {}, which shows one line."
    return TaskSource(
        f"tiffin.tasks.Ocr({pixels})",
        _pair(subject, "read", "image", _IMAGE, result="tiffin.tasks.Reading", doc=doc, run=subject.run()),
    )


def _text_classification(subject: _Subject) -> TaskSource:
    return TaskSource(
        "tiffin.tasks.TextClassification()",
        _pair(subject, "classify", "text", "str", result=_LABELS, doc=_BEST, run=subject.run()),
    )


def _audio_classification(subject: _Subject) -> TaskSource:
    return TaskSource(
        f"tiffin.tasks.AudioClassification({_sound(subject.input)})",
        _pair(subject, "classify", "recording", "tiffin.File", result=_LABELS, doc=_BEST, run=subject.run()),
    )


def _tabular(subject: _Subject) -> TaskSource:
    subject.imports.lines.add(PANDAS)
    table = subject.input.kind == "dataframe"
    columns = f"columns={list(subject.input.columns)!r}".replace("'", '"') if subject.input.columns else ""
    settings = ", ".join(filter(None, [columns, "" if table else "as_table=False"]))
    rows = subject.predict(f"{subject.task}.prepare(table)")
    output = subject.spec.output
    scores = output is not None and output.dtype.startswith("float") and len(output.shape or []) == 2
    if scores and output is not None and output.shape != ["n", 1]:
        api = TaskApi(
            "classify",
            "table: pd.DataFrame",
            f"list[{_LABELS}]",
            "The likeliest classes of each row, the best first.",
            [f"return {subject.task}.labels({rows}, {subject.words})"],
        )
    else:
        api = TaskApi(
            "estimate",
            "table: pd.DataFrame",
            "list[float]",
            "A number for each row.",
            [f"return {subject.task}.values({rows})"],
        )
    return TaskSource(f"tiffin.tasks.Tabular({settings})", [api])


def _time_series(subject: _Subject) -> TaskSource:
    shape = subject.input.shape or []
    window = shape[1] if len(shape) > 1 and isinstance(shape[1], int) else 24
    channel = ", channel_axis=True" if len(shape) == 3 else ""
    return TaskSource(
        f"tiffin.tasks.TimeSeries(window={window}{channel})",
        [
            TaskApi(
                "forecast",
                "series: list[float], steps: int = 1",
                "tiffin.tasks.Forecast",
                "How a series goes on, the oldest value first.",
                [f"return {subject.task}.forecast({subject.runner}.{subject.method}, series, steps)"],
            )
        ],
    )


def _embedding(subject: _Subject) -> TaskSource:
    subject.imports.lines.add(NUMPY)
    subject.imports.families.add("Float32")
    returns = 'Float32[np.ndarray, "n d"]'
    task, more, given = "tiffin.tasks.Embedding()", [], ""
    if len(subject.input.shape or []) == 4:
        subject.imports.lines.add(PILLOW)
        more = [f"images = {_pixels(subject.input, height=224, fit='crop', imagenet=True)}.array(images)"]
        name, hint, given = "images", f"list[{_IMAGE}]", "images"
    elif subject.input.kind == "json":
        name, hint, given = "texts", "list[str]", "texts"
    else:
        name = given = parameter(next(iter(subject.spec.inputs)))
        hint = input_hint(subject.input, subject.imports)
    body = [*more, f"return {subject.task}.vectors({subject.predict(given)})"]
    return TaskSource(task, [TaskApi("embed", f"{name}: {hint}", returns, "A vector for each.", body)])


def _pair(
    subject: _Subject, verb: str, noun: str, hint: str, *, result: str, doc: str, run: str
) -> list[TaskApi]:
    """Two routes: for one, and for many at once."""
    if hint == _IMAGE:
        subject.imports.lines.add(PILLOW)
    article = "an" if noun[0] in "aeiou" else "a"
    one = f"return {run.format(f'[{noun}]')}[0]"
    many = f"return {run.format(f'{noun}s')}"
    all_of = f"{noun}s: list[{hint}]"
    return [
        TaskApi(verb, f"{noun}: {hint}", result, doc.format(f"{article} {noun}"), [one]),
        TaskApi(f"{verb}_many", all_of, f"list[{result}]", doc.format(f"each {noun}"), [many]),
    ]


def _pixels(
    spec: TypeSpec, *, height: int, fit: str, width: int = 0, channels: int = 3, imagenet: bool = False
) -> str:
    """`tiffin.tasks.Pixels(…)` for what a model takes; what it does not say is as usual for the task."""
    shape = spec.shape if spec.shape is not None and len(spec.shape) == 4 else [None, channels, None, None]
    last = shape[3] in {1, 3} and shape[1] not in {1, 3}
    channel, down, across = (shape[3], shape[1], shape[2]) if last else (shape[1], shape[2], shape[3])
    channel = channel if channel in {1, 3} else channels
    down = down if isinstance(down, int) else height
    across = across if isinstance(across, int) else width or height
    parts = [f"{down}", f"{across}"]
    if channel != 3:
        parts.append(f"channels={channel}")
    if last:
        parts.append('layout="nhwc"')
    if fit != "crop":
        parts.append(f'fit="{fit}"')
    if spec.dtype == "uint8":
        parts.append('dtype="uint8"')
    elif imagenet and channel == 3:
        parts += ["mean=tiffin.tasks.IMAGENET_MEAN", "std=tiffin.tasks.IMAGENET_STD"]
    return f"tiffin.tasks.Pixels({', '.join(parts)})"


def _form(output: TypeSpec | None) -> str:
    """How a detector tells its boxes."""
    if output is not None and output.kind == "json":
        return "detr" if "pred_boxes" in output.json_schema.get("properties", {}) else "boxes"
    shape = output.shape if output is not None else None
    if shape and len(shape) == 3 and isinstance(shape[1], int) and isinstance(shape[2], int):
        return "yolo" if shape[1] < shape[2] else "yolov5"
    return "yolo"


def _sound(spec: TypeSpec) -> str:
    shape = spec.shape or []
    if len(shape) == 2 and isinstance(shape[1], int):
        return f"tiffin.tasks.Sound(rate={_RATE}, seconds={shape[1] / _RATE:g})"
    if len(shape) == 3 and isinstance(shape[1], int) and isinstance(shape[2], int):
        seconds = ((shape[2] - 1) * _HOP + _WINDOW) / _RATE
        return f'tiffin.tasks.Sound(rate={_RATE}, seconds={seconds:g}, features="log-mel", mels={shape[1]})'
    return "tiffin.tasks.Sound()"


TASKS: dict[str, Callable[[_Subject], TaskSource]] = {
    "image-classification": _image_classification,
    "object-detection": _object_detection,
    "segmentation": _segmentation,
    "text-classification": _text_classification,
    "tabular": _tabular,
    "time-series": _time_series,
    "embedding": _embedding,
    "audio-classification": _audio_classification,
    "ocr": _ocr,
}
OWN_WORDS = frozenset({"object-detection", "ocr"})
"""Their models give other numbers than one score a word, so the words are kept in the service."""
