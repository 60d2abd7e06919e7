from __future__ import annotations

from pathlib import Path

import pytest
from projects import write

from tiffin.bundler.python import requirements as requirements_module
from tiffin.bundler.python.environment import environment
from tiffin.bundler.python.indexes import named_indexes
from tiffin.bundler.python.line import read_line
from tiffin.bundler.python.needs import Index, Needs
from tiffin.bundler.python.requirements import Collected, collect_requirements
from tiffin.bundler.python.sources import read_source, source_file
from tiffin.errors import BuildError, ConfigError
from tiffin.runtime.manifest import ApiSpec, ModelInfo, ServiceSpec, TypeSpec
from tiffin.runtime.service.bundlefile import IndexOptions, PythonOptions


@pytest.fixture(autouse=True)
def _own_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        requirements_module, "requires", lambda _: ["numpy>=1.26", "click", 'torch; extra == "torch"']
    )


def model(version: str, **versions: str) -> ModelInfo:
    return ModelInfo(
        name="m",
        version=version,
        framework="x",
        created="",
        files=[],
        digest="",
        size_bytes=0,
        versions=versions,
    )


def collect(folder: Path, *models: ModelInfo, requirements: str = "", packages: tuple[str, ...] = ()) -> str:
    return collected(folder, *models, requirements=requirements, packages=packages).text


def collected(
    folder: Path, *models: ModelInfo, requirements: str = "", packages: tuple[str, ...] = ()
) -> Collected:
    options = PythonOptions(requirements=requirements)
    file = source_file(folder, options)
    needs = read_source(file, folder, options, environment()) if file else Needs()
    for line in packages:
        needs.add(read_line(line, "python.packages of the bundlefile", folder))
    return collect_requirements(needs, models)


def test_three_parts(tmp_path: Path) -> None:
    own = "pandas>=2  # frames\n\n# more\n-r more/extra.txt\n"
    more = "rich \\\n    >=13\n-r ../last.txt\n"
    write(tmp_path, {"requirements.txt": own, "more/extra.txt": more, "last.txt": "httpx"})
    found = collect(
        tmp_path,
        model("1", **{"python": "3.11.7", "tiffin": "0.1.0", "scikit-learn": "1.4.0", "torch": "2.5.1+cpu"}),
        model("2", scikit_learn="1.4.0"),
        packages=("requests",),
    )
    assert found == (
        "# for tiffin\nclick\nnumpy>=1.26\n"
        "# for the models\nscikit-learn==1.4.0\ntorch==2.5.1\n"
        "# for the project\npandas>=2\nrich >=13\nhttpx\nrequests\n"
    )


def test_nothing_but_tiffin(tmp_path: Path) -> None:
    assert collect(tmp_path) == "# for tiffin\nclick\nnumpy>=1.26\n"


@pytest.mark.parametrize(
    ("line", "pinned"),
    [
        ("Scikit.Learn==1.5", False),
        ("scikit-learn @ https://example.org/s.whl", False),
        ("scikit-learn", True),
        ("scikit-learn>=1.2", True),
        ("scikit-learn-extra==1", True),
    ],
)
def test_an_exact_version_of_the_project_wins(tmp_path: Path, line: str, pinned: bool) -> None:
    found = collect(tmp_path, model("1", **{"scikit-learn": "1.4.0"}), packages=(line,))
    assert ("scikit-learn==1.4.0" in found) == pinned
    assert found.endswith(f"{line}\n")


def test_two_models_that_disagree(tmp_path: Path) -> None:
    models = model("1", xgboost="2.0"), model("2", xgboost="2.1")
    with pytest.raises(
        BuildError, match=r"m:1 was saved with xgboost 2\.0 and m:2 with 2\.1.*python: \{packages"
    ):
        collect(tmp_path, *models)
    assert "xgboost==2.2\n" in collect(tmp_path, *models, packages=("xgboost==2.2",))


def test_a_version_that_is_not_the_models_own_is_said(tmp_path: Path) -> None:
    write(tmp_path, {"requirements.txt": "# a\nxgboost==2.2\nrich==1\n"})
    found = collected(tmp_path, model("1", xgboost="2.1+cpu", rich="1"))
    assert found.notes == [
        "model m:1 was saved with xgboost 2.1, and requirements.txt line 2 asks for 2.2, which is taken"
    ]
    assert [(each.text, each.where) for each in found.wanted] == [
        ("click", "tiffin"), ("numpy>=1.26", "tiffin"),
        ("xgboost==2.2", "requirements.txt line 2"), ("rich==1", "requirements.txt line 3"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "a @ git+file:///opt/a",
        "--find-links ./wheels",
        "-f /opt",
        "--extra-index-url file:///opt/simple",
        "--index-url /opt/simple",
    ],
)
def test_what_only_this_machine_has(tmp_path: Path, line: str) -> None:
    with pytest.raises(BuildError, match=r"requirements.txt line 2.*points to this machine"):
        collect(write(tmp_path, {"requirements.txt": f"# ours\n{line}"}))


@pytest.mark.parametrize(
    "line",
    ["-e ./lib", "--editable ./lib", "./wheels/a.whl", "../lib", "/opt/none/a.whl", "a @ file:///opt/none"],
)
def test_local_packages_that_are_not_there(tmp_path: Path, line: str) -> None:
    with pytest.raises(BuildError, match=r"requirements.txt line 1: there is no "):
        collect(write(tmp_path / "x", {"requirements.txt": line}))


