"""Signatures: who signed is found out, and nothing that was changed since passes."""

from __future__ import annotations

import io
import json
import os
import shutil
import stat
import tarfile
from pathlib import Path

import msgspec
import pytest
import yaml
from cryptography.hazmat.primitives import serialization as forms
from cryptography.hazmat.primitives.asymmetric import ec
from projects import echo_project

from tiffin.bundler import bundles, signing
from tiffin.bundler.build import build
from tiffin.bundler.image.context import context
from tiffin.bundler.image.dockerfile import render
from tiffin.bundler.image.plan import DOCKERFILE, image_plan
from tiffin.errors import ConfigError, IntegrityError, SignatureError, UnsafeArchiveError, UsageError
from tiffin.runtime.manifest import BUNDLE_FILE, BundleInfo, dump_yaml, load_yaml
from tiffin.runtime.model.replaced import FOLDER
from tiffin.runtime.signatures import SIGNATURES_FILE, key_name, read_keys, read_signatures
from tiffin.runtime.supervisor.subject import look_up
from tiffin.runtime.tag import Tag
from tiffin.runtime.verify import Damage, verify_before_serving


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of echo:v1 and echo:v2 (the same code), v1 signed by a.pem; and b.pem."""
    folder = tmp_path_factory.mktemp("signed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TIFFIN_HOME", str(folder / "home"))
        project = echo_project(folder / "project")
        for version in ("v1", "v2"):
            build(project, version=version, lock=False)
        for name in ("a.pem", "b.pem"):
            signing.new_key(folder / name)
        signing.sign("echo:v1", folder / "a.pem")
    return folder


@pytest.fixture
def here(signed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and the working folder."""
    shutil.copytree(signed, tmp_path, dirs_exist_ok=True)
    monkeypatch.setenv("TIFFIN_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def folder_of(here: Path, version: str = "v1") -> Path:
    return here / "home" / "bundles" / "echo" / version


def test_a_key_is_yours_alone_and_never_overwritten(tmp_path: Path) -> None:
    pair = signing.new_key(tmp_path / "key.pem")
    assert stat.S_IMODE(pair.private.stat().st_mode) == 0o600
    assert pair.public == tmp_path / "key.pub.pem"
    before = pair.private.read_bytes()
    with pytest.raises(UsageError, match="never overwritten"):
        signing.new_key(tmp_path / "key.pem")
    (tmp_path / "other.pub.pem").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"other\.pub\.pem exists"):
        signing.new_key(tmp_path / "other.pem")
    assert (pair.private.read_bytes(), (tmp_path / "other.pem").exists()) == (before, False)
    assert key_name(pair.key).startswith("ed25519:")


def test_an_encrypted_key(here: Path) -> None:
    signing.new_key(here / "c.pem", b"horse")
    assert b"ENCRYPTED" in (here / "c.pem").read_bytes()
    with pytest.raises(ConfigError, match="passphrase is needed"):
        signing.sign("echo:v1", here / "c.pem")
    with pytest.raises(ConfigError, match="passphrase is wrong"):
        signing.sign("echo:v1", here / "c.pem", ask=lambda: "cow")
    signing.sign("echo:v1", here / "c.pem", ask=lambda: "horse")
    assert signing.check_signed("echo:v1", [here / "c.pub.pem"])


def test_several_signatures_one_a_key(here: Path) -> None:
    signing.sign("echo:v1", here / "b.pem")
    signing.sign("echo:v1", here / "b.pem")
    assert len(signing.signatures_of("echo:v1")) == 2
    both = [here / "a.pub.pem", here / "b.pub.pem"]
    assert signing.check_signed("echo:v1", both[1:]).key == signing.signatures_of("echo:v1")[1].key
    with pytest.raises(SignatureError, match="nobody signed it"):
        signing.check_signed("echo:v2", both)
    (here / "both.pem").write_bytes(b"".join(path.read_bytes() for path in both))
    assert len(read_keys([here / "both.pem"])) == 2
    assert bundles.verify("echo:v1") == []


def test_the_wrong_key(here: Path) -> None:
    signer = key_name(signing.signatures_of("echo:v1")[0].key)
    with pytest.raises(SignatureError, match=rf"is not signed by ed25519:\w+, but by {signer}"):
        signing.check_signed("echo:v1", [here / "b.pub.pem"])


def test_a_signature_of_another_bundle(here: Path) -> None:
    """v2 has the same digest: name and version are signed too."""
    assert bundles.get("echo:v1").info.digest == bundles.get("echo:v2").info.digest
    shutil.copy(folder_of(here) / SIGNATURES_FILE, folder_of(here, "v2"))
    with pytest.raises(SignatureError, match="does not fit"):
        signing.check_signed("echo:v2", [here / "a.pub.pem"])
    with pytest.raises(SignatureError, match="does not fit"):
        verify_before_serving(folder_of(here, "v2"), signed_by=[str(here / "a.pub.pem")])


