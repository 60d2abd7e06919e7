"""Are the models whole, and do they say what they take?"""

from __future__ import annotations

from collections.abc import Iterator

from ...errors import ModelError
from ..model_files.recognise import recognise
from ..snapshot import SourceFile
from .finding import Finding
from .patient import Patient

NAME = "models"


def check(patient: Patient) -> Iterator[Finding]:
    if patient.kind == "file" and len(patient.sources) == 1:
        yield from _file(patient.sources[0])
    for model in patient.models:
        wrong = []
        for file in model.info.files:
            path = model.path / file.path
            try:
                if path.stat().st_size != file.size_bytes:
                    wrong.append(f"{file.path}: changed")
            except OSError:
                wrong.append(f"{file.path}: missing")
        if wrong:
            yield Finding(
                check=NAME,
                severity="error",
                what=f"{model.tag} is damaged: {', '.join(wrong)}",
                where=str(model.path),
                mend=f"bundle models delete {model.tag}  # then save or import it again",
            )
        typed = any(method.inputs for method in model.info.methods.values())
        if model.info.methods and not typed:
            yield Finding(
                check=NAME,
                severity="note",
                what=f"{model.tag} was saved without an example: shapes and dtypes of its inputs are not "
                "known, so neither "
                "are batches checked against memory",
                where=model.tag,
                mend=f"tiffin.models.save({model.info.name!r}, …, example=x[:2])",
            )


def _file(source: SourceFile) -> Iterator[Finding]:
    """Whether it is a model at all; weights without their network are one, for those who have the class."""
    try:
        found = recognise(source.source)
    except ModelError as error:
        yield Finding(check=NAME, severity="error", what=str(error), mend="save or fetch it again")
        return
    if not found.servable:
        yield Finding(
            check=NAME,
            severity="warning" if found.model else "error",
            what=f"{source.path} seems to be {found.what}",
            mend=found.advice,
        )
