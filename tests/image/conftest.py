"""What tests with a container engine share: `make test-image` runs them, `make test` skips them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from built_image import Built, Make
from registry import Registry, running_registry
from stand_ins import CannotStandInError, images_of, stand_in, wheel_folders

import tiffin
from tiffin.bundler import bundles
from tiffin.bundler.containerize import containerize, dockerfile_of
from tiffin.bundler.engines.choose import choose
from tiffin.errors import NoEngineError

VARIABLE = "TIFFIN_TEST_ENGINES"
EXAMPLES = Path(__file__).parents[2] / "examples"
# One more route, for requests that are under way when the server is told to stop.
SLOW = """
    @tiffin.api
    async def slow(self, seconds: float) -> str:
        import asyncio

        await asyncio.sleep(seconds)
        return "done"
"""
TESTED = ("docker", "podman", "buildah")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.engine)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def engines() -> list[str]:
    asked = os.environ.get(VARIABLE, "")
    if not asked:
        pytest.skip(f"no container engine was asked for: make test-image, or {VARIABLE}='docker buildah'")
    return asked.split()


@pytest.fixture(scope="session", params=TESTED)
def engine(request: pytest.FixtureRequest, engines: list[str]) -> str:
    return usable(request.param, engines)


@pytest.fixture(scope="session")
def docker(engines: list[str]) -> str:
    return usable("docker", engines)


def usable(name: str, engines: list[str]) -> str:
    if name not in engines:
        pytest.skip(f"{name} is not among {VARIABLE}={' '.join(engines)}")
    try:
        choose(name)
    except NoEngineError as error:
        pytest.skip(str(error))
    if name == "buildah" and shutil.which("podman") is None:
        pytest.skip("podman is not installed, which runs what buildah builds")
    return name


@pytest.fixture(scope="module")
def registry(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Empty at first; what one test pushed, with all that it is built on, the next need not push again."""
    with (
        running_registry(tmp_path_factory.mktemp("registry")) as running,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("CONTAINERS_REGISTRIES_CONF", str(running.conf))
        yield running


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store of its own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("home")
        patch.setenv("TIFFIN_HOME", str(folder))
        # Locks name files of the index, and of the folder of wheels that the stand-ins have, too.
        patch.setenv("UV_FIND_LINKS", ",".join(wheel_folders()))
        yield folder


@pytest.fixture(scope="session")
def iris(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project of the example, trained, with a slow route."""
    folder = tmp_path_factory.mktemp("iris") / "project"
    shutil.copytree(EXAMPLES / "iris_sklearn", folder)
    subprocess.run([sys.executable, "train.py"], cwd=folder, check=True)
    with (folder / "service.py").open("a") as service:
        service.write(SLOW)
    return folder


@pytest.fixture(scope="session")
def iris_bundle(iris: Path) -> bundles.Bundle:
    return tiffin.build(iris, lock=True)


@pytest.fixture(scope="session")
def make(home: Path) -> Iterator[Make]:
    """Builds an image; its name is removed at the end."""
    made: list[Built] = []

    def build(engine: str, bundle: bundles.Bundle, **options: object) -> Built:
        steps: list[str] = []
        try:
            wanted = {name: str(options[name]) for name in ("base", "cuda") if name in options}
            stand_in(engine, images_of(dockerfile_of(bundle, **wanted)))
        except CannotStandInError as error:
            pytest.skip(f"there are no images to build on: {error}")
        image = containerize(
            bundle,
            engine=engine,
            network="host",
            on_progress=lambda text, done, total: steps.append(text),
            **options,  # type: ignore[arg-type]
        )
        made.append(Built(engine, image, steps))
        return made[-1]

    yield build
    for each in made:
        remove = ["rmi"] if each.engine == "buildah" else ["image", "rm"]
        subprocess.run([each.engine, *remove, "--force", *each.image.tags], check=False, capture_output=True)


@pytest.fixture(scope="session")
def iris_image(make: Make, engine: str, iris_bundle: bundles.Bundle) -> Built:
    return make(engine, iris_bundle)