def test_whoever_changes_the_manifest_with_all_its_digests(here: Path) -> None:
    folder = folder_of(here)
    info = load_yaml(folder / BUNDLE_FILE, BundleInfo)
    info.labels["team"] = "mallory"
    (folder / BUNDLE_FILE).chmod(0o644)
    (folder / BUNDLE_FILE).write_text(dump_yaml(info))
    assert bundles.verify("echo:v1") == []  # nothing but the signature tells
    with pytest.raises(SignatureError, match="does not fit"):
        verify_before_serving(folder, signed_by=[str(here / "a.pub.pem")])


def test_the_key_in_the_file_proves_nothing(here: Path) -> None:
    """Mallory signs with b and writes that it was a."""
    signing.sign("echo:v2", here / "b.pem")
    path = folder_of(here, "v2") / SIGNATURES_FILE
    found = json.loads(path.read_text())
    found["signatures"][0]["key"] = signing.signatures_of("echo:v1")[0].key
    path.chmod(0o644)
    path.write_text(json.dumps(found))
    with pytest.raises(SignatureError, match="does not fit"):
        signing.check_signed("echo:v2", [here / "a.pub.pem"])


@pytest.mark.parametrize("edit", [b"", b"{", b"[]", b'{"format": 2, "signatures": []}', b"x" * 300_000])
def test_a_damaged_file_of_signatures(here: Path, edit: bytes) -> None:
    path = folder_of(here) / SIGNATURES_FILE
    path.chmod(0o644)
    path.write_bytes(edit)
    assert bundles.verify("echo:v1") == [Damage(SIGNATURES_FILE, "changed")]
    with pytest.raises(IntegrityError, match=r"signatures\.json"):
        verify_before_serving(folder_of(here), signed_by=[str(here / "a.pub.pem")])


def test_cut_short_and_no_base64(here: Path) -> None:
    path = folder_of(here) / SIGNATURES_FILE
    path.chmod(0o644)
    whole = json.loads(path.read_text())
    for signature in (whole["signatures"][0]["signature"][:40], "?", "", "A" * 88):
        whole["signatures"][0]["signature"] = signature
        path.write_text(json.dumps(whole))
        with pytest.raises(SignatureError, match="does not fit"):
            signing.check_signed("echo:v1", [here / "a.pub.pem"])


def test_a_link_in_its_place(here: Path) -> None:
    path = folder_of(here) / SIGNATURES_FILE
    path.rename(here / "elsewhere.json")
    path.symlink_to(here / "elsewhere.json")
    assert bundles.verify("echo:v1") == [Damage(SIGNATURES_FILE, "changed")]
    with pytest.raises(IntegrityError, match="is a link"):
        signing.check_signed("echo:v1", [here / "a.pub.pem"])
    with pytest.raises(IntegrityError, match="is a link"):
        bundles.export("echo:v1", here / "out.tar")


def test_a_changed_file_is_not_signed_and_not_served(here: Path) -> None:
    source = folder_of(here) / "src" / "service.py"
    source.chmod(0o644)
    source.write_text(source.read_text() + "\n# changed\n")
    with pytest.raises(IntegrityError, match="nothing was signed"):
        signing.sign("echo:v1", here / "b.pem")
    assert len(read_signatures(folder_of(here))) == 1
    with pytest.raises(IntegrityError, match=r"src/service\.py: changed"):
        verify_before_serving(folder_of(here), signed_by=[str(here / "a.pub.pem")])


