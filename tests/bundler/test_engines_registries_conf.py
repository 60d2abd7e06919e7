"""Which registries podman's and buildah's settings let speak plain HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiffin.bundler.engines.registries_conf import speaks_plain_http

CONF = """
[[registry]]
location = "127.0.0.1:5000"
insecure = true

[[registry]]
prefix = "mirror.example/team"
location = "elsewhere.example"
insecure = true

[[registry]]
location = "mirror.example/team/closed"

[[registry]]
prefix = "*.inside.example"
insecure = true
"""


@pytest.mark.parametrize(
    ("image", "plain"),
    [
        ("127.0.0.1:5000/iris:1", True),
        ("127.0.0.1:50001/iris:1", False),
        ("127.0.0.1/iris:1", False),
        ("mirror.example/team/iris:1", True),
        ("mirror.example/teams/iris:1", False),
        ("mirror.example/team/closed/iris:1", False),
        ("a.inside.example:5000/iris", True),
        ("inside.example/iris", False),
        ("docker.io/library/iris", False),
    ],
)
def test_what_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, image: str, plain: bool) -> None:
    (tmp_path / "registries.conf").write_text(CONF)
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    assert speaks_plain_http(image) is plain


def test_users_file_and_those_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "containers"
    (folder / "registries.conf.d").mkdir(parents=True)
    monkeypatch.delenv("CONTAINERS_REGISTRIES_CONF", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (folder / "registries.conf").write_text(CONF)
    assert speaks_plain_http("127.0.0.1:5000/iris:1")
    (folder / "registries.conf.d" / "1.conf").write_text(
        '[[registry]]\nlocation = "127.0.0.1:5000"\ninsecure = false\n'
    )
    assert not speaks_plain_http("127.0.0.1:5000/iris:1")
    (folder / "registries.conf").write_text("[[registry]\n")  # the engine itself says what is wrong there
    assert not speaks_plain_http("mirror.example/team/iris:1")
