"""Where the second emulator is found, and what may go wrong while fetching it."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from tests.support.fetch_dynoxide import UnavailableError, fetch, install, verify
from tests.support.stores import Choice

if TYPE_CHECKING:
    from pathlib import Path


def program(path: Path, script: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    path = tmp_path / "package.tgz"
    content = b"#!/bin/sh\n"
    member = tarfile.TarInfo("package/dynoxide")
    member.size = len(content)
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(member, io.BytesIO(content))
    return path


def test_the_named_binary_comes_before_the_one_on_the_path(tmp_path: Path) -> None:
    on_path, named = program(tmp_path / "bin" / "dynoxide"), program(tmp_path / "mine")
    environ = {"PATH": str(on_path.parent)}
    assert Choice.of(environ).dynoxide == on_path
    assert Choice.of({**environ, "MIGRATOR_TEST_DYNOXIDE": str(named)}).dynoxide == named


def test_the_binary_is_installed_executable(tmp_path: Path, tarball: Path) -> None:
    destination = tmp_path / "cache" / "dynoxide"
    install(tarball, destination)
    assert os.access(destination, os.X_OK)
    assert [path.name for path in destination.parent.iterdir()] == ["dynoxide"]


def test_a_damaged_download_is_refused(tarball: Path) -> None:
    digest = hashlib.sha512(tarball.read_bytes()).digest()
    verify(tarball, f"sha512-{base64.b64encode(digest).decode()}")
    tarball.write_bytes(tarball.read_bytes()[:-1])
    with pytest.raises(UnavailableError, match="checksum"):
        verify(tarball, f"sha512-{base64.b64encode(digest).decode()}")


def test_without_npm_the_emulator_is_not_available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UnavailableError, match="npm is not installed"):
        fetch(tmp_path / "dynoxide")


def test_without_a_registry_npm_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path / "npm", "echo 'npm error network' >&2; exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(UnavailableError, match="npm error network"):
        fetch(tmp_path / "dynoxide")
    assert not (tmp_path / "dynoxide").exists()
