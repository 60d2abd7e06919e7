"""BentoML projects as users have them, written for these tests."""

from __future__ import annotations

NEW_BENTOFILE = """\
service: "service:Summary"
description: "file: ./NOTES.md"
labels:
  owner: ml-team
include:
  - "*.py"
exclude:
  - "tests/"
python:
  packages:
    - bentoml>=1.2
    - numpy
    - "git+https://example.com/someone/mylib.git@main"
  index_url: "https://mirror.example/simple"
  extra_index_url:
    - "https://user:word@private.example/simple"
  lock_packages: true
  trusted_host: mirror.example
docker:
  distro: debian
  python_version: "3.11"
  cuda_version: "12.1.1"
  system_packages:
    - libgl1
  setup_script: ./setup.sh
  base_image: "not an image"
envs:
  - name: MODE
    value: fast
  - name: HF_TOKEN
models:
  - tag: iris_clf:v1
    filter: "label:x"
conda:
  dependencies: [h2o]
args: 3
"""
NEW_SERVICE = '''"""Sums up."""
from __future__ import annotations

import typing as t
from pathlib import Path

import bentoml
import numpy as np
from bentoml.validators import DType, Shape

MOST = 8
image = bentoml.images.Image(python_version="3.11").python_packages("pandas").system_packages("git").run("x")


@bentoml.service(
    name="iris_summary",
    image=image,
    resources={"cpu": "2", "gpu": 1},
    traffic={"timeout": 60, "max_concurrency": 50, "external_queue": True},
    workers=2,
    http={"port": 5000, "cors": {"enabled": True, "access_control_allow_origins": ["http://a.example"]}},
    threads=SOME,
)
class Summary:
    """Names flowers.

    More of it.
    """

    def __init__(self) -> None:
        # a comment that stays
        self.reference = bentoml.models.get("iris_clf")
        self.model = bentoml.sklearn.load_model("iris_clf:latest")

    @bentoml.api(batchable=True, batch_dim=(1, 0), max_batch_size=32, max_latency_ms=1000)
    def classify(self, flowers: np.ndarray) -> t.List[int]:
        """Class of each flower."""
        return self.model.predict(flowers).tolist()

    @bentoml.api(route="hello")
    def greet(self, ctx: bentoml.Context, name: str = "you") -> str:
        return f"hello {name}"

    @bentoml.api
    def count(self, file: Path, x) -> int:
        return 1

    @bentoml.api(batchable=True, max_batch_size=MOST)
    def sums(self, rows: t.Annotated[np.ndarray, DType("float32"), Shape((-1, 4))]) -> np.ndarray:
        return rows.sum(axis=1)

    @bentoml.on_shutdown
    def bye(self):
        print("bye")
'''
STREAMING_SERVICE = """\
import bentoml


@bentoml.service(workers="cpu_count", traffic={"timeout": 5})
class Words:
    other = bentoml.depends(None)

    @bentoml.api
    async def talk(self, text: str) -> str:
        return text

    @bentoml.task
    def slow(self, text: str) -> str:
        return text
"""
OLD_SERVICE = '''\
import bentoml
import numpy as np
from bentoml.io import JSON, Image, Multipart, NumpyNdarray, PandasDataFrame, Text

reference = bentoml.sklearn.get("iris_clf:latest")
forest = reference.to_runner(max_batch_size=50, method_configs={})


class Upper(bentoml.Runnable):
    SUPPORTED_RESOURCES = ("cpu",)

    def __init__(self, tail="!"):
        self.tail = tail

    @bentoml.Runnable.method(batchable=True, batch_dim=0)
    def up(self, texts):
        return [text.upper() + self.tail for text in texts]


upper = bentoml.Runner(Upper, name="upper", max_latency_ms=500, runnable_init_params={"tail": "?"})
svc = bentoml.Service("iris_classifier", runners=[forest, upper])


@svc.api(input=NumpyNdarray(dtype="float32", shape=(-1, 4)), output=NumpyNdarray())
def classify(flowers: np.ndarray) -> np.ndarray:
    """Class of each flower."""
    # a comment that stays
    result = forest.predict.run(flowers)
    return result


@svc.api(input=Text(), output=JSON(), route="shout")
async def shout(text):
    first = (await upper.up.async_run([text]))[0]
    return {"first": first, "second": upper.up.run([text])[0]}


@svc.api(input=Multipart(table=PandasDataFrame(orient="records"), picture=Image()), output=JSON())
def mixed(table, picture):
    return [forest.run(row) for row in table]


@svc.on_startup
def begin(ctx):
    pass


svc.mount_asgi_app(None)
'''
OLD_BENTOFILE = """\
service: "service.py:svc"
labels: {owner: me}
python:
  requirements_txt: ./requirements.txt
docker:
  env:
    - MODE=fast
"""
PYPROJECT = """\
[project]
name = "words"
dependencies = ["polars>=1"]

[tool.bentoml.build]
service = "words:Words"
description = "Says words."

[tool.bentoml.build.python]
packages = ["numpy"]

[tool.bentoml.build.docker]
distro = "ubi8"
"""
