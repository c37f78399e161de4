"""A virtual environment for each system, so that none has to live with another's requirements."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from pathlib import Path

from .peers import ROOT, Peer

HOME = ROOT / ".backie" / "bench"
STAMP = "made-by-bench.json"


class NotInstalled(Exception):
    """pip could not install a system."""


def python_of(peer: Peer) -> Path:
    """Return the interpreter of a system's environment."""
    return HOME / peer.name / "bin" / "python"


def ensure(peer: Peer) -> None:
    """Install a system unless it is there, on the Python that runs us.

    Raises:
        NotInstalled: with the last words of pip.
    """
    stamp, wanted = HOME / peer.name / STAMP, json.dumps(_fingerprint(peer))
    if stamp.exists() and stamp.read_text() == wanted and python_of(peer).exists():
        return
    print(f"Installing {peer.name} into {stamp.parent.relative_to(ROOT)}", file=sys.stderr)
    stamp.unlink(missing_ok=True)
    _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(stamp.parent)])
    pip = [sys.executable, "-m", "pip", "--python", str(python_of(peer)), "--disable-pip-version-check"]
    _run([*pip, "install", "--quiet", "--no-input", *peer.requirements])
    stamp.write_text(wanted)


def _fingerprint(peer: Peer) -> list[object]:
    ours = any(name.startswith("--editable") for name in peer.requirements)
    project = (ROOT / "pyproject.toml").read_text() if ours else ""
    return [sys.version, sysconfig.get_platform(), *peer.requirements, project]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise NotInstalled((done.stderr or done.stdout).strip()[-2000:])
