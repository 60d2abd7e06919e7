"""Files that say what a project needs, each as its tool writes it."""

from __future__ import annotations

import contextlib
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import write

from tiffin.bundler.python.environment import environment
from tiffin.bundler.python.needs import Needs
from tiffin.bundler.python.readers.conda import pip_specifier
from tiffin.bundler.python.readers.requirements_txt import logical_lines
from tiffin.bundler.python.sources import read_source, source_file
from tiffin.errors import BuildError, ConfigError
from tiffin.runtime.service.bundlefile import PythonOptions

HERE = environment("3.12", "linux/amd64")
ARM = environment("3.10", "linux/arm64")
A, B, C = "a" * 64, "b" * 64, "c" * 64


def read(folder: Path, where: object = HERE, **options: object) -> Needs:
    wishes = PythonOptions(**options)  # type: ignore[arg-type]
    file = source_file(folder, wishes)
    assert file is not None
    return read_source(file, folder, wishes, where)  # type: ignore[arg-type]


def texts(needs: Needs) -> list[str]:
    return [each.text for each in needs.wanted]


def test_a_lock_comes_before_the_rest_and_the_rest_is_said(tmp_path: Path) -> None:
    assert source_file(tmp_path, PythonOptions()) is None
    write(tmp_path, {"pyproject.toml": "[tool.ruff]\n", "environment.yml": "dependencies: [a]\n"})
    assert read(tmp_path).source == "environment.yml"
    write(tmp_path, {"pyproject.toml": "[project]\nname='p'\ndependencies=['b']\n"})
    found = read(tmp_path)
    assert (found.source, texts(found)) == ("pyproject.toml", ["b"])
    assert "not from environment.yml" in found.notes[0]
    write(
        tmp_path,
        {"requirements.txt": "c", "uv.lock": "version = 1\n[[package]]\nname='p'\nsource={virtual='.'}\n"},
    )
    assert read(tmp_path).source == "uv.lock"
    assert "not from requirements.txt, environment.yml" in read(tmp_path).notes[0]
    named = read(tmp_path, requirements="requirements.txt")
    assert (named.source, texts(named), named.notes) == ("requirements.txt", ["c"], [])


def test_requirements_with_hashes_are_kept(tmp_path: Path) -> None:
    text = f"""\
# made by uv
--index-url https://corp.example/simple
iniconfig==2.0 \\
    --hash=sha256:{A} \\
    --hash=sha256:{B}   # both
    # via pytest
tomli==2.1 ; python_version < "3.11" --hash=sha256:{C}
--require-hashes
click>=8
"""
    found = read(write(tmp_path, {"requirements.txt": text}))
    assert texts(found) == ["iniconfig==2.0", 'tomli==2.1 ; python_version < "3.11"', "click>=8"]
    assert [each.where.rpartition(" ")[2] for each in found.wanted] == ["3", "7", "9"]
    assert found.pinned["iniconfig"].hashes == (A, B)
    assert found.pinned["tomli"].marker == 'python_version < "3.11"'
    assert found.options == ["--index-url https://corp.example/simple"]


def test_local_packages_of_a_requirements_file(tmp_path: Path) -> None:
    write(tmp_path, {"lib/setup.py": "", "w/x-1.0-py3-none-any.whl": "", "more/r.txt": "../lib\n"})
    lines = [
        "-e ./lib[a, B]",
        "w/x-1.0-py3-none-any.whl",
        f"lib[c] @ file://{tmp_path}/lib ; os_name == 'posix'",
    ]
    found = read(write(tmp_path, {"requirements.txt": "\n".join([*lines, "-r more/r.txt"])}))
    lib, wheel = (tmp_path / "lib").resolve(), (tmp_path / "w/x-1.0-py3-none-any.whl").resolve()
    assert [(each.path, each.extras, each.editable, each.marker) for each in found.locals] == [
        (lib, ("a", "b"), True, ""),
        (wheel, (), False, ""),
        (lib, ("c",), False, "os_name == 'posix'"),
        (lib, (), False, ""),
    ]
    assert texts(found) == []


