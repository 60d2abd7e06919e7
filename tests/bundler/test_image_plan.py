"""From a built bundle to its Dockerfile, labels and warnings."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import msgspec
import pytest
from dockerfiles import CPU, bundle_info, lint
from projects import adder_project, echo_project, write

import tiffin
from tiffin.bundler import bundles
from tiffin.bundler.image import plan as plan_module
from tiffin.bundler.image.base import Base
from tiffin.bundler.image.context import context
from tiffin.bundler.image.dockerfile import IGNORED, render
from tiffin.bundler.image.plan import (
    DOCKERFILE,
    EPOCH,
    IGNORE_FILE,
    TEMPLATE_FILE,
    image_plan,
    plan_of,
)
from tiffin.bundler.python.indexes import CONFIG_FILE
from tiffin.bundler.python.lockfile import LOCK_FILE, REQUIREMENTS_FILE
from tiffin.errors import BuildError, ConfigError, SecretFoundError
from tiffin.runtime.service.image_options import ImageOptions

HASHED = f"numpy==2.1.0 \\\n    --hash=sha256:{'ab' * 32}\n"


@pytest.fixture(autouse=True)
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What the plan asks of the tables of bases."""
    asked: list[dict[str, object]] = []

    def resolve(options: ImageOptions, **facts: object) -> Base:
        asked.append({"options": options, **facts})
        return CPU

    monkeypatch.setattr(plan_module, "resolve_base", resolve)
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    return asked


def build(folder: Path, **options: object) -> bundles.Bundle:
    return tiffin.build(folder, **{"lock": False, **options})  # type: ignore[arg-type]


def test_a_bundle_carries_its_dockerfile(tmp_path: Path) -> None:
    made = build(adder_project(tmp_path / "project"))
    text = (made.path / DOCKERFILE).read_text()
    assert text == render(image_plan(made))
    assert (made.path / IGNORE_FILE).read_text() == IGNORED
    copied = [each.rest for each in lint(text) if each.name == "COPY"]
    model = tiffin.models.get("adder").tag
    assert f"models/adder/{model.version}/ /bundle/models/adder/{model.version}/" in copied
    # Whatever is in the bundle must reach the image, or the server refuses it.
    sources = [source for rest in copied for source in rest.split()[:-1]]
    for path in [entry.path for entry in made.info.files] + ["bundle.yaml"]:
        assert path in sources or any(path.startswith(each) for each in sources if each.endswith("/")), path
    # And to the engine.
    kept = {line[1:] for line in IGNORED.splitlines() if line.startswith("!")}
    assert {entry.path.partition("/")[0] for entry in made.info.files} | {"bundle.yaml"} <= kept


@pytest.mark.parametrize("link", [True, False])
def test_an_engine_that_gets_an_arranged_context(tmp_path: Path, link: bool) -> None:
    made = build(adder_project(tmp_path / "project"))
    found = image_plan(made, link=link, arranged=True)
    steps = [each for each in lint(render(found)) if each.name in {"COPY", "WORKDIR"}]
    with tarfile.open(fileobj=io.BytesIO(b"".join(context(made, dockerfile="", layers=found.layers)))) as tar:
        names = {member.name for member in tar}
        inside = {member.name for member in tar if member.isreg()} - {"Dockerfile"}
    copied = [each for each in steps if each.name != "WORKDIR" and "from" not in dict(each.flags)]
    sources = {source.rstrip("/*") for each in copied for source in each.rest.split()[:-1]}
    assert sources <= names
    # All that lies there is copied, files from one place and empty folders from the other.
    assert {"/".join(name.split("/")[:2]) for name in names if name.startswith("layers/")} <= sources
    assert not [name for name in inside if ".empty/" in name]
    # A change of the code or a model runs again what comes after: the model's step, and one for the rest.
    *_, working_folder, model, rest = steps
    assert (len(found.models), len(found.late)) == (1, 1)
    for step, layer in zip((model, rest), (*found.models, *found.late), strict=True):
        assert step.rest == f"{layer.place}/ {layer.place}.empty/* /"
        assert ("link" in dict(step.flags)) == link
    assert working_folder.name == "WORKDIR"
    # Dated as the context says, and not by the clock.
    assert f"{found.early[0].place}{working_folder.rest}" in names
    # Once each: what two layers had would be there twice.
    files = [name for name in inside if "/bundle/" in name]
    assert inside == set(files)
    assert sorted(name.split("/bundle/", 1)[1] for name in files) == sorted(
        [*(entry.path for entry in made.info.files), "bundle.yaml"]
    )


