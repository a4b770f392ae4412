"""Fetches the second DynamoDB emulator, dynoxide, from the npm registry into `.migrator/` of the checkout.

Run by `make test` as a script of its own. Exit code 0 where the binary is there afterwards, 1 where it cannot be had.
"""

from __future__ import annotations

import base64
import hashlib
import json
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

CACHED = Path(__file__).resolve().parents[2] / ".migrator" / "dynoxide"
_VERSION = "1.2.1"
_SECONDS = 120
_PACKAGES = {
    ("Linux", "x86_64"): "linux-x64",
    ("Linux", "aarch64"): "linux-arm64",
    ("Darwin", "x86_64"): "darwin-x64",
    ("Darwin", "arm64"): "darwin-arm64",
}


class UnavailableError(Exception):
    """The binary cannot be had here, and why."""


def main() -> int:
    if CACHED.exists():
        return 0
    try:
        fetch(CACHED)
    except UnavailableError as error:
        sys.stderr.write(f"dynoxide is not available: {error}\n")
        return 1
    return 0


def fetch(destination: Path) -> None:
    """Write the binary of this platform to `destination`.

    Raises:
        UnavailableError: there is no npm, no package for this platform, no registry, or the download is damaged.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise UnavailableError("npm is not installed")
    package = _PACKAGES.get((platform.system(), platform.machine()))
    if package is None:
        raise UnavailableError(f"there is no binary for {platform.system()} on {platform.machine()}")
    with tempfile.TemporaryDirectory(prefix="migrator-npm-") as directory:
        install(_pack(npm, f"@dynoxide/{package}@{_VERSION}", directory), destination)


def install(tarball: Path, destination: Path) -> None:
    """Take the binary out of npm's `tarball`."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    partial = destination.with_suffix(".partial")
    with tarfile.open(tarball) as archive:
        binary = archive.extractfile("package/dynoxide")
        if binary is None:
            raise UnavailableError("npm's package holds no binary")
        partial.write_bytes(binary.read())
    partial.chmod(0o755)
    partial.replace(destination)


def verify(tarball: Path, integrity: str) -> None:
    """Compare a file with a checksum as npm writes it: the algorithm, a dash, the digest in base64."""
    algorithm, _, expected = integrity.partition("-")
    digest = base64.b64encode(hashlib.new(algorithm, tarball.read_bytes()).digest()).decode()
    if digest != expected:
        raise UnavailableError("the download differs from npm's checksum of it")


def _pack(npm: str, package: str, directory: str) -> Path:
    command = [npm, "pack", "--json", "--pack-destination", directory, package]
    try:
        packed = subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").splitlines() or [f"npm ended with code {error.returncode}"]
        raise UnavailableError(lines[-1]) from error
    except subprocess.TimeoutExpired as error:
        raise UnavailableError(f"npm gave no answer within {_SECONDS} s") from error
    described = json.loads(packed.stdout)[0]
    tarball = Path(directory, described["filename"])
    verify(tarball, described["integrity"])
    return tarball


if __name__ == "__main__":
    sys.exit(main())
