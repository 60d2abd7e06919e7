from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from tiffin.bundler import models
from tiffin.cli.main import root
from tiffin.runtime.manifest import MODEL_FILE
from tiffin.runtime.model.model import Model


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def score(rows: Any) -> Any:
    return np.zeros((len(rows), 2))


@pytest.fixture
def model(home: Path) -> Model:
    return models.save(
        "score",
        score,
        example=np.zeros((2, 4)),
        classes=["good", "bad"],
        labels={"team": "botany"},
        metadata={"accuracy": 0.97},
    )


def bundle(*arguments: str, fails: int = 0) -> Result:
    result = CliRunner().invoke(root, ["models", *arguments])
    assert result.exit_code == fails, result.output
    return result


def test_list_of_nothing() -> None:
    assert "no models yet" in bundle("list").stderr
    assert json.loads(bundle("list", "--json").stdout) == []


def test_list(model: Model) -> None:
    other = models.save("other", len)
    text = bundle("list").stdout
    assert text.splitlines()[0].split() == ["TAG", "FRAMEWORK", "SIZE", "CREATED", "(UTC)", "LABELS"]
    assert str(model.tag) in text and str(other.tag) in text and "team=botany" in text
    rows = json.loads(bundle("list", "score", "--json").stdout)
    assert [row["tag"] for row in rows] == [str(model.tag)]
    assert rows[0]["framework"] == "cloudpickle"
    assert rows[0]["pickled"] is True


def test_list_survives_a_damaged_model(model: Model) -> None:
    damaged = models.save("other", len)
    (damaged.path / MODEL_FILE).unlink()
    (damaged.path / MODEL_FILE).write_text("not: a: manifest")
    text = bundle("list").stdout
    assert str(model.tag) in text
    assert f"{damaged.tag}" in text and "damaged" in text


def test_list_while_another_deletes(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = models.list()
    models.delete(model.tag)
    monkeypatch.setattr(models, "list", lambda name: seen)
    assert json.loads(bundle("list", "--json").stdout) == []


def test_show(model: Model) -> None:
    text = bundle("show", "score").stdout
    for part in (
        "pickled",
        "a worker",
        "predict()",
        "rows: float64[n, 4] → float64[n, 2]",
        "2: good, bad",
        "botany",
        "0.97",
        model.info.digest,
    ):
        assert part in text
    shown = json.loads(bundle("show", str(model.tag), "--json").stdout)
    assert shown["tag"] == str(model.tag)
    assert shown["memory"] == {"shared_bytes": 0, "worker_bytes": model.info.size_bytes}
    assert shown["info"]["classes"] == ["good", "bad"]
    assert shown["info"]["methods"]["predict"]["inputs"]["rows"]["shape"] == ["n", 4]


def test_what_does_not_exist_exits_1_and_a_bad_tag_2(model: Model) -> None:
    assert "did you mean 'score'" in bundle("show", "scor", fails=1).stderr
    assert "bad name '../x'" in bundle("show", "../x", fails=2).stderr
    assert "did you mean 'list'" in bundle("lits", fails=2).stderr


def test_delete_asks(model: Model) -> None:
    other = models.save("other", len)
    assert "add --yes" in bundle("delete", "score", fails=2).stderr
    assert len(models.list()) == 2
    # Nothing goes when one of them does not exist.
    bundle("delete", "score", "nothing", "--yes", fails=1)
    assert len(models.list()) == 2
    result = bundle("delete", "score", "other", "score:latest", "--yes", "--json")
    assert json.loads(result.stdout) == {"deleted": [str(model.tag), str(other.tag)]}
    assert models.list() == []


def test_export_and_import(model: Model, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = json.loads(bundle("export", "score", "--json").stdout)
    path = home / written["path"]
    assert path.name == f"score-{model.tag.version}.tar"
    assert path.stat().st_size == written["size_bytes"]
    assert "Exported" in bundle("export", "score", str(home / "score.tar.gz")).stdout
    monkeypatch.setenv("TIFFIN_HOME", str(home / "second"))
    assert json.loads(bundle("import", "score.tar.gz", "--json").stdout)["tag"] == str(model.tag)
    models.get("score").verify()
    assert "Imported" in bundle("import", str(path)).stdout  # the same again is no error


def test_a_hostile_file_is_refused(home: Path) -> None:
    (home / "bad.tar").write_bytes(b"not an archive" * 100)
    assert "error:" in bundle("import", "bad.tar", fails=1).stderr
    assert "No such file" in bundle("import", "missing.tar", fails=1).stderr
    assert models.list() == []


def test_tags_complete(model: Model) -> None:
    from tiffin.cli.tags import ModelTag

    items = ModelTag().shell_complete(None, None, "sco")  # type: ignore[arg-type]
    assert [item.value for item in items] == [str(model.tag)]
