"""What is noted of a model's and a bundle's origin, and what must not be."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from projects import SERVICE, echo_project, write

from tiffin.bundler import git_state as git_module
from tiffin.bundler import models
from tiffin.bundler.build import build
from tiffin.bundler.git_state import MAX_DIFF_BYTES, git_state
from tiffin.bundler.references import data_references, metrics_of, references_of_words
from tiffin.cli.provenance_view import diff_text
from tiffin.errors import ConfigError, NotFoundError, UsageError
from tiffin.runtime.model.recorded import read_examples
from tiffin.runtime.model.replay import replay

GIT = ["git", "-c", "user.name=a", "-c", "user.email=a@b.example"]
TOKEN = "ghp_" + "a1B2" * 9
KEY = (
    "-----BEGIN PRIVATE KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n" * 3 + "-----END PRIVATE KEY-----\n"
)


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TIFFIN_NO_PROVENANCE", raising=False)
    return tmp_path / "home"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = write(
        tmp_path / "project", {"a.py": "a = 1\n", "b.py": "b = 1\n", "sub/c.py": "c = 1\n", "old.py": KEY}
    )
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*GIT, *command], cwd=folder, check=True)
    return folder


def _state(folder: Path) -> dict[str, Any]:
    found = git_state(folder)
    assert found is not None
    return found


def test_the_diff_of_a_dirty_folder(repository: Path) -> None:
    assert set(_state(repository)) == {"commit", "dirty"}
    write(repository, {"a.py": "a = 2\n", "ä b.txt": "new"})
    found = _state(repository)
    assert found["dirty"] is True
    assert found["changed"] == [" M a.py", '?? "ä b.txt"']
    assert "-a = 1\n+a = 2\n" in found["diff"]
    assert "left_out" not in found
    assert _state(repository / "sub") == {"commit": found["commit"], "dirty": False}
    write(repository, {"sub/c.py": "c = 2\n"})
    assert "b/c.py" in _state(repository / "sub")["diff"]  # as seen from there, and nothing from above
    assert "a.py" not in _state(repository / "sub")["diff"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", f"token = '{TOKEN}'\n"),
        ("a.py", KEY),
        (".env", "A=1\n"),
        ("a.py", "DB = 'postgres://me:hunter2@db.example/x'\n"),
        ("a.py", "DB = 'redis://:hunter2@[::1]/0'\n"),
        ("a.py", "kind: x\nusers:\n- user:\n    client-key-data: " + "A" * 60 + "\n"),
    ],
)
def test_secrets_stay_out_of_the_diff(repository: Path, name: str, text: str) -> None:
    write(repository, {name: text, "b.py": "b = 2\n"})
    subprocess.run([*GIT, "add", "."], cwd=repository, check=True)
    found = _state(repository)
    assert "+b = 2" in found["diff"]
    assert text.strip() not in found["diff"]
    assert name not in found["diff"]
    assert found["left_out"][name].startswith("looks like a secret: ")


def test_an_address_that_is_put_together_is_no_secret(repository: Path) -> None:
    write(
        repository,
        {"a.py": "DB = f'postgres://{me}:{secret}@{host}/x'; S = 's3://a/b:c'; U = 'ssh://git@x:22/'\n"},
    )
    assert "left_out" not in _state(repository)


def test_a_secret_that_is_taken_out_stays_out_too(repository: Path) -> None:
    write(repository, {"old.py": "clean = 1\n"})
    found = _state(repository)
    assert "diff" not in found
    assert found["left_out"] == {"old.py": "looks like a secret: private key"}
    (repository / "old.py").unlink()
    assert _state(repository)["left_out"] == {"old.py": "looks like a secret: private key"}


def test_a_secret_far_from_its_name(repository: Path) -> None:
    """The diff shows only the line of the value; the file says what it is."""
    head = "aws_secret_access_key =" + " \\\n" * 5
    secret = "abcdefghij" * 4
    write(repository, {"a.py": f'{{"type": "service_account",\n{"x" * 80}\n\n\n\n\n\n"private_key": "z"}}\n'})
    subprocess.run([*GIT, "commit", "-qam", "y"], cwd=repository, check=True)
    write(
        repository,
        {"a.py": f'{{"type": "service_account",\n{"x" * 80}\n\n\n\n\n\n"private_key": "{secret}"}}\n'},
    )
    found = _state(repository)
    assert (head, found["left_out"]) == (head, {"a.py": "looks like a secret: service account key"})


def test_large_diffs_are_bounded(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repository, {"a.py": "x = 1\n" * MAX_DIFF_BYTES, "b.py": "b = 2\n"})
    found = _state(repository)
    assert "too many" in found["left_out"]["a.py"]
    assert "+b = 2" in found["diff"]
    monkeypatch.setattr(git_module, "MAX_READ_BYTES", 1000)
    found = _state(repository)
    assert "more than 1000 bytes" in found["left_out"]["a.py"]
    write(repository, {f"new{place}.txt": "x" for place in range(150)})
    found = _state(repository)
    assert (len(found["changed"]), found["changed"][-1]) == (101, "and 52 more")


def test_programs_of_the_configuration_do_not_run(repository: Path, tmp_path: Path) -> None:
    trace = tmp_path / "ran"
    for name in ("diff.external", "diff.evil.textconv", "diff.evil.command"):
        subprocess.run([*GIT, "config", name, f"touch {trace}"], cwd=repository, check=True)
    write(repository, {".gitattributes": "*.py diff=evil\n", "a.py": "a = 2\n"})
    assert "+a = 2" in _state(repository)["diff"]
    assert not trace.exists()


def test_nothing_of_git_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(tmp_path) is None
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_state(tmp_path) is None


def double(rows: Any) -> Any:
    return rows * 2


def test_a_model_knows_what_it_was_told(tmp_path: Path) -> None:
    data = write(tmp_path / "data", {"train.csv": "1,2\n", "more/x.csv": "3\n"})
    first = models.save("m", double, metrics={"loss": np.float32(0.5), "test": {"f1": 1}})
    second = models.save(
        "m",
        double,
        parent="m:latest",
        data={"train": data / "train.csv", "all": data, "store": "s3://bucket/x", "dvc": {"rev": "abc"}},
    )
    assert first.info.provenance["metrics"] == {"loss": 0.5, "test": {"f1": 1}}
    assert {"host", "user", "tiffin", "python", "tools"} <= first.info.provenance.keys()
    found = second.info.provenance
    assert found["parent"] == {"tag": str(first.tag), "digest": first.info.digest}
    train, everything, store, dvc = found["data"]
    assert (train["name"], train["size_bytes"], len(train["sha256"])) == ("train", 4, 64)
    assert (everything["files"], everything["size_bytes"]) == (2, 6)
    assert everything["digest"].startswith("sha256:")
    assert (store, dvc) == ({"name": "store", "uri": "s3://bucket/x"}, {"name": "dvc", "rev": "abc"})
    assert second.info.digest == first.info.digest  # none of it counts


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (5, "is of type int"),
        (np.ones(3), "is of type ndarray"),
        ("https://me:pa55word@host/x", "password"),
        ("s3://b/x?X-Amz-Signature=abc", "password"),
        ({"a": {"url": "https://me:pa55word@host/x"}}, "password"),
        ([TOKEN], "GitHub token"),
        ([""], "no reference"),
        (Path("nowhere.csv"), "cannot read nowhere.csv"),
    ],
)
def test_references_that_are_none(data: Any, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        data_references(data)


def test_words_of_a_bundlefile(tmp_path: Path) -> None:
    write(tmp_path, {"x.csv": "1"})
    there, gone = references_of_words({"a": "x.csv", "b": "y.csv"}, tmp_path)
    assert (there["path"], there["size_bytes"], gone) == ("x.csv", 1, {"name": "b", "uri": "y.csv"})


@pytest.mark.parametrize("metrics", [{"a": "x"}, {"a": True}, {"a": [1]}, {"a": None}, [1]])
def test_metrics_are_numbers(metrics: Any) -> None:
    with pytest.raises(UsageError, match="number"):
        metrics_of(metrics)


def test_a_parent_that_is_not_there() -> None:
    models.save("base", double)
    with pytest.raises(NotFoundError, match="did you mean 'base'"):
        models.save("m", double, parent="basel")
    assert models.list("m") == []


def test_nobody_and_nowhere(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repository, {"a.py": "a = 3\n"})
    monkeypatch.chdir(repository)
    monkeypatch.setenv("TIFFIN_NO_PROVENANCE", "1")
    model = models.save("m", double, metrics={"a": 1}, data="s3://x/y")
    assert set(model.info.provenance) == {"python", "tiffin", "tools", "metrics", "data"}
    echo_project(repository)
    (repository / "old.py").unlink()
    made = build(repository, lock=False, metrics={"b": 2})
    assert set(made.info.provenance) == {"python", "tiffin", "tools", "metrics"}
    monkeypatch.delenv("TIFFIN_NO_PROVENANCE")
    assert "git" in build(repository, lock=False).info.provenance
    assert "git" not in build(repository, lock=False, provenance=False).info.provenance
    monkeypatch.setenv("TIFFIN_NO_PROVENANCE", "perhaps")
    with pytest.raises(ConfigError, match="'perhaps': use 1 or 0"):
        models.save("m", double)


def test_a_bundlefile_may_name_data_and_metrics(tmp_path: Path) -> None:
    project = echo_project(tmp_path / "project")
    write(
        project, {"bundlefile.yaml": "data: {train: service.py, far: 's3://x/y'}\nmetrics: {accuracy: 0.9}\n"}
    )
    found = build(project, lock=False, data=["dvc:1"], metrics={"speed": 2}).info.provenance
    assert [one.get("uri", one.get("path")) for one in found["data"]] == ["service.py", "s3://x/y", "dvc:1"]
    assert found["metrics"] == {"accuracy": 0.9, "speed": 2}


def test_the_example_is_kept_beside_the_model() -> None:
    rows = np.arange(300.0).reshape(100, 3)
    model = models.save("m", double, example=rows)
    call = read_examples(model.path, model.info)["__call__"]
    assert (call.args[0].shape, call.output.shape) == ((32, 3), (32, 3))
    assert np.array_equal(call.output, rows[:32] * 2)
    plain = models.save("m", double, example=rows, keep_example=False)
    assert (plain.info.examples, plain.info.digest) == ([], model.info.digest)
    assert plain.info.methods == model.info.methods


def test_an_example_that_cannot_be_kept_says_why() -> None:
    model = models.save("m", lambda rows: [object() for _ in rows], example=[1, 2])
    assert model.info.examples == []
    assert "cannot be sent" in model.info.provenance["examples_not_kept"]["__call__"]
    large = models.save("m", double, example=np.zeros((2, 1 << 20)))
    assert "are kept" in large.info.provenance["examples_not_kept"]["__call__"]


def test_the_example_runs_once() -> None:
    calls = []

    class Counting:
        def predict(self, rows: Any) -> Any:
            calls.append(1)
            return rows

    models.save("m", Counting(), example=np.ones((2, 2)), methods=["predict"])
    assert len(calls) == 1


def test_recording_leaves_a_torch_module_as_it_was() -> None:
    """In training its dropout would drop, and its statistics move: the example runs once, in eval mode."""
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(3), torch.nn.Dropout(0.5)).train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    model = models.save("m", module, example=torch.ones(4, 3))
    assert module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    results = replay(model.path)
    assert results
    assert all(result.ok for result in results)


def test_examples_travel_with_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = models.save("m", double, example=np.ones((2, 2)))
    archive = models.export(model.tag, tmp_path / "m.tar")
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "other"))
    copy = models.import_(archive)
    assert read_examples(copy.path, copy.info).keys() == {"__call__", "predict"}


def _notebook(*cells: str, shown: str) -> str:
    outputs = [{"output_type": "stream", "name": "stdout", "text": [shown]}]
    written = [{"cell_type": "code", "source": each, "outputs": outputs, "metadata": {}} for each in cells]
    words = {"cell_type": "markdown", "source": shown, "metadata": {}}
    return json.dumps(
        {"cells": [*written, words], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, indent=1
    )


def test_of_notebooks_the_code_is_kept_and_no_output(repository: Path) -> None:
    write(repository, {"n.ipynb": _notebook("a = 1", "b = 1", shown="private"), "sub/m.ipynb": "no notebook"})
    subprocess.run([*GIT, "add", "."], cwd=repository, check=True)
    subprocess.run([*GIT, "commit", "-qm", "y"], cwd=repository, check=True)
    write(repository, {"n.ipynb": _notebook("a = 1", "b = 2", shown="personal"), "b.py": "b = 2\n"})
    write(repository, {"sub/m.ipynb": "still none", "new.ipynb": _notebook("c = 3", shown="personal")})
    subprocess.run([*GIT, "add", "new.ipynb"], cwd=repository, check=True)
    found = _state(repository)
    assert "n.ipynb" not in found["diff"]
    assert "+b = 2\n" in found["diff"]
    assert found["notebooks"]["n.ipynb"] == (
        "--- a/n.ipynb\n+++ b/n.ipynb\n@@ -1,4 +1,4 @@\n # %%\n a = 1\n # %%\n-b = 1\n+b = 2\n"
    )
    assert "+c = 3\n" in found["notebooks"]["new.ipynb"]
    assert found["left_out"] == {"sub/m.ipynb": "no notebook in Python"}
    assert "person" not in str(found)
    assert "private" not in str(found)
    (repository / "n.ipynb").unlink()
    assert "-b = 1\n" in _state(repository)["notebooks"]["n.ipynb"]
    write(repository, {"n.ipynb": _notebook("a = 1", "b = 1", shown="only outputs differ")})
    assert "n.ipynb" not in _state(repository)["notebooks"]
    for text in (TOKEN, "postgres://me:pa55@db/x"):
        write(repository, {"n.ipynb": _notebook(f"token = '{text}'", shown="")})
        found = _state(repository)
        assert "looks like a secret" in found["left_out"]["n.ipynb"]
        assert text not in str(found)


def test_long_notebooks_leave_room_for_the_rest(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repository, {"a.ipynb": _notebook("a = 1", shown="x")})
    subprocess.run([*GIT, "add", "."], cwd=repository, check=True)
    subprocess.run([*GIT, "commit", "-qm", "y"], cwd=repository, check=True)
    monkeypatch.setattr(git_module, "MAX_READ_BYTES", 4096)
    write(repository, {"a.ipynb": _notebook("a = 2", shown="x" * 10_000), "b.py": "b = 2\n"})
    found = _state(repository)
    assert "+b = 2\n" in found["diff"]
    assert "+a = 2\n" in found["notebooks"]["a.ipynb"]
    monkeypatch.setattr(git_module, "MAX_NOTEBOOK_BYTES", 4096)
    assert _state(repository)["left_out"] == {"a.ipynb": "it has more than 4096 bytes"}


def test_what_the_bundle_leaves_out_is_not_in_the_diff(repository: Path) -> None:
    files = {
        "private.txt": "x\n", "sub/data/rows.csv": "x\n", "nb.ipynb": _notebook("x = 1", shown=""),
        ".bundleignore": "private.*\n*.ipynb\n", "bundlefile.yaml": "exclude: [data/, old.py]\n",
    }  # fmt: skip
    write(repository, {**files, "service.py": SERVICE})
    subprocess.run([*GIT, "add", "."], cwd=repository, check=True)
    subprocess.run([*GIT, "commit", "-qm", "y"], cwd=repository, check=True)
    write(repository, {"private.txt": "HIDDEN\n", "sub/data/rows.csv": "HIDDEN\n", "sub/c.py": "c = 2\n"})
    write(repository, {"nb.ipynb": _notebook("x = 'HIDDEN'", shown="")})
    found = build(repository, lock=False).info.provenance["git"]
    assert "+c = 2\n" in found["diff"]
    assert "notebooks" not in found
    assert found["left_out"] == dict.fromkeys(
        ["nb.ipynb", "private.txt", "sub/data/rows.csv"], "the bundle leaves it out"
    )
    assert "HIDDEN" not in str(found)


@pytest.mark.parametrize("at", [".", "sub"])
def test_models_keep_to_the_patterns_of_the_project_around_them(
    repository: Path, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(repository, {".bundleignore": "c.py\n", "bundlefile.yaml": "include: ['*.py', 'sub/']\n"})
    write(repository, {"sub/c.py": "HIDDEN\n", "sub/d.py": "d = 1\n"})
    subprocess.run([*GIT, "add", "sub/d.py"], cwd=repository, check=True)
    monkeypatch.chdir(repository / at)
    found = models.save("m", max).info.provenance["git"]
    assert "+d = 1\n" in found["diff"]
    assert "HIDDEN" not in str(found)
    for wrong in ("exclude: 7\n", "exclude: ['!']\n"):
        write(repository, {"bundlefile.yaml": wrong})
        found = models.save("m", max).info.provenance["git"]
        assert "diff" not in found, "nobody knows what it would leave out"


def test_a_diff_with_cells_can_be_applied(repository: Path) -> None:
    write(repository, {"n.ipynb": _notebook("a = 1", shown="")})
    subprocess.run([*GIT, "add", "."], cwd=repository, check=True)
    write(repository, {"a.py": "a = 2\n", "b.py": "b = 3"})
    text = diff_text({"git": _state(repository)})
    assert "| +a = 1" in text
    subprocess.run([*GIT, "checkout", "-q", "--", "a.py", "b.py"], cwd=repository, check=True)
    subprocess.run([*GIT, "apply"], cwd=repository, check=True, input=text + "\n", text=True)
    assert (repository / "a.py").read_text() == "a = 2\n"
    assert (repository / "b.py").read_text() == "b = 3"
