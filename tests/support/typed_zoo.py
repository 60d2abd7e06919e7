"""A service with every kind of type hint, for the tests of typed gRPC."""

# ruff: noqa: PLC2401 - a name that is not ASCII is a case to test

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, NamedTuple, Optional, TypedDict, TypeVar

import msgspec
import numpy as np
import pandas as pd
import pydantic
import torch
from jaxtyping import BFloat16, Bool, Float32, Int64, UInt8
from PIL import Image

import tiffin

T = TypeVar("T")


class Colour(enum.Enum):
    """What it looks like."""

    RED = "red"
    DARK_BLUE = "dark blue"


class Level(enum.IntEnum):
    LOW = 10
    HIGH = 20


@dataclasses.dataclass
class Flower:
    """One flower."""

    petals: Float32[np.ndarray, "4"]
    colour: Colour = Colour.RED
    notes: list[str] | None = None
    inner: Flower | None = None
    count: int = 0
    maybe: int | None = 7
    picture: bytes = b""


@dataclasses.dataclass
class Box(Generic[T]):
    content: T


class Cat(msgspec.Struct, tag=True, forbid_unknown_fields=True):
    name: str


class Dog(msgspec.Struct, tag="dog", tag_field="species", rename="camel"):
    years_old: Annotated[int, msgspec.Meta(ge=0, description="since its birth")]


class Bird(msgspec.Struct, tag="bird", tag_field="species"):
    wings: int = 2


class Point(NamedTuple):
    x: float
    y: float = 1.0
    z: float | None = None


class Row(msgspec.Struct, array_like=True):
    a: int
    b: str = "b"


class Settings(TypedDict, total=False):
    rate: float
    names: list[str]
    limit: int | None


class Tree(msgspec.Struct, omit_defaults=True):
    value: int = 0
    children: list[Tree] = []


class Address(pydantic.BaseModel):
    """Where."""

    street: str = pydantic.Field(description="and number")
    zip: int | None = None


class Person(pydantic.BaseModel):
    name: str
    ages: list[int] = []
    address: Address
    others: dict[str, Address] = {}
    born: datetime.date | None = None
    price: decimal.Decimal = decimal.Decimal("1.5")
    kind: Literal["a", "b"] = "a"
    boss: Person | None = None

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def shout(self) -> str:
        return self.name.upper()


@tiffin.service(name="the-zoo")
class Zoo:
    """Every kind of hint.

    In two paragraphs.
    """

    @tiffin.api
    def scalars(
        self,
        truth: bool,
        number: Annotated[int, msgspec.Meta(ge=-5)],
        ratio: float,
        text: str,
        raw: bytes,
        either: int | float,  # noqa: PYI041 - what users write
        maybe: int | None,
        defaulted: float = 0.5,
        perhaps: str | None = None,
        other: int | None = 5,
    ) -> None:
        """Numbers and text.

        Args:
            truth: whether it is so.
        """

    @tiffin.api
    def written(
        self,
        when: datetime.datetime,
        day: datetime.date,
        at: datetime.time,
        instant: Annotated[datetime.datetime, msgspec.Meta(tz=True)],
        took: datetime.timedelta,
        who: uuid.UUID,
        price: decimal.Decimal,
        later: datetime.date | None = None,
    ) -> None: ...

    @tiffin.api
    def choices(
        self,
        colour: Colour,
        level: Level,
        kind: Literal["a", "b"],
        number: Literal[1, 2] = 1,
        mixed: Literal["x", 3] | None = None,
        colours: list[Colour] = [],  # noqa: B006 - a default that is empty
        best: Colour | None = None,
    ) -> None: ...

    @tiffin.api
    def lists(
        self,
        numbers: list[int],
        matrix: list[list[float]],
        names: Sequence[str] | None,
        unique: set[int],
        triple: tuple[float, float, float],
        pair: tuple[int, str],
        many: tuple[str, ...],
        gaps: list[int | None],
        mixed: list[int | str],
        inner: list[list[int] | None],
        few: list[int] | None = None,
        some: list[int] = [1, 2],  # noqa: B006 - a default that is not
    ) -> None: ...

    @tiffin.api
    def maps(
        self,
        counts: dict[str, int],
        by_number: dict[int, list[float]],
        by_day: Mapping[datetime.date, str],
        by_ratio: dict[float, int],
        by_colour: dict[Colour, Flower],
        gaps: dict[str, int | None],
        meta: dict[str, Any],
        anything: Any,
        bare: dict = {},  # noqa: B006 - as above
        maybe: dict[str, int] | None = None,
    ) -> None: ...

    @tiffin.api
    def classes(
        self,
        flower: Flower,
        pet: Cat | str,
        animal: Dog | Bird | None,
        points: list[Point],
        row: Row,
        settings: Settings,
        tree: Tree,
        box: Box[int],
        boxes: dict[str, Box[list[str]]],
    ) -> None: ...

    @tiffin.api
    def models(self, person: Person, people: list[Person], address: Address | None = None) -> None: ...

    @tiffin.api
    def arrays(
        self,
        x: Float32[np.ndarray, "n 4"],
        y: Int64[np.ndarray, "n"],
        anything: np.ndarray,
        tensor: Float32[torch.Tensor, "... 2"],
        mask: Optional[Bool[np.ndarray, "n"]] = None,  # noqa: UP045 - both spellings
        pixels: list[UInt8[np.ndarray, "h w"]] = [],  # noqa: B006
        half: BFloat16[torch.Tensor, "k"] | None = None,
    ) -> None: ...

    @tiffin.api
    def media(
        self, frame: pd.DataFrame, image: Image.Image, file: tiffin.File, files: list[tiffin.File]
    ) -> None: ...

    @tiffin.api
    def flower(self, flower: Flower) -> Flower:
        return flower

    @tiffin.api
    async def count(self, upto: int) -> AsyncIterator[Point]:
        """Points on a line."""
        for x in range(upto):
            yield Point(x)

    @tiffin.api
    async def follow(self, flowers: AsyncIterator[Flower], factor: float = 1) -> AsyncIterator[Flower]:
        async for flower in flowers:
            yield flower

    @tiffin.api
    def refused(self, x: msgspec.Raw) -> None: ...


@dataclasses.dataclass
class Odd_Tensor:
    value: int


Odd_Tensor.__name__ = Odd_Tensor.__qualname__ = "Tensor"


@tiffin.service(name="inference")
class Odd:
    """Names that other languages do not take.

    */ // "
    """

    @tiffin.api(route="/groesse")
    def größe(
        self, größe: int, Clear: int, a_b: int, aB: int, _x: int, message: int, x1: int, x_1: int
    ) -> None: ...

    @tiffin.api
    def Tensor(
        self, Tensor: Odd_Tensor, tensor: np.ndarray, self_: list[float], _maybe: int | None = None
    ) -> list[Odd_Tensor]: ...

    @tiffin.api
    def class_(self, optional: str | None = None, oneof: int = 1, google: Any = None) -> None: ...

    @tiffin.api(route="/other")
    def classX(self, kind: int | str, kinds: list[int | str]) -> None: ...
