"""Tags as arguments: checked when they are typed, completed from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ..errors import TiffinError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem


class TagType(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """`iris`, `iris:latest`, `iris:6f3k2q…`"""

    name = "tag"
    noun = ""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ARG002
        from ..runtime.tag import Tag

        return value if isinstance(value, Tag) else Tag.parse(value)

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        try:
            return [CompletionItem(str(tag)) for tag in self.tags() if str(tag).startswith(incomplete)]
        except TiffinError:  # the command says what is wrong, once it is typed
            return []

    def tags(self) -> Iterable[object]:
        """What may be completed."""
        raise NotImplementedError

    def names(self) -> set[str]:
        """The same without versions."""
        return {str(tag).partition(":")[0] for tag in self.tags()}

    def none_of(self, name: str) -> str:
        """What to say where the store has none of that name."""
        from ..runtime.service.options import nearest

        return f"no {self.noun} {name!r}{nearest(name, self.names())}"


class BundleTag(TagType):
    """A bundle of the store."""

    noun = "bundle"

    def tags(self) -> Iterable[object]:
        from ..bundler import bundles

        return bundles.tags()


class ModelTag(TagType):
    """A model of the store."""

    noun = "model"

    def tags(self) -> Iterable[object]:
        from ..bundler import models

        return (model.tag for model in models.list())


class Target(click.ParamType):  # type: ignore[type-arg]  # generic from click 8.4 on
    """A folder, a file, `module:Class`; with `bundles` the tag of a bundle too. Only completed here."""

    name = "target"

    def __init__(self, *, bundles: bool) -> None:
        self.bundles = bundles

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        found = BundleTag().shell_complete(ctx, param, incomplete) if self.bundles else []
        # Where nothing of ours fits, the shell offers its files.
        return found or [CompletionItem(incomplete, type="file")]
