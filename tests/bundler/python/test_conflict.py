"""The two requirements that exclude each other, before the resolver's own words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from tiffin.bundler.python.conflict import culprits, excludes, opposed, refused
from tiffin.bundler.python.environment import environment
from tiffin.bundler.python.needs import Index, Wanted
from tiffin.bundler.python.uv import unreached

HERE = environment("3.12", "linux/amd64")
HEAD = "error: No solution found when resolving dependencies\n  cause: "


def test_two_that_name_one_package() -> None:
    wanted = [
        Wanted("numpy>=1.26", "tiffin"),
        Wanted("scikit-learn==1.4", "model iris:6f3"),
        Wanted("Scikit_Learn >=1.6 ; sys_platform == 'linux'", "requirements.txt line 3"),
        Wanted("scikit-learn<1 ; sys_platform == 'win32'", "requirements.txt line 4"),
    ]
    assert opposed(wanted, HERE) == (
        "scikit-learn==1.4 from model iris:6f3 and scikit-learn>=1.6 from requirements.txt line 3 "
        "exclude each other"
    )


def test_two_that_others_bring_together() -> None:
    """Words of uv 0.13."""
    words = (
        f"{HEAD}Because litestar>=2.19 depends on msgspec>=0.19 and you require litestar>=2.19,<3, we can\n"
        "  conclude that msgspec>=0.19. And because you require msgspec==0.18, we can conclude that your\n"
        "  requirements are unsatisfiable."
    )
    wanted = [
        Wanted("rich", "tiffin"),
        Wanted("litestar<3,>=2.19", "tiffin"),
        Wanted("msgspec==0.18", "uv.lock"),
    ]
    assert opposed(wanted, HERE) == ""
    assert culprits(words, wanted, HERE) == (
        "litestar<3,>=2.19 from tiffin and msgspec==0.18 from uv.lock exclude each other"
    )


def test_one_that_there_is_not() -> None:
    words = f"{HEAD}Because rich-er was not found in the package registry and you require rich-er, we can …"
    wanted = [Wanted("rich", "tiffin"), Wanted("rich-er", "requirements.txt line 1")]
    assert culprits(words, wanted, HERE) == "rich-er from requirements.txt line 1 cannot be had"


@pytest.mark.parametrize(
    ("words", "nobody_answered"),
    [
        (
            "error: Failed to fetch: `https://pypi.org/a/`\n  cause: error sending request for url (…)",
            True,
        ),
        ("error: Failed to fetch: `…`\n  cause: HTTP status server error (503 Service Unavailable)", True),
        (f"{HEAD}…\nhint: Packages were unavailable because the network was disabled.", True),
        (
            "error: Git operation failed\n fatal: unable to access '…': Could not resolve host: git.example",
            True,
        ),
        ("error: Git operation failed\n ssh: connect to host x port 22: Connection refused", True),
        (
            "error: Git operation failed\n fatal: Authentication failed for 'https://git.example/x.git/'",
            False,
        ),
        (f"{HEAD}Because a was not found in the package registry and you require a, we can …", False),
        ("error: Failed to build `a==1`\n  cause: The build backend returned an error", False),
    ],
)
def test_no_answer_and_an_answer(words: str, nobody_answered: bool) -> None:
    """Words of uv 0.13, git 2.39 and OpenSSH 9."""
    assert unreached(words) == nobody_answered


def test_an_index_that_lets_nobody_in() -> None:
    words = (
        f"{HEAD}Because a was not found in the package registry and you require a, …\n\nhint: An index "
        "URL (https://c.example/simple) could not be queried due to a lack of valid authentication\n"
        "credentials (401 Unauthorized)"
    )
    corp = Index("corp", "https://c.example/simple/")
    assert refused(words, [corp]) == (
        "the index corp (https://c.example/simple) answers 401: give it a user and a password by "
        "UV_INDEX_CORP_USERNAME and UV_INDEX_CORP_PASSWORD, ~/.netrc or a keyring "
        "(UV_KEYRING_PROVIDER=subprocess)"
    )
    other = "hint: An index (https://d.example/simple) returned a 403 Forbidden error. Check that the …"
    assert refused(other, [corp]).startswith(
        "the index https://d.example/simple answers 403: give it a user and a password by ~/.netrc"
    )
    assert refused(f"{HEAD}Because you require …", [corp]) == ""


@pytest.mark.parametrize(
    ("one", "other", "excluded"),
    [("==1.4", ">=1.6", True), ("==1.4", ">=1.4", False), (">=1.6", "<1.6", True), (">=1.6", "<=1.6", False),
     (">1.6", "<1.7", False), ("==1.4.*", "==1.5", True), ("==1.4.*", "<1.4.1", False),
      ("~=1.4", ">=2", True),      ("", "==1", False),
     ("!=1.4", "==1.4", True), (">=1,<2", ">=2,<3", True), (">=1,<2", ">1.5", False)],
)  # fmt: skip
def test_what_excludes_what(one: str, other: str, excluded: bool) -> None:
    assert excludes(one, other) == excludes(other, one) == excluded


specifiers = st.tuples(
    st.sampled_from(["==", ">=", "<=", ">", "<"]), st.integers(0, 4), st.integers(0, 3)
).map(lambda parts: f"{parts[0]}{parts[1]}.{parts[2]}")


@given(specifiers, specifiers, st.integers(0, 5), st.integers(0, 4), st.integers(0, 2))
def test_nothing_is_said_to_be_excluded_that_a_version_allows(
    one: str, other: str, a: int, b: int, c: int
) -> None:
    version = f"{a}.{b}.{c}"
    if SpecifierSet(one).contains(version) and SpecifierSet(other).contains(version):
        assert not excludes(one, other)
