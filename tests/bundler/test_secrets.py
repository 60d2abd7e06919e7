from __future__ import annotations

from pathlib import Path

import pytest
from projects import write

from tiffin.bundler.secrets_scan import find_secrets, refuse_secrets, secret_in
from tiffin.bundler.snapshot import SourceFile, list_sources
from tiffin.errors import SecretFoundError

BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n" * 3


def pem(kind: str) -> str:
    # Put together here, so that this file is none itself.
    return f"-----BEGIN {kind}PRIVATE " + f"KEY-----\n{BODY}-----END {kind}PRIVATE " + "KEY-----\n"


def sources(folder: Path, files: dict[str, str | bytes]) -> list[SourceFile]:
    return list_sources(write(folder, files))


@pytest.mark.parametrize(
    "name",
    [
        ".env", ".env.production", "conf/.env.local", "prod.env", ".envrc", ".ENV",
        "id_rsa", "keys/id_ed25519", "a.p12", "a.pfx", "a.jks", "a.kdbx",
        ".netrc", ".pypirc", ".git-credentials", ".pgpass", ".htpasswd", "kubeconfig",
        "home/.aws/credentials", ".docker/config.json", ".kube/config", ".ssh/config", ".ssh/my_key",
        "gcloud/application_default_credentials.json",
    ],
)  # fmt: skip
def test_names(tmp_path: Path, name: str) -> None:
    assert [found.path for found in find_secrets(sources(tmp_path, {name: "x", "service.py": "x"}))] == [name]


@pytest.mark.parametrize(
    "name",
    [".env.example", ".env.template", "conf/.env.sample", "id_rsa.pub", ".ssh/id_rsa.pub", "environment.py",
     "aws/credentials", "config.json", "monkey.py", "a.env.example"],
)  # fmt: skip
def test_names_that_only_sound_alike(tmp_path: Path, name: str) -> None:
    assert find_secrets(sources(tmp_path, {name: "nothing"})) == []


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (pem(""), "private key"),
        (pem("RSA "), "private key"),
        (pem("OPENSSH "), "private key"),
        (pem("ENCRYPTED "), "private key"),
        (pem("EC ").replace("\n", "\r\n"), "private key"),
        (pem("RSA ").replace("-----\n", "-----\nProc-Type: 4,ENCRYPTED\n\n", 1), "private key"),
        ('{"type": "service_account", "private_key": "' + pem("") + '"}', "service account key"),
        ("key = '" + pem("").replace("\n", "\\n") + "'", "private key"),
        ("id: AKIA" + "Z7Q2XW5T" * 2, "AWS access key"),
        ("aws_secret_access_key = " + "aB3+" * 10, "AWS secret key"),
        ("AWS_SECRET_ACCESS_KEY='" + "aB3/" * 10 + "'", "AWS secret key"),
        ('{"SecretAccessKey": "x", "awsSecretAccessKey": "' + "aB3/" * 10 + '"}', "AWS secret key"),
        ("token = 'ghp_" + "a1B2" * 9 + "'", "GitHub token"),
        ("github_pat_" + "a" * 22 + "_" + "b" * 59, "GitHub token"),
        ("glpat-" + "a1B2c" * 4, "GitLab token"),
        ("xoxb-" + "1234567890-abcdefghij", "Slack token"),
        ("sk_live_" + "a1B2" * 6, "Stripe key"),
        ("hf_" + "aBcDeFgHiJ" * 3 + "kLmN", "Hugging Face token"),
        ("AIza" + "a1B2c" * 7, "Google API key"),
        ("npm_" + "a1B2" * 9, "npm token"),
        ("//registry.npmjs.org/:_authToken=" + "0a1b2c3d-" * 4, "npm token"),
        ("# pip install -i https://me:" + "hunter2@example.org/simple numpy", "password in an address"),
        ("pypi-AgE" + "Ab1_" * 20, "PyPI token"),
        ("users:\n- user:\n    client-key-data: " + "LS0t" * 12, "Kubernetes credentials"),
    ],
)  # fmt: skip
def test_content(tmp_path: Path, text: str, what: str) -> None:
    files = sources(tmp_path, {"notes.txt": f"# some text\n{text}\n", "service.py": "x = 1"})
    assert find_secrets(files) == [("notes.txt", what)]


@pytest.mark.parametrize(
    "text",
    [
        "if b'-----BEGIN " + "PRIVATE KEY-----' in data: raise",
        "-----BEGIN PUBLIC KEY-----\n" + BODY,
        "-----BEGIN CERTIFICATE-----\n" + BODY,
        "AKIA" + "IOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "sha1 = 'ghp_short'",
        "aws_secret_access_key = os.environ['AWS_SECRET_ACCESS_KEY']",
        "https://user:password@example.org and https://" + "me:${PASSWORD}@example.org",
        "f'https://{user}:{password}@example.org'",
        "http://localhost:3000/@me",
        "task-" + "a" * 60,
    ],
)
def test_content_that_only_looks_alike(tmp_path: Path, text: str) -> None:
    assert find_secrets(sources(tmp_path, {"notes.txt": text})) == []


def test_binary_files_and_far_ends_are_not_read(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "weights.bin": b"\0" * 10 + pem("").encode(),
        "long.txt": b"x" * (1 << 20) + pem("").encode(),
        "near.txt": b"x" * 900_000 + pem("").encode(),
    }
    assert [found.path for found in find_secrets(sources(tmp_path, files))] == ["near.txt"]


def test_the_message_says_how_to_go_on_and_does_not_show_the_secret(tmp_path: Path) -> None:
    token = "ghp_" + "a1B2" * 9
    files = sources(tmp_path, {".env": "A=1", "conf/a [1].txt": token, "service.py": "x"})
    with pytest.raises(SecretFoundError) as caught:
        refuse_secrets(files)
    message = str(caught.value)
    assert "\n  .env: environment file\n" in message
    assert "\n  conf/a [1].txt: GitHub token\n" in message
    assert token not in message
    assert r'exclude: ["/.env", "/conf/a\\ \\[1\\].txt"]' in message
    assert 'allow_secrets: [".env", "conf/a [1].txt"]' in message
    refuse_secrets(files, allow=[".env", "conf/a [1].txt"])
    with pytest.raises(SecretFoundError, match=r"a \[1\]\.txt"):
        refuse_secrets(files, allow=[".env"])
    # The proposed patterns leave out exactly these files.
    kept = list_sources(tmp_path, exclude=["/.env", r"/conf/a\ \[1\].txt"])
    assert [file.path for file in kept] == ["service.py"]
    refuse_secrets(kept)


def test_text_that_begins_like_a_key_again_and_again() -> None:
    """Read in time that grows with its length, not with the square."""
    assert secret_in("", b"sk-" * 300_000) is None