@pytest.mark.parametrize(
    "line",
    ["--index-url https://me:secret@example.org/simple", "a @ https://token@example.org/a",
     "a @ https://example.org/a.whl?X-Token=secret", "a @ https://example.org/a.whl?v=1&sig=secret"],
)  # fmt: skip
def test_passwords_stay_out_of_messages_too(tmp_path: Path, line: str) -> None:
    with pytest.raises(BuildError, match="carries a password") as caught:
        collect(tmp_path, packages=(line,))
    assert "secret" not in str(caught.value)
    assert "token" not in str(caught.value)


@pytest.mark.parametrize("line", ["six=1.0", "six==1.0#egg", "six >= two", "a b"])
def test_lines_that_are_no_requirement(tmp_path: Path, line: str) -> None:
    with pytest.raises(BuildError, match=r"requirements\.txt line 1: '.*' is no requirement: "):
        collect(write(tmp_path, {"requirements.txt": line}))


@pytest.mark.parametrize(
    "address", ["https://me:pw@corp.example/simple", "https://corp.example/simple?token=pw"]
)
def test_an_index_whose_address_carries_a_password(address: str) -> None:
    for known, named in (
        ({"corp": Index("corp", address)}, "corp"),
        ({}, IndexOptions(name="corp", url=address)),
    ):
        with pytest.raises(BuildError, match="UV_INDEX_CORP_USERNAME") as caught:
            named_indexes([named], known)
        assert "pw" not in str(caught.value)


def test_a_user_without_a_password_is_no_secret(tmp_path: Path) -> None:
    line = "a @ git+ssh://git@github.com/me/a.git@v1?signed=no"
    assert line in collect(tmp_path, packages=(line,))


def test_options(tmp_path: Path) -> None:
    line = "--extra-index-url https://download.pytorch.org/whl/cpu"
    assert line in collect(tmp_path, packages=(line, "--only-binary :all:"))
    with pytest.raises(BuildError, match="not supported"):
        collect(tmp_path, packages=("-c constraints.txt",))


def test_files_that_cannot_be_followed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"python\.requirements: there is no file"):
        collect(tmp_path, requirements="none.txt")
    with pytest.raises(ConfigError, match="does not exist"):
        collect(write(tmp_path / "a", {"requirements.txt": "-r none.txt"}))
    with pytest.raises(ConfigError, match="includes itself"):
        collect(write(tmp_path / "b", {"requirements.txt": "-r requirements.txt"}))
    with pytest.raises(ConfigError, match="outside of the project"):
        collect(write(tmp_path / "c", {"requirements.txt": "-r ../a/requirements.txt"}))


META = [
    "click",
    'scikit-learn>=1.4; extra == "sklearn"',
    'pandas>=2.2; python_version < "4" and extra == "pandas"',
    'pillow>=10; extra == "image"',
    'tiffin[pandas,sklearn]; extra == "all"',
    'pytest; extra == "dev"',
]


@pytest.mark.parametrize(
    ("line", "gives"),
    [
        ("tiffin", ["click"]),
        ("Tiffin[sklearn]>=0.1", ["click", "scikit-learn>=1.4"]),
        ("tiffin[pandas] ; python_version < '4'", ["click", 'pandas>=2.2; python_version < "4"']),
        ("tiffin[all]", ["click", 'pandas>=2.2; python_version < "4"', "scikit-learn>=1.4"]),
        ("tiffin[ sklearn , image ]", ["click", "pillow>=10", "scikit-learn>=1.4"]),
    ],
)
def test_tiffin_itself_comes_from_the_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, gives: list[str]
) -> None:
    """On an index the name may be another's."""
    monkeypatch.setattr(requirements_module, "requires", lambda _: META)
    found = collect(tmp_path, packages=(line, "httpx"))
    assert found.splitlines() == ["# for tiffin", *gives, "# for the project", "httpx"]


def test_an_extra_that_tiffin_has_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements_module, "requires", lambda _: META)
    with pytest.raises(
        BuildError, match=r"no extra 'skleam'; did you mean 'sklearn'\?; it has all, dev, image"
    ):
        collect(tmp_path, packages=("tiffin[skleam]",))


def test_another_tiffin_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements_module, "installed_version", lambda _: "1.2.3")
    assert collect(tmp_path, packages=("tiffin==1.2.3",)) == collect(tmp_path, packages=("tiffin==1.*",))
    with pytest.raises(BuildError, match=r"carries the tiffin that builds it, 1\.2\.3"):
        collect(tmp_path, packages=("tiffin[sklearn]==1.2.2",))


def test_what_the_schema_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements_module, "requires", lambda _: META)
    apis = [
        ApiSpec(name="a", route="/a", inputs={"x": TypeSpec(kind="image")}, output=TypeSpec(kind="text")),
        ApiSpec(
            name="b", route="/b", inputs={"x": TypeSpec(kind="array")}, output=TypeSpec(kind="dataframe")
        ),
    ]
    service = ServiceSpec(name="s", cls="s:S", apis=apis)
    found = collect_requirements(Needs(), [], service)
    assert found.text == '# for tiffin\nclick\npandas>=2.2; python_version < "4"\npillow>=10\n'