def test_it_travels_with_the_bundle(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = bundles.export("echo:v1", here / "echo.tar")
    with tarfile.open(archive) as tar:
        assert tar.getnames()[:2] == [BUNDLE_FILE, SIGNATURES_FILE]
    unsigned = bundles.export("echo:v2", here / "echo2.tar")
    monkeypatch.setenv("TIFFIN_HOME", str(here / "other"))
    bundles.import_(archive)
    bundles.import_(unsigned)
    assert signing.check_signed("echo:v1", ["a.pub.pem"])
    assert bundles.verify("echo:v1") == []
    assert signing.signatures_of("echo:v2") == []


def test_what_was_signed_later_comes_with_a_second_import(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bundles.export("echo:v2", here / "unsigned.tar")
    signing.sign("echo:v2", here / "a.pem")
    second = bundles.export("echo:v2", here / "signed.tar.gz")
    monkeypatch.setenv("TIFFIN_HOME", str(here / "other"))
    bundles.import_(first)
    bundles.import_(second)
    assert signing.check_signed("echo:v2", ["a.pub.pem"])


def _archive(path: Path, folder: Path, members: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file = folder / "one"
            file.write_bytes(data)
            with file.open("rb") as opened:
                tar.addfile(info, opened)
    return path


@pytest.mark.parametrize("signatures", [[b"{"], [b"x" * 2_000_000], [b"{}", b"{}"]])
def test_hostile_signatures_in_an_archive(
    here: Path, monkeypatch: pytest.MonkeyPatch, signatures: list[bytes]
) -> None:
    folder = folder_of(here)
    info = bundles.get("echo:v1").info
    members = [(BUNDLE_FILE, (folder / BUNDLE_FILE).read_bytes())]
    members += [(SIGNATURES_FILE, data) for data in signatures]
    members += [(file.path, (folder / file.path).read_bytes()) for file in info.files]
    archive = _archive(here / "bad.tar", here, members)
    monkeypatch.setenv("TIFFIN_HOME", str(here / "other"))
    with pytest.raises((IntegrityError, UnsafeArchiveError)):
        bundles.import_(archive)
    assert bundles.tags() == []


def test_a_manifest_that_names_the_file_of_signatures(here: Path) -> None:
    path = folder_of(here) / BUNDLE_FILE
    raw = yaml.safe_load(path.read_text())
    raw["files"].append({"path": SIGNATURES_FILE, "size_bytes": 0, "sha256": "0" * 64})
    path.chmod(0o644)
    path.write_text(yaml.safe_dump(raw))
    with pytest.raises(IntegrityError, match=r"signatures\.json is among its files"):
        bundles.get("echo:v1")


def test_keys_that_are_none(here: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    (here / "ec.pem").write_bytes(
        other.private_bytes(forms.Encoding.PEM, forms.PrivateFormat.PKCS8, forms.NoEncryption())
    )
    (here / "ec.pub.pem").write_bytes(
        other.public_key().public_bytes(forms.Encoding.PEM, forms.PublicFormat.SubjectPublicKeyInfo)
    )
    (here / "no.pem").write_text("hello")
    (here / "cut.pem").write_bytes((here / "a.pub.pem").read_bytes()[:60])
    for name, what in (
        ("ec.pub.pem", "signed with Ed25519"),
        ("a.pem", "holds a private key"),
        ("no.pem", "no public key"),
        ("cut.pem", "no public key"),
        ("missing.pem", "cannot read"),
    ):
        with pytest.raises(ConfigError, match=what):
            read_keys([here / name])
    for name, what in (("ec.pem", "signed with Ed25519"), ("a.pub.pem", "no private key")):
        with pytest.raises(ConfigError, match=what):
            signing.sign("echo:v1", here / name)


def test_the_policy_of_a_server(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = (str(here / "a.pub.pem"),)
    assert look_up("echo:v1", here, signed_by=key).title == "echo:v1"
    with pytest.raises(SignatureError, match="nobody signed it"):
        look_up("echo:v2", here, signed_by=key)
    with pytest.raises(ConfigError, match="project is none"):
        look_up("project", here, signed_by=key)
    (here / "models").mkdir()
    monkeypatch.setenv(FOLDER, str(here / "models"))
    assert look_up("echo:v1", here, signed_by=key)
    shutil.copytree(_model(here), here / "models" / "echo")
    with pytest.raises(ConfigError, match="in place of what was signed"):
        look_up("echo:v1", here, signed_by=key)


def _model(here: Path) -> Path:
    from tiffin.bundler import models

    return models.save("echo", len, methods=["__call__"], example=([1],)).path


def test_signatures_are_in_the_image(here: Path) -> None:
    """The Dockerfile, which was written before anybody signed, copies them when they are there."""
    for tag, signed in (("echo:v1", True), ("echo:v2", False)):
        bundle = bundles.get(tag)
        own = (bundle.path / DOCKERFILE).read_text()
        assert " signatures.jso[n] /bundle/" in own
        assert render(image_plan(bundle)) == own
        for link in (True, False):
            plan = image_plan(bundle, link=link, arranged=True)
            with tarfile.open(fileobj=io.BytesIO(b"".join(context(bundle, layers=plan.layers)))) as tar:
                found = [name for name in tar.getnames() if name.endswith(SIGNATURES_FILE)]
            place = plan.late[-1].place
            assert found == ([f"{place}/bundle/{SIGNATURES_FILE}" if place else SIGNATURES_FILE] * signed)


def test_too_many_signatures(here: Path) -> None:
    """What nobody could read is neither written, nor carried along, nor cut."""
    before = (folder_of(here) / SIGNATURES_FILE).read_bytes()
    (one,) = read_signatures(folder_of(here))
    many = [msgspec.structs.replace(one, key=f"{number:044}") for number in range(2000)]
    with pytest.raises(SignatureError, match=r"2001 signatures have \d+ bytes, .* nothing was added"):
        signing.add_signatures(Tag("echo", "v1"), many)
    assert (folder_of(here) / SIGNATURES_FILE).read_bytes() == before
    (folder_of(here) / SIGNATURES_FILE).chmod(0o644)
    (folder_of(here) / SIGNATURES_FILE).write_bytes(before + b" " * 1_100_000)
    with pytest.raises(IntegrityError, match="more than 1048576 bytes"):
        bundles.export("echo:v1", here / "out.tar")
    assert not (here / "out.tar").exists()
    with pytest.raises(IntegrityError, match="more than 262144 bytes"):
        list(context(bundles.get("echo:v1")))


def test_a_full_store_keeps_the_signatures_it_had(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = (folder_of(here) / SIGNATURES_FILE).read_bytes()

    def fail(_: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(Exception, match="nothing was changed"):
        signing.add_signatures(Tag("echo", "v1"), read_signatures(folder_of(here)))
    assert (folder_of(here) / SIGNATURES_FILE).read_bytes() == before
