"""A runner as HTML: what it runs, what its methods take and give, and how it is batched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...errors import TiffinError
from ..card import card
from ..model.model_card import signature_table
from ..words import batch_words, digest_words, size_words
from .workers import workers_words

if TYPE_CHECKING:
    from .runner import Runner


def runner_card(runner: Runner, name: str) -> str:
    """HTML; says so when its model is not in the store.

    Args:
        runner: as it was declared.
        name: its attribute in the service; empty before it has one.
    """
    what = str(runner.tag or (runner.cls.__qualname__ if runner.cls else ""))
    title = f"Runner {name} of {what}" if name else f"Runner of {what}"
    declared = [("workers", workers_words(runner.options.workers)), ("gpus", runner.options.gpus or None)]
    try:
        spec = runner.spec(name)
        facts = [*_weights(runner), *declared]
    except TiffinError as error:
        return card(title, [("cannot run", error), *declared])
    batches = {method: batch_words(spec, spec.methods[method]) for method in spec.methods}
    return card(title, facts, [signature_table(spec.methods, batches)], ["%bundle serve", "%bundle build"])


def _weights(runner: Runner) -> list[tuple[str, object]]:
    from ..model.find import find

    tags = [runner.tag] if runner.tag is not None else list(runner.options.models)
    facts: list[tuple[str, object]] = []
    for tag in tags:
        model = find(tag)
        facts += [
            ("model", model.tag),
            ("size", size_words(model.info.size_bytes)),
            ("digest", digest_words(model.info.digest)),
        ]
    return facts
