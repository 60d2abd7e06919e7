"""Projects written for BentoML: what is carried over, and that the rest is told with file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from bentos import NEW_BENTOFILE, NEW_SERVICE, OLD_BENTOFILE, OLD_SERVICE, PYPROJECT, STREAMING_SERVICE
from projects import write

import tiffin
from tiffin.bundler.start.bento.convert import Converted, convert
from tiffin.errors import AlreadyExistsError, ConfigError
from tiffin.runtime.service.bundlefile import find_bundlefile


class Classifier:
    """Stands for the user's model; the greatest number of each row."""

    def predict(self, rows: Any) -> Any:
        return np.asarray(rows).argmax(axis=1)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def new(tmp_path: Path) -> Path:
    files = {"bentofile.yaml": NEW_BENTOFILE, "service.py": NEW_SERVICE, "NOTES.md": "Sums up.\n"}
    return write(tmp_path / "new", {**files, ".bentoignore": "# no\nraw/\n"})


@pytest.fixture
def old(tmp_path: Path) -> Path:
    requirements = (
        "bentoml\nscikit-learn\npandas # tables\n--extra-index-url https://user:word@x.example/simple\n"
    )
    files = {"bentofile.yaml": OLD_BENTOFILE, "service.py": OLD_SERVICE, "requirements.txt": requirements}
    return write(tmp_path / "old", files)


def left(made: Converted) -> dict[str, str]:
    """Place to the sentences."""
    found: dict[str, str] = {}
    for said in made.left:
        found[said.where] = f"{found.get(said.where, '')}{said.what}\n"
    return found


def test_build_options(new: Path) -> None:
    made = convert(new, new)
    assert made.files == ["tiffin_service.py", "requirements.txt", "bundlefile.yaml"]
    assert yaml.safe_load((new / "bundlefile.yaml").read_text()) == {
        "service": "tiffin_service:Summary",
        "description": "Sums up.",
        "labels": {"owner": "ml-team"},
        "include": ["*.py", "tiffin_service.py"],
        "exclude": ["tests/", "raw/", "service.py", "bentofile.yaml"],
        "models": ["iris_clf:v1"],
        "python": {"version": "3.11", "requirements": "requirements.txt"},
        "image": {"cuda": "12.1", "system_packages": ["libgl1", "git"], "env": {"MODE": "fast"}},
    }
    assert find_bundlefile(new) is not None
    assert (new / "requirements.txt").read_text().splitlines() == [
        "--index-url https://mirror.example/simple",
        "numpy",
        "mylib @ git+https://example.com/someone/mylib.git@main",
        "pandas",
    ]
    assert "word" not in (new / "requirements.txt").read_text()


def test_what_is_left_is_told_with_its_line(new: Path) -> None:
    found = left(convert(new, new))
    for place, words in {
        "bentofile.yaml:10": "mylib was taken from its address",
        "bentofile.yaml:15": "password",
        "bentofile.yaml:18": "trusted_host",
        "bentofile.yaml:25": "setup_script",
        "bentofile.yaml:26": "is not the name of an image",
        "bentofile.yaml:27": "docker run -e HF_TOKEN=…",
        "bentofile.yaml:31": "tiffin.models.save",
        "bentofile.yaml:35": "h2o",
        "bentofile.yaml:36": "`args` has no counterpart",
        "service.py:12": "RUN into image.dockerfile_template",
        "service.py:18": "resources.cpu",
        "service.py:19": "max_queue_rows",
        "service.py:21": "--cors-origin http://a.example",
        "service.py:22": "without running it",
        "service.py:35": "axis 0",
        "service.py:41": "tiffin.request_context()",
        "service.py:45": "tiffin.File",
        "service.py:52": "@tiffin.on_stop",
    }.items():
        assert words in found.pop(place)
    assert found == {}


