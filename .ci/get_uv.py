"""Install uv into a directory of the checkout, for a machine that has Python and nothing else.

Usage: `python3 get_uv.py DIRECTORY`, which then holds `bin/uv`. Three ways are tried, as distributions leave out
different parts of Python: a virtual environment, this interpreter's own pip, and pip as a wheel from the package index.
pip's settings (files and `PIP_*`) decide which index that is; the wheel is fetched from `PIP_INDEX_URL` or PyPI.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from urllib.parse import urljoin

WHEEL = re.compile(r'<a href="([^"#]+)#sha256=(\w+)"[^>]*>\s*(pip-([\d.]+)-py3-none-any\.whl)')
"""A link to a wheel of pip on an index's page: address, digest, name, version."""


def succeeds(*command: str | Path) -> bool:
    """Run a command; its output is shown only where it fails."""
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout)
    return done.returncode == 0


def by_environment(directory: Path) -> bool:
    """Install uv into a virtual environment; Debian's Python comes without the part that makes one."""
    return succeeds(sys.executable, "-m", "venv", directory) and succeeds(
        directory / "bin" / "pip", "install", "--quiet", "uv"
    )


def by_own_pip(directory: Path) -> bool:
    """Install uv with the pip of this interpreter."""
    return succeeds(sys.executable, "-m", "pip", "install", "--quiet", "--target", directory, "uv")


def by_pip_wheel(directory: Path) -> bool:
    """Install uv with a pip that is run out of its wheel."""
    index = os.environ.get("PIP_INDEX_URL", "https://pypi.org/simple").rstrip("/") + "/pip/"
    request = urllib.request.Request(index, headers={"Accept": "text/html"})  # noqa: S310  (the user's own index)
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
        links = WHEEL.findall(answer.read().decode())
    if not links:
        sys.stderr.write(f"{index} lists no pip.\n")
        return False
    address, digest, name, _ = max(links, key=lambda link: [int(part) for part in link[3].split(".")])
    with urllib.request.urlopen(urljoin(index, address), timeout=60) as answer:  # noqa: S310
        wheel = answer.read()
    if hashlib.sha256(wheel).hexdigest() != digest:
        sys.stderr.write(f"{name} is not the file that {index} describes.\n")
        return False
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, name)
        path.write_bytes(wheel)
        return succeeds(sys.executable, path / "pip", "install", "--quiet", "--target", directory, "uv")


def main() -> int:
    """Try each way in turn."""
    directory = Path(sys.argv[1])
    for way in (by_environment, by_own_pip, by_pip_wheel):
        shutil.rmtree(directory, ignore_errors=True)
        try:
            if way(directory):
                return 0
        except OSError as error:
            sys.stderr.write(f"{error}\n")
    sys.stderr.write(
        "error: uv could not be installed.\nnext: install it (https://docs.astral.sh/uv/), then run again.\n"
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