def test_what_the_base_is_chosen_by(asked: list[dict[str, object]]) -> None:
    options = ImageOptions(cuda="auto")
    texts = {LOCK_FILE: HASHED, REQUIREMENTS_FILE: "numpy\n"}
    found = plan_of(bundle_info(), texts, options=options)
    assert asked == [
        {
            "options": options,
            "python": "3.11",
            "packages": {"numpy": "2.1.0"},
            "platform": "linux/amd64",
            "gpus": 0,
        }
    ]
    assert (found.locked, found.hashed, found.requirements) == (True, True, LOCK_FILE)
    assert (found.wheel, found.tiffin) == ("env/python/wheels/tiffin-0.1.0-py3-none-any.whl", "0.1.0")
    plan_of(bundle_info(platform="darwin-arm64"), texts, options=options)
    plan_of(bundle_info(), texts, options=options, platform="linux/arm64")
    assert [each["platform"] for each in asked[1:]] == ["linux/arm64", "linux/arm64"]


def test_another_platform_than_that_of_the_lock() -> None:
    for platform, warned in (("", 0), ("linux/amd64", 0), ("linux/arm64", 1)):
        found = plan_of(bundle_info(), {LOCK_FILE: HASHED}, options=ImageOptions(), platform=platform)
        assert len(found.warnings) == warned


def test_labels_change_with_each_build_and_the_dockerfile_does_not(tmp_path: Path) -> None:
    folder = echo_project(tmp_path / "project", **{"bundlefile.yaml": "description: Says it.\n"})
    one = build(folder, version="v1", labels={"team": "x", "tiffin.digest": "mine"})
    two = build(folder, version="v2", name="other")
    assert (one.path / DOCKERFILE).read_bytes() == (two.path / DOCKERFILE).read_bytes()
    labels = image_plan(one).labels
    assert labels["tiffin.digest"] == one.info.digest
    assert labels["tiffin.bundle"] == "echo:v1"
    assert labels["team"] == "x"
    assert labels["org.opencontainers.image.version"] == "v1"
    assert labels["org.opencontainers.image.description"] == "Says it."
    assert image_plan(two).labels["org.opencontainers.image.title"] == "other"
    info = bundle_info(provenance={"git": {"commit": "abc", "dirty": False}})
    found = plan_of(info, {LOCK_FILE: HASHED}, options=ImageOptions())
    assert found.labels["org.opencontainers.image.revision"] == "abc"


def test_without_a_lock_it_says_so() -> None:
    info = bundle_info(options={"locked": False, "unlocked_because": "no index"})
    found = plan_of(info, {REQUIREMENTS_FILE: "numpy>=2\n"}, options=ImageOptions())
    assert (found.locked, found.requirements) == (False, REQUIREMENTS_FILE)
    assert "not locked (no index)" in found.warnings[0]
    text = render(found)
    assert "# NOT LOCKED" in text
    assert "--require-hashes requirements" not in text
    assert "uv pip install -r requirements.in" in text


def test_what_comes_from_a_repository_has_no_hash() -> None:
    lock = HASHED + "mine @ git+https://example.com/mine@0123456789\n"
    found = plan_of(bundle_info(), {LOCK_FILE: lock}, options=ImageOptions())
    assert (found.locked, found.hashed, found.builder_packages) == (True, False, ["git"])
    assert found.warnings == ["mine: from a repository, so without a hash to check; the others have theirs"]
    stages = render(found).split("\nFROM ")
    assert "install --no-install-recommends git" in stages[1]
    assert "install --no-install-recommends" not in stages[-1]


def test_source_date_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    def args() -> dict[str, str]:
        return plan_of(bundle_info(), {LOCK_FILE: HASHED}, options=ImageOptions()).build_args

    assert args() == {"SOURCE_DATE_EPOCH": str(EPOCH)}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    assert args() == {"SOURCE_DATE_EPOCH": "1700000000"}
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(ConfigError, match="SOURCE_DATE_EPOCH='yesterday'"):
        args()