def test_a_class_becomes_a_runner_and_a_service(new: Path) -> None:
    made = convert(new, new)
    text = (new / "tiffin_service.py").read_text()
    assert made.name == "Summary"
    assert "bentoml" not in text
    assert "# a comment that stays" in text
    assert 'tiffin.models.get("iris_clf:latest").load()' in text
    assert "@tiffin.batch(max_size=32, max_latency_ms=1000)" in text
    assert '@tiffin.service(name="iris-summary", timeout_s=60)' in text
    assert 'worker = tiffin.runner(SummaryWorker, gpus=1, workers=2, models=["iris_clf:latest"])' in text
    assert 'async def greet(self, name: str = "you") -> str:' in text
    assert "async def count(self, file: tiffin.File, x: Any) -> int:" in text
    assert "from typing import Any" in text
    assert "from jaxtyping import Float32\n" in text
    assert text.count('(self, rows: Float32[np.ndarray, "n 4"]) -> np.ndarray:') == 2
    assert "@tiffin.batch(max_size=MOST)" in text
    assert (new / "service.py").read_text() == NEW_SERVICE


def test_the_new_service_can_be_built(new: Path) -> None:
    """As far as a machine can carry it: what it said is left is done by hand first."""
    tiffin.models.save("iris_clf", Classifier(), methods=["predict"], example=np.ones((2, 4)), version="v1")
    convert(new, new)
    service = new / "tiffin_service.py"
    service.write_text(service.read_text().replace("gpus=1, ", ""))
    made = tiffin.build(new, lock=False)
    assert made.info.service.name == "iris-summary"
    assert [api.route for api in made.info.service.apis] == ["/classify", "/hello", "/count", "/sums"]
    (runner,) = made.info.service.runners
    assert (runner.workers, runner.models) == (2, ["iris_clf:v1"])
    assert runner.methods["classify"].max_batch_size == 32
    assert runner.methods["sums"].max_batch_size == 8


def test_a_class_that_streams_stays_a_service(tmp_path: Path) -> None:
    folder = write(tmp_path / "words", {"words.py": STREAMING_SERVICE, "pyproject.toml": PYPROJECT})
    made = convert(folder, folder)
    text = (folder / "service.py").read_text()
    assert '@tiffin.service(timeout_s=5, processes="auto")' in text
    assert "    @tiffin.api\n    async def talk" in text
    told = left(made)
    assert "move what computes" in told["words.py:5"]
    assert "make it a runner" in told["words.py:6"]
    assert "still in the new code" in told["words.py:6"]
    assert "import bentoml\n" in text  # for what is left of it
    assert "@bentoml.task" in told["words.py:12"]
    assert "distro ubi8" in told["pyproject.toml:13"]
    assert (folder / "requirements.txt").read_text() == "numpy\npolars>=1\n"
    assert find_bundlefile(folder).description == "Says words."  # type: ignore[union-attr]


def test_the_old_style(old: Path, tmp_path: Path) -> None:
    made = convert(old, tmp_path / "fresh")
    text = (tmp_path / "fresh" / "service.py").read_text()
    assert made.name == "IrisClassifier"
    for line in (
        '@tiffin.service(name="iris-classifier")',
        'forest = tiffin.runner("iris_clf:latest", max_batch_size=50)',
        "upper = tiffin.runner(Upper, max_latency_ms=500, tail='?')",
        'async def classify(self, flowers: Float32[np.ndarray, "n 4"]) -> np.ndarray:',
        "        # a comment that stays",
        "        result = await self.forest.predict(flowers)",
        "        first = (await self.upper.up([text]))[0]",
        '"second": (await self.upper.up([text]))[0]}',
        "async def mixed(self, table: pd.DataFrame, picture: PIL.Image.Image) -> Any:",
        "class Upper:",
        "    @tiffin.batch\n    def up",
    ):
        assert line in text, text
    assert "bentoml" not in text
    told = left(made)
    assert "password" in told["requirements.txt:4"]
    assert "method_configs" in told["service.py:6"]
    assert "orient of PandasDataFrame" in told["service.py:39"]
    assert "predict was written" in told["service.py:40"]
    assert "@tiffin.on_start" in told["service.py:43"]
    assert "tiffin.mount" in told["service.py:48"]
    assert yaml.safe_load((tmp_path / "fresh" / "bundlefile.yaml").read_text())["image"] == {
        "env": {"MODE": "fast"}
    }