@given(
    st.lists(
        st.tuples(
            st.text(string.ascii_letters + "=<>.", min_size=1), st.booleans(), st.text("# \t xyz", max_size=5)
        ),
        max_size=8,
    )
)
def test_lines_whatever_their_layout(lines: list[tuple[str, bool, str]]) -> None:
    """A continued line is one, with the number of its first; comments and blanks are none."""
    raw: list[str] = []
    wanted: list[tuple[int, str]] = []
    for text, split, comment in lines:
        half = len(text) // 2
        if split and half:
            wanted.append((len(raw) + 1, f"{text[:half]} {text[half:]}"))
            raw += [f"{text[:half]}\\", f"  {text[half:]}  # {comment}"]
        else:
            raw.append(f"# {comment}")
            wanted.append((len(raw) + 1, text))
            raw.append(f"\t{text}")
    assert list(logical_lines("\n".join(raw))) == wanted


PYPROJECT = """
[project]
name = "Proj"
requires-python = ">=3.10"
dependencies = ["click>=8", "lib[x]", "torch>=2", "repo"]
[project.optional-dependencies]
all = ["proj[gpu]"]
GPU = ["xgboost>=2"]
[dependency-groups]
serve = ["orjson", {include-group = "more"}]
more = ["attrs"]
loop = [{include-group = "loop"}]
[tool.uv.sources]
lib = { path = "lib", editable = true }
repo = { git = "https://example.org/r.git", tag = "v1", subdirectory = "py" }
torch = [{ index = "cpu", marker = "platform_machine == 'x86_64'" }]
[[tool.uv.index]]
name = "cpu"
url = "https://download.pytorch.org/whl/cpu"
explicit = true
"""


def test_a_pyproject(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": PYPROJECT, "lib/setup.py": ""})
    found = read(tmp_path, extras=["all"], groups=["serve"])
    assert found.source == "pyproject.toml (extra all, group serve)"
    assert texts(found) == [
        "click>=8",
        "torch>=2",
        "repo @ git+https://example.org/r.git@v1#subdirectory=py",
        "orjson",
        "attrs",
        "xgboost>=2",
    ]
    assert [(each.name, each.extras, each.editable) for each in found.locals] == [("lib", ("x",), True)]
    assert found.routed == {"torch": "cpu"}
    assert [(each.name, each.explicit) for each in found.indexes] == [("cpu", True)]
    assert read(tmp_path, ARM).routed == {}


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"groups": ["serv"]}, "no group 'serv'; did you mean 'serve'"),
        ({"groups": ["loop"]}, "group loop includes itself"),
        ({"extras": ["cuda"]}, r"no extra 'cuda'.*has: all, gpu"),
    ],
)
def test_a_choice_that_a_pyproject_does_not_have(
    tmp_path: Path, options: dict[str, object], error: str
) -> None:
    write(tmp_path, {"pyproject.toml": PYPROJECT, "lib/setup.py": ""})
    with pytest.raises(ConfigError, match=error):
        read(tmp_path, **options)