def test_a_bundle_without_a_wheel() -> None:
    files = [entry for entry in bundle_info().files if not entry.path.endswith(".whl")]
    with pytest.raises(BuildError, match="build it again"):
        plan_of(bundle_info(files=files), {LOCK_FILE: HASHED}, options=ImageOptions())


OWN = '{% extends "Dockerfile.j2" %}\n{% block setup %}\nRUN echo hello\n{% endblock %}\n'
WISHES = "image: {dockerfile_template: docker/mine.j2}\nexclude: [docker]\n"


def test_a_template_of_the_projects_own(tmp_path: Path) -> None:
    folder = echo_project(tmp_path / "p", **{"bundlefile.yaml": WISHES, "docker/mine.j2": OWN})
    made = build(folder)
    assert "RUN echo hello\n" in (made.path / DOCKERFILE).read_text()
    assert (made.path / TEMPLATE_FILE).read_text() == OWN
    assert render(image_plan(made)) == (made.path / DOCKERFILE).read_text()


@pytest.mark.parametrize(
    ("template", "says"),
    [
        ("{% extends 'Dockerfile.j2' %}\n{% block setup %}", r"endblock.*\(line 2\)"),
        ("{{ nothing }}", "'nothing' is undefined"),
        ("{{ ''.__class__.__mro__ }}", "unsafe"),
        ("{% extends '../pages/page.html' %}", "page.html"),
        ("{% extends 'mine.j2' %}", "mine.j2"),
        ("{% for each in range(10 ** 9) %}{% endfor %}", "too big"),
    ],
)
def test_a_wrong_template(tmp_path: Path, template: str, says: str) -> None:
    folder = echo_project(tmp_path / "p", **{"bundlefile.yaml": WISHES, "docker/mine.j2": template})
    with pytest.raises(ConfigError, match=f"image.dockerfile_template: (?s:.*){says}"):
        build(folder)


def test_no_template_and_one_with_a_secret(tmp_path: Path) -> None:
    folder = echo_project(tmp_path / "p", **{"bundlefile.yaml": WISHES})
    with pytest.raises(ConfigError, match=r"there is no file .*docker/mine\.j2"):
        build(folder)
    write(folder, {"docker/mine.j2": f"RUN echo AKIA{'Q' * 16}\n"})
    with pytest.raises(SecretFoundError, match=r"docker/mine\.j2"):
        build(folder)


def test_wheels_of_the_bundle_and_named_indexes() -> None:
    """What no index has is installed from the bundle; user and password come as build secrets."""
    own = "env/python/wheels/my_lib-1.0-py3-none-any.whl"
    info = bundle_info()
    info.files = [*info.files, msgspec.structs.replace(info.files[0], path=own)]
    info.files.sort(key=lambda entry: entry.path)
    index = "--extra-index-url https://corp.example/simple\n"
    lock = f"{index}my-lib @ ./wheels/x-1.0-py3-none-any.whl --hash=sha256:{'ab' * 32}\n"
    config = '[[index]]\nname = "corp-ml"\nurl = "https://corp.example/simple"\n'
    found = plan_of(info, {LOCK_FILE: lock, CONFIG_FILE: config}, options=ImageOptions())
    assert found.wheel == "env/python/wheels/tiffin-0.1.0-py3-none-any.whl"
    assert found.local_wheels == [own]
    assert found.credentials == ["UV_INDEX_CORP_ML_USERNAME", "UV_INDEX_CORP_ML_PASSWORD"]
    text = render(found)
    stage = text.partition("AS dependencies\n")[2].partition("\nFROM ")[0]
    assert f"COPY {own} wheels/\n" in stage
    assert "COPY env/python/uv.toml ./\n" in stage
    assert "uv pip sync --require-hashes --index-strategy unsafe-best-match requirements.lock" in stage
    for name in found.credentials:
        assert f"--mount=type=secret,id={name} \\\n" in stage
        assert text.count(f"id={name}") == 1
    lint(text)
    placed = render(plan_module._placed(found))
    assert "/bundle/env/python/uv.toml ./" in placed
    assert f"/bundle/{own} wheels/" in placed
    plain = render(plan_of(bundle_info(), {LOCK_FILE: HASHED}, options=ImageOptions()))
    assert "unsafe-best-match" not in plain
    assert "UV_INDEX_" not in plain
