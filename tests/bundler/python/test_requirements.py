from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest
from projects import write

from tiffin.bundler.python import lock as lock_module
from tiffin.bundler.python import requirements as requirements_module
from tiffin.bundler.python.lock import Lock, make_lock, this_platform
from tiffin.bundler.python.requirements import collect_requirements
from tiffin.errors import BuildError, ConfigError
from tiffin.runtime.manifest import ApiSpec, ModelInfo, ServiceSpec, TypeSpec
from tiffin.runtime.service.bundlefile import PythonOptions


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
    options = PythonOptions(requirements=requirements, packages=list(packages))
    return collect_requirements(folder, options, models)


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


@pytest.mark.parametrize(
    "line",
    ["-e .", "--editable ./lib", "./wheels/a.whl", "../lib", "/opt/a.whl", "~/a.whl", "a @ file:///opt/a.whl",
     "--find-links ./wheels", "-f /opt", "--extra-index-url file:///opt/simple", "--index-url /opt/simple"],
)  # fmt: skip
def test_what_only_this_machine_has(tmp_path: Path, line: str) -> None:
    with pytest.raises(BuildError, match="points to this machine"):
        collect(write(tmp_path, {"requirements.txt": line}))


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
    found = collect_requirements(tmp_path, PythonOptions(), [], service)
    assert found == '# for tiffin\nclick\npandas>=2.2; python_version < "4"\npillow>=10\n'


UV = """#!{python}
import os, sys
open({log!r}, "a").write(" ".join(sys.argv[1:]) + "\\n")
output = sys.argv[sys.argv.index("--output-file") + 1]
text = open("requirements.in").read()
if "impossible" in text:
    sys.exit("error: No solution found\\n  cause: Because there is no version\\n  of impossible\\n  more\\n")
preferred = dict(line.split("==") for line in open(output).read().split())
open(output, "w").write("click==" + preferred["click"] + " --hash=sha256:00\\n")
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for `uv`; returns the file that holds its command lines."""
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    log, program = tmp_path / "calls", tmp_path / "uv"
    program.write_text(UV.format(python=sys.executable, log=str(log)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    log.touch()
    monkeypatch.setattr(lock_module, "_find_uv", lambda: str(program))
    return log


def test_a_lock_prefers_what_is_installed(calls: Path) -> None:
    from importlib.metadata import version

    made = make_lock("click\n", python="3.11")
    assert made == Lock(f"click=={version('click')} --hash=sha256:00\n")
    command = calls.read_text()
    assert "--generate-hashes" in command
    assert "--python-version 3.11" in command
    assert f"--python-platform {os.uname().machine}-manylinux_2_28" in command


@pytest.mark.usefixtures("calls")
def test_a_lock_says_where_its_packages_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installs it has nothing else; what only this environment says may hold a password."""
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", "https://me:secret@example.org/simple")
    index = "--extra-index-url https://download.pytorch.org/whl/cpu\n"
    made = make_lock(f"# for the project\nclick\n{index}-e git+https://example.org/x\n", python="3.11")
    assert made.text.startswith(f"{index}click==")
    assert "secret" not in made.text
    assert "example.org" not in made.text


def test_a_lock_is_made_once(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_lock("click\n", python="3.11")
    assert make_lock("click\n", python="3.11", required=True) == first
    assert len(calls.read_text().splitlines()) == 1
    make_lock("click\n", python="3.12")
    make_lock("click>1\n", python="3.11")
    monkeypatch.setenv("UV_INDEX_URL", "https://example.org/simple")
    make_lock("click\n", python="3.11")
    assert len(calls.read_text().splitlines()) == 4


def test_a_lock_for_another_platform(calls: Path) -> None:
    make_lock("click\n", python="3.11", platform="linux/arm64")
    make_lock("click\n", python="3.11", platform="linux/amd64")
    first, second = calls.read_text().splitlines()
    assert "--python-platform aarch64-manylinux_2_28" in first
    assert "--python-platform x86_64-manylinux_2_28" in second
    assert this_platform() == f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}[os.uname().machine] }"
    for wrong in ("linux/riscv64", "windows/amd64", "arm64"):
        with pytest.raises(ConfigError, match="use linux/amd64 or linux/arm64"):
            make_lock("click\n", python="3.11", platform=wrong)
    with pytest.raises(BuildError, match="could not be locked for linux/arm64: uv: error: No solution"):
        make_lock("impossible\n", python="3.11", platform="linux/arm64", required=True)


@pytest.mark.usefixtures("calls")
def test_no_lock_says_why() -> None:
    made = make_lock("impossible\n", python="3.11")
    assert made == Lock("", "uv: error: No solution found; cause: Because there is no version; of impossible")
    with pytest.raises(BuildError, match="could not be locked: uv: error: No solution found"):
        make_lock("impossible\n", python="3.11", required=True)


def test_no_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "_find_uv", lambda: None)
    made = make_lock("click\n", python="3.11")
    assert (made.text, "pip install 'tiffin[lock]'" in made.reason) == ("", True)
    with pytest.raises(BuildError, match=r"tiffin\[lock\]"):
        make_lock("click\n", python="3.11", required=True)


def test_uv_that_hangs(calls: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (calls.parent / "uv").write_text(f"#!{sys.executable}\nimport signal; signal.pause()\n")
    monkeypatch.setattr(lock_module, "TIMEOUT_S", 0.3)
    assert make_lock("click\n", python="3.11") == Lock("", "uv took more than 0 s")