def test_the_old_style_can_be_built(old: Path, tmp_path: Path) -> None:
    tiffin.models.save("iris_clf", Classifier(), methods=["predict"], example=np.ones((2, 4), np.float32))
    (old / "service.py").write_text(OLD_SERVICE.partition("@svc.api(input=Multipart")[0])
    convert(old, tmp_path / "fresh")
    made = tiffin.build(tmp_path / "fresh", lock=False)
    assert [api.route for api in made.info.service.apis] == ["/classify", "/shout"]
    assert {runner.name for runner in made.info.service.runners} == {"forest", "upper"}


def test_modules_that_were_not_copied(old: Path, tmp_path: Path) -> None:
    write(old, {"helpers.py": "", "service.py": "import helpers\n" + OLD_SERVICE})
    made = convert(old, tmp_path / "fresh")
    assert "helpers is of the old project" in left(made)["service.py:1"]


def test_conda(old: Path) -> None:
    text = "service: service:svc\nconda:\n  environment_yml: ./environment.yml\n  pip: [polars]\n"
    write(old, {"bentofile.yaml": text, "environment.yml": "dependencies: [numpy]\n"})
    made = convert(old, old)
    assert yaml.safe_load((old / "bundlefile.yaml").read_text())["python"] == {
        "requirements": "environment.yml"
    }
    assert "polars" in left(made)["environment.yml"]


def test_code_without_a_bentofile(tmp_path: Path) -> None:
    folder = write(tmp_path / "bare", {"service.py": OLD_SERVICE})
    assert convert(folder, tmp_path / "fresh").source == folder / "service.py"


def test_nothing_is_overwritten(old: Path) -> None:
    write(old, {"bundlefile.yaml": "name: mine\n"})
    with pytest.raises(AlreadyExistsError, match="bundlefile"):
        convert(old, old)
    assert not (old / "tiffin_service.py").exists()


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({}, "no BentoML project"),
        ({"bentofile.yaml": "service: ["}, "not YAML"),
        ({"bentofile.yaml": "- a\n"}, "expected keys and values"),
        ({"bentofile.yaml": "service: gone:svc\n"}, r"bentofile.yaml:1: service 'gone:svc'"),
        ({"service.py": "def ("}, "service.py:1: not Python"),
        ({"service.py": "x = 1\n"}, "neither a class with @bentoml.service"),
        (
            {"bentofile.yaml": "service: service:No\n", "service.py": STREAMING_SERVICE},
            "no class No; it has Words",
        ),
        ({"pyproject.toml": "["}, "not TOML"),
    ],
)
def test_what_is_no_project(files: dict[str, str | bytes], says: str, tmp_path: Path) -> None:
    folder = write(tmp_path / "none", files)
    folder.mkdir(exist_ok=True)
    with pytest.raises(ConfigError, match=says):
        convert(folder, tmp_path / "fresh")
    assert not (tmp_path / "fresh").exists()


def test_odd_values_are_told_and_words_are_not_taken_apart(tmp_path: Path) -> None:
    bentofile = (
        "service: 'service:Sums'\ninclude: '*.py'\nmodels: 7\nlabels: [a]\nenvs: 3\nconda: [x]\n"
        "python:\n  packages: numpy\n  requirements_txt: wide.txt\n"
        "docker:\n  python_version: 3.10\n  system_packages: libgl1\n"
    )
    service = (
        "import bentoml\n@bentoml.service\nclass Sums:\n"
        "    @bentoml.api\n    def add(self, a: int) -> int:\n        return a\n"
    )
    folder = write(tmp_path / "odd", {"bentofile.yaml": bentofile, "service.py": service})
    (folder / "wide.txt").write_text("numpy\n", encoding="utf-16")
    told = left(convert(folder, folder))
    written = find_bundlefile(folder)
    assert written is not None
    assert written.include[0] == "*.py"
    assert written.python.version == "3.10"
    assert written.image.system_packages == ["libgl1"]
    assert (folder / "requirements.txt").read_text() == "numpy\n"
    assert "a list belongs here, and this is 7" in told["bentofile.yaml:3"]
    assert "no mapping" in told["bentofile.yaml:4"]
    assert "keys and values belong here" in told["bentofile.yaml:6"]
    assert "cannot be read" in told["bentofile.yaml:9"]