def test_one_text_is_no_list_of_requirements(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": "[project]\nname = 'a'\ndependencies = 'six'\n"})
    with pytest.raises(BuildError, match=r"dependencies: 'six' is no list of requirements"):
        read(tmp_path)


def test_an_empty_lock_of_poetry(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": "[tool.poetry]\nname = 'a'\n", "poetry.lock": ""})
    with pytest.raises(BuildError, match=r"poetry\.lock has no lock-version"):
        read(tmp_path)


def test_dynamic_dependencies(tmp_path: Path) -> None:
    text = "[project]\nname='p'\ndynamic=['dependencies']\n"
    with pytest.raises(BuildError, match="only the build backend knows"):
        read(write(tmp_path, {"pyproject.toml": text}))
    more = "[tool.setuptools.dynamic]\ndependencies = {file = ['needs.in']}\n"
    assert texts(read(write(tmp_path, {"pyproject.toml": text + more, "needs.in": "click"}))) == ["click"]


def test_the_projects_own_package_in_src(tmp_path: Path) -> None:
    """Flat ones are found in the bundle's source."""
    text = "[project]\nname='My_Proj'\ndependencies=[]\n"
    backend = "[build-system]\nrequires=[]\n"
    write(tmp_path, {"pyproject.toml": text + backend})
    assert read(tmp_path).locals == []
    write(tmp_path, {"src/my_proj/__init__.py": ""})
    assert [(each.name, each.path) for each in read(tmp_path).locals] == [("my-proj", tmp_path.resolve())]
    assert read(write(tmp_path, {"pyproject.toml": text})).locals == []


def test_another_python(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": "[project]\nname='p'\nrequires-python='>=3.13'\ndependencies=[]\n"})
    with pytest.raises(BuildError, match=r"for Python >=3.13 and the bundle is for 3.12: say --python"):
        read(tmp_path)


UV_LOCK = f"""
version = 1
revision = 3
requires-python = ">=3.10"

[[package]]
name = "proj"
version = "0"
source = {{ virtual = "." }}
dependencies = [
    {{ name = "click" }},
    {{ name = "old", marker = "python_full_version < '3.11'" }},
    {{ name = "torch", version = "2.9.1+cpu", marker = "platform_machine == 'x86_64'" }},
    {{ name = "torch", version = "2.9.1", marker = "platform_machine != 'x86_64'" }},
    {{ name = "lib", extra = ["speed"] }},
    {{ name = "repo" }},
]
[package.optional-dependencies]
gpu = [{{ name = "cupy", marker = "extra == 'extra-4-proj-gpu'" }}]
[package.dev-dependencies]
dev = [{{ name = "pytest" }}]

[[package]]
name = "click"
version = "8.1.8"
source = {{ registry = "https://pypi.org/simple" }}
sdist = {{ url = "https://f/click.tar.gz", hash = "sha256:{A}", size = 1 }}
wheels = [{{ url = "https://f/click.whl", hash = "sha256:{B}", size = 1 }}]

[[package]]
name = "old"
version = "1"
source = {{ registry = "https://pypi.org/simple" }}
[[package]]
name = "torch"
version = "2.9.1"
source = {{ registry = "https://pypi.org/simple" }}
[[package]]
name = "torch"
version = "2.9.1+cpu"
source = {{ registry = "https://whl.example/cpu" }}
[[package]]
name = "lib"
version = "1"
source = {{ directory = "lib" }}
[package.optional-dependencies]
speed = [{{ name = "fast" }}]
[[package]]
name = "fast"
version = "3"
source = {{ url = "https://f/fast.whl" }}
wheels = [{{ url = "https://f/fast.whl", hash = "sha256:{C}" }}]
[[package]]
name = "repo"
version = "1"
source = {{ git = "https://example.org/r.git?subdirectory=py&tag=v1#0123abc" }}
[[package]]
name = "cupy"
version = "13"
source = {{ registry = "https://pypi.org/simple" }}
[[package]]
name = "pytest"
version = "9"
source = {{ registry = "https://pypi.org/simple" }}
"""
INDEX = (
    "[project]\nname='proj'\n[[tool.uv.index]]\nname='cpu'\nurl='https://whl.example/cpu/'\nexplicit=true\n"
)


def test_a_lock_of_uv(tmp_path: Path) -> None:
    found = read(write(tmp_path, {"uv.lock": UV_LOCK, "pyproject.toml": INDEX, "lib/setup.py": ""}))
    assert texts(found) == [
        "click==8.1.8",
        "fast @ https://f/fast.whl",
        "repo @ git+https://example.org/r.git@0123abc#subdirectory=py",
        "torch==2.9.1+cpu",
    ]
    assert sorted(found.pinned["click"].hashes) == [A, B]
    assert found.pinned["fast"].hashes == (C,)
    assert found.routed == {"torch": "cpu"}
    assert [(each.name, each.extras) for each in found.locals] == [("lib", ("speed",))]
    there = read(tmp_path, ARM, groups=["dev"], extras=["gpu"])
    assert {"old==1", "torch==2.9.1", "pytest==9", "cupy==13"} <= set(texts(there))
    assert (there.indexes, there.routed) == ([], {})
    (tmp_path / "pyproject.toml").unlink()
    assert read(tmp_path).options == ["--extra-index-url https://whl.example/cpu"]


def test_a_damaged_lock_of_uv(tmp_path: Path) -> None:
    for text, error in (
        ("version = 2\n", "has format 2"),
        ("version = 1\n", "locks no project in this folder"),
        (
            UV_LOCK.replace('name = "click"\nversion', 'name = "clack"\nversion'),
            "needs click and does not hold it",
        ),
        ("version = ", "is not TOML"),
    ):
        with pytest.raises(BuildError, match=error):
            read(write(tmp_path, {"uv.lock": text}))
    with pytest.raises(ConfigError, match=r"uv.lock has no group 'tests' \(has: dev\)"):
        read(write(tmp_path, {"uv.lock": UV_LOCK}), groups=["tests"])


PYLOCK = f"""
lock-version = "1.0"
requires-python = ">=3.10"
environments = ["sys_platform == 'linux'"]
extras = ["gpu"]
dependency-groups = ["default", "test"]
default-groups = ["default"]
created-by = "test"
[[packages]]
name = "click"
version = "8.1.8"
index = "https://me:secret@corp.example/simple"
wheels = [{{ name = "click.whl", url = "https://f/click.whl", hashes = {{ sha256 = "{A}" }} }}]
[[packages]]
name = "cupy"
version = "13"
marker = "'gpu' in extras"
wheels = [{{ name = "c.whl", hashes = {{ sha256 = "{B}" }} }}]
[[packages]]
name = "pytest"
version = "9"
marker = "'test' in dependency_groups"
[[packages]]
name = "tomli"
version = "2"
marker = "python_full_version < '3.11' and 'default' in dependency_groups"
[[packages]]
name = "lib"
directory = {{ path = "lib", editable = true }}
[[packages]]
name = "repo"
version = "1"
vcs = {{ type = "git", url = "https://example.org/r.git", commit-id = "0123abc", subdirectory = "py" }}
[[packages]]
name = "far"
archive = {{ url = "https://f/far.zip", hashes = {{ sha256 = "{C}" }} }}
"""


def test_a_pylock(tmp_path: Path) -> None:
    found = read(write(tmp_path, {"pylock.toml": PYLOCK, "lib/setup.py": ""}))
    repo, far = "repo @ git+https://example.org/r.git@0123abc#subdirectory=py", "far @ https://f/far.zip"
    assert texts(found) == ["click==8.1.8", repo, far]
    assert found.pinned["click"].hashes == (A,)
    assert found.options == ["--extra-index-url https://corp.example/simple"]
    assert [each.name for each in found.locals] == ["lib"]
    assert "tomli==2" in texts(read(tmp_path, ARM))
    assert texts(read(tmp_path, extras=["gpu"], groups=["test"])) == [
        "click==8.1.8",
        "cupy==13",
        "pytest==9",
        repo,
        far,
    ]
    named = write(
        tmp_path, {"pylock.serve.toml": PYLOCK.replace("sys_platform == 'linux'", "sys_platform == 'win32'")}
    )
    with pytest.raises(BuildError, match="made for other environments"):
        read(named, requirements="pylock.serve.toml")
    with pytest.raises(ConfigError, match="no extra 'cuda'"):
        read(tmp_path, extras=["cuda"])
    with pytest.raises(BuildError, match=r"lock-version '2\.0'"):
        read(write(tmp_path, {"pylock.toml": 'lock-version = "2.0"'}))


POETRY_LOCK = f"""
[[package]]
name = "requests"
version = "2.32"
optional = false
python-versions = ">=3.8"
groups = ["main"]
files = [{{ file = "r.whl", hash = "sha256:{A}" }}, {{ file = "r.tar.gz", hash = "sha256:{B}" }}]
[package.dependencies]
idna = ">=2.5,<4"
PySocks = {{ version = ">=1.5", optional = true, markers = "extra == 'socks'" }}
tomli = {{ version = ">=1", markers = "python_version < \\"3.11\\"" }}
[package.extras]
socks = ["PySocks (>=1.5)"]
[[package]]
name = "idna"
version = "3.9"
python-versions = ">=3.8"
[[package]]
name = "idna"
version = "3.7"
python-versions = "<3.8"
[[package]]
name = "pysocks"
version = "1.7"
python-versions = "*"
[[package]]
name = "tomli"
version = "2"
python-versions = ">=3.8"
[[package]]
name = "pytest"
version = "9"
python-versions = ">=3.8"
[[package]]
name = "fancy"
version = "1"
optional = true
markers = 'extra == "nice"'
python-versions = ">=3.8"
[[package]]
name = "repo"
version = "1"
python-versions = ">=3.8"
[package.source]
type = "git"
url = "https://example.org/r.git"
reference = "main"
resolved_reference = "0123abc"
[[package]]
name = "corp"
version = "2"
python-versions = ">=3.8"
[package.source]
type = "legacy"
url = "https://corp.example/simple"
reference = "corp"
[[package]]
name = "lib"
version = "1"
python-versions = ">=3.8"
[package.source]
type = "directory"
url = "lib"

[extras]
nice = ["fancy"]

[metadata]
lock-version = "2.1"
python-versions = "^3.10"
[metadata.files]
idna = [{{ file = "i.whl", hash = "sha256:{C}" }}]
"""
POETRY = """
[tool.poetry.dependencies]
python = "^3.10"
requests = { version = "^2", extras = ["socks"] }
repo = { git = "https://example.org/r.git" }
corp = { version = "*", source = "corp" }
lib = { path = "lib" }
fancy = { version = "*", optional = true }
[tool.poetry.group.test.dependencies]
pytest = "*"
"""


def test_a_lock_of_poetry(tmp_path: Path) -> None:
    found = read(write(tmp_path, {"poetry.lock": POETRY_LOCK, "pyproject.toml": POETRY, "lib/setup.py": ""}))
    main = [
        "corp==2",
        "idna==3.9",
        "pysocks==1.7",
        "repo @ git+https://example.org/r.git@0123abc",
        "requests==2.32",
    ]
    assert texts(found) == main
    assert found.pinned["requests"].hashes == (A, B)
    assert found.pinned["idna"].hashes == (C,)
    assert found.options == ["--extra-index-url https://corp.example/simple"]
    assert [each.name for each in found.locals] == ["lib"]
    more = read(tmp_path, ARM, groups=["test"], extras=["nice"])
    assert texts(more) == sorted([*main, "tomli==2", "pytest==9", "fancy==1"])
    newer = {
        "poetry.lock": POETRY_LOCK.replace("^3.10", "^3.11"),
        "pyproject.toml": POETRY.replace("^3.10", "^3.11"),
    }
    with pytest.raises(BuildError, match=r">=3.11,<4 and the bundle is for 3.10"):
        read(write(tmp_path / "newer", newer), environment("3.10"))
    standard = "[project]\nname='p'\ndependencies=['requests (>=2,<3)']\n"
    assert texts(read(write(tmp_path, {"pyproject.toml": standard}))) == ["idna==3.9", "requests==2.32"]


CONDA = """
name: x
channels: [conda-forge]
dependencies:
  - python=3.11
  - numpy=1.26.4=py311h64a7726_0
  - conda-forge::pytorch >=2.1,<3
  - scikit-learn 1.4.*
  - pandas
  - cudatoolkit=11.8
  - libgcc-ng>=12
  - librosa
  - pip
  - pip:
    - httpx>=0.27
    - -r more.txt
"""


def test_an_environment_of_conda(tmp_path: Path) -> None:
    found = read(write(tmp_path, {"environment.yml": CONDA, "more.txt": "rich==13\n"}))
    assert texts(found) == [
        "numpy==1.26.4", "torch>=2.1,<3", "scikit-learn==1.4.*", "pandas", "librosa", "httpx>=0.27",
        "rich==13",
    ]  # fmt: skip
    assert "asks for Python ==3.11.* and the bundle is for 3.12" in found.notes[0]
    assert "no counterpart on PyPI stays out: cudatoolkit, libgcc-ng" in found.notes[1]
    with pytest.raises(BuildError, match=r"'numpy=1.0\|1.2' has no form in pip's words"):
        read(write(tmp_path, {"environment.yml": "dependencies: ['numpy=1.0|1.2']\n"}))
    with pytest.raises(ConfigError, match=r"environment\.yml has none"):
        read(tmp_path, groups=["dev"])


@pytest.mark.parametrize(
    "text",
    [
        "dependencies: [scipy]\ndependencies:\n  - numpy\n  - {pip: [httpx]}\n",
        "base: &base\n  dependencies:\n  - numpy\n  - {pip: [httpx]}\n<<: *base\n",
    ],
    ids=["twice", "merged"],
)
def test_a_list_of_conda_that_is_not_where_it_seems(tmp_path: Path, text: str) -> None:
    assert texts(read(write(tmp_path, {"environment.yml": text}))) == ["numpy", "httpx"]


@pytest.mark.parametrize(
    ("conda", "pip"),
    [("", ""), ("*", ""), ("=1.2", "==1.2.*"), ("==1.2", "==1.2"), ("=1.2.*", "==1.2.*"),
     ("!=1.3.*", "!=1.3.*"),
     (">=1.2,<2.0a0", ">=1.2,<2.0a0"), (" 1.2", "==1.2"), ("=1.2=py39_0", "==1.2"),
     ("[version='>=1.2,<2']", ">=1.2,<2"),
     ("~=1.2", "~=1.2"), (">1|<2", None), ("=1.2.3 py310_1", "==1.2.3.*")],
)  # fmt: skip
def test_versions_of_conda(conda: str, pip: str | None) -> None:
    assert pip_specifier(conda) == pip


@given(
    st.lists(
        st.tuples(st.sampled_from(["==", ">=", "<=", "!=", "~=", "=", ">", "<"]), st.integers(0, 99)),
        min_size=1,
    )
)
def test_versions_of_conda_are_versions_of_pip(clauses: list[tuple[str, int]]) -> None:
    from packaging.specifiers import SpecifierSet

    found = pip_specifier(",".join(f"{operator}1.{number}" for operator, number in clauses))
    assert found is not None
    assert found.count(",") == len(clauses) - 1
    assert {each.operator for each in SpecifierSet(found)} <= {"==", ">=", "<=", "!=", "~=", ">", "<"}


@settings(max_examples=40)
@given(st.text(max_size=60))
def test_nothing_but_our_errors_for_nonsense(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("nonsense")
    for name in ("uv.lock", "pylock.toml", "environment.yml", "requirements.txt"):
        (folder / name).write_text(text, encoding="utf-8")
        options = PythonOptions(requirements=name)
        with contextlib.suppress(BuildError, ConfigError):
            read_source(folder / name, folder, options, HERE)
