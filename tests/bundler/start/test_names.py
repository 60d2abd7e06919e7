from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.bundler.start.names import names_of
from tiffin.runtime.tag import Tag


@pytest.mark.parametrize(
    ("folder", "name", "cls"),
    [
        ("iris", "iris", "Iris"),
        ("Iris_Flowers 2", "iris-flowers-2", "IrisFlowers2"),
        ("fraudDetector", "fraud-detector", "FraudDetector"),
        ("2024 sales", "sales-2024", "Sales2024"),
        ("2024", "project-2024", "Project2024"),
        ("…", "project", "Project"),
        ("Größe", "grosse", "Grosse"),
        ("none", "none", "NoneService"),
        ("network", "network", "NetworkService"),
    ],
)
def test_names_follow_from_the_folder(folder: str, name: str, cls: str) -> None:
    names = names_of(folder)
    assert (names.name, names.cls) == (name, cls)


@given(st.text(max_size=80))
def test_every_folder_gives_names_that_can_be_used(folder: str) -> None:
    names = names_of(folder)
    assert Tag(names.name).name == names.name
    assert names.cls.isidentifier()
    assert names.title