RUNNABLE = """\
import bentoml
import numpy as np
from bentoml.io import File, Image, NumpyNdarray

class Lucky(bentoml.Runnable):
    @bentoml.Runnable.method(batchable=True)
    def guess(self, x):
        return x * 3

lucky = bentoml.Runner(Lucky, name="lucky")
clf = bentoml.sklearn.get("clf:latest").to_runner()
svc = bentoml.Service("lucky", runners=[lucky, clf])

@svc.api(input=NumpyNdarray(dtype="float32", shape=(-1, 2)), output=NumpyNdarray(dtype="float32"))
async def play(x):
    return await lucky.guess.async_run(x)
"""


def test_a_service_called_as_one_of_its_classes(tmp_path: Path) -> None:
    """A second class of that name would hide the first, which the workers look for."""
    old = write(tmp_path / "old", {"service.py": RUNNABLE})
    made = convert(old, tmp_path / "new")
    assert made.name == "LuckyService"
    text = (tmp_path / "new" / "service.py").read_text()
    assert "tiffin.runner(Lucky)" in text
    assert "bentoml" not in text
    tiffin.models.save("clf", Classifier(), methods=["predict"], example=np.ones((2, 2)))
    info = tiffin.build(tmp_path / "new", lock=False).info
    assert [runner.name for runner in info.service.runners] == ["lucky", "clf"]


def test_imports_that_nothing_needs_go(tmp_path: Path) -> None:
    code = (
        RUNNABLE.replace("import bentoml\n", "import bentoml, json\n")
        + "\nbentoml.server_context.worker_index\n"
    )
    convert(write(tmp_path / "old", {"service.py": code}), tmp_path / "new")
    text = (tmp_path / "new" / "service.py").read_text()
    assert "import bentoml\nimport json\n" in text  # the last line still says bentoml
    assert "bentoml.io" not in text


def test_only_scripts_that_are_there_are_named(tmp_path: Path) -> None:
    old = write(tmp_path / "old", {"service.py": RUNNABLE})
    save = "tiffin.models.save, for clf:latest"
    assert convert(old, tmp_path / "a").next_steps[1] == f"# where you train: {save}"
    write(old, {"make model.py": "bentoml.sklearn.save_model('clf', clf)"})
    assert convert(old, tmp_path / "b").next_steps[1] == f"python '../old/make model.py'  # with {save}"


def test_an_environment_of_conda_that_is_there_or_not(tmp_path: Path) -> None:
    bentofile = "service: service:svc\nconda: {environment_yml: ./env/conda.yml}\n"
    old = write(tmp_path / "old", {"service.py": RUNNABLE, "bentofile.yaml": bentofile})
    made = convert(old, tmp_path / "a")
    assert left(made)["bentofile.yaml:2"] == "the environment file env/conda.yml cannot be read\n"
    assert "python" not in yaml.safe_load((tmp_path / "a/bundlefile.yaml").read_text())
    write(old, {"env/conda.yml": "dependencies: [numpy]\n"})
    made = convert(old, tmp_path / "b")
    assert "env/conda.yml" in made.files
    assert (tmp_path / "b/env/conda.yml").read_text() == "dependencies: [numpy]\n"
    assert "env/conda.yml" not in convert(old, old).files
    write(old, {"bentofile.yaml": bentofile.replace("./env/", "../"), "../conda.yml": "dependencies: []\n"})
    made = convert(old, tmp_path / "c/d")
    assert "../conda.yml lies outside of the folder: copy it" in left(made)["bentofile.yaml:2"]
    assert {path.name for path in (tmp_path / "c").rglob("*") if path.is_file()} == set(made.files)
