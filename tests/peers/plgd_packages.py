#!/usr/bin/env python3
"""Gets plgd's device library by its name and builds plgd_client/ with it, and the library's own example of a server, once,
into a folder beside the build: see peer_packages.py.

    plgd_packages.py        prints the folder

The registry of Go modules that is asked does not give this module to everyone: some refuse it. Who only has its source sets
GOFLAGS=-modfile=FILE, a copy of plgd_client/go.mod with a `replace` of his own, and go.sum beside it.
"""
import hashlib
import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from peer_packages import once, run

MODULE = "github.com/plgd-dev/device/v2"


class Absent(Exception):
    """The library is not to be had here."""


def plgd():
    """Return: the folder with plgd_client and bridge-device, and None; or None and why they could not be built."""
    source = HERE / "plgd_client"
    flags = f"{os.environ.get('GOFLAGS', '')} -mod=readonly".strip()
    env = {**os.environ, "GOFLAGS": flags, "GOTOOLCHAIN": "local"}
    wanted = hashlib.sha256(b"".join(s.read_bytes() for s in sorted(source.iterdir())) + flags.encode()).hexdigest()
    go = shutil.which("go") or "go"

    def make(folder):
        why = run([go, "mod", "download", MODULE], cwd=source, env=env)
        if why:
            raise Absent(why)
        build = [go, "build", "-buildvcs=false", "-o"]
        return run([*build, str(folder / "plgd_client"), "."], cwd=source, env=env) or run([*build, str(folder / "bridge-device"), f"{MODULE}/cmd/bridge-device"], cwd=source, env=env)

    return once("plgd", wanted, make)


if __name__ == "__main__":
    folder, why = plgd()
    sys.exit(why) if why else print(folder)
