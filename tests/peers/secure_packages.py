#!/usr/bin/env python3
"""Gets or makes the secure peers, once, into folders beside the build: see peer_packages.py, whose folders they share.

    secure_packages.py go        prints the program
"""
import hashlib
import os
import pathlib
import shutil
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
from peer_packages import once, run


def go():
    """Return: the onboarding tool of secure_go/, and None; or None and why not."""
    source = HERE / "secure_go"
    wanted = hashlib.sha256(b"".join(s.read_bytes() for s in sorted(source.iterdir()))).hexdigest()

    def make(folder):
        go = shutil.which("go") or "go"
        env = {**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"}
        return run([go, "build", "-buildvcs=false", "-o", str(folder / "secure_go"), "."], cwd=source, env=env)

    folder, why = once("secure-go", wanted, make)
    return (folder / "secure_go", None) if folder else (None, why)


if __name__ == "__main__":
    program, why = {"go": go}[sys.argv[1]]()
    sys.exit(why) if why else print(program)
