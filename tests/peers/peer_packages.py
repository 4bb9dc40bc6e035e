#!/usr/bin/env python3
"""Gets what the peers are made of, once, into folders beside the build and never into the source tree.

    peer_packages.py npm|aiocoap|go        prints the folder

Default: $OCFD_PEERS_DIR, else ~/.cache/ocfd-tests. Everything is pinned: package.json, AIOCOAP below, go/go.sum.
"""
import fcntl
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
import npm_packages

AIOCOAP = "aiocoap==0.4.17"
SECONDS = 900  # a first build of go-coap takes minutes on a slow machine


def cache():
    return pathlib.Path(os.environ.get("OCFD_PEERS_DIR") or pathlib.Path.home() / ".cache/ocfd-tests")


def run(command, **more):
    """Return: None; or why not."""
    if not shutil.which(command[0]):
        return f"{command[0]} is not installed"
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, stdin=subprocess.DEVNULL, **more)
    except subprocess.TimeoutExpired:
        return f"{' '.join(command[:3])} took longer than {SECONDS} s"
    lines = result.stderr.strip().splitlines() or ["without a word"]
    return f"{' '.join(command[:3])} failed: {lines[-1]}" if result.returncode else None


def once(name, wanted, make):
    """Calls make(folder) unless it was done before for the same things. Return: the folder and None; or None and why not."""
    folder = cache() / name
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "done"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and done.read_text() == wanted:
            return folder, None
        done.unlink(missing_ok=True)
        why = make(folder)
        if why:
            return None, why
        done.write_text(wanted)
    return folder, None


def aiocoap():
    def make(folder):
        return run([sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--upgrade", "--target", str(folder), AIOCOAP])

    return once("aiocoap", f"{AIOCOAP} for {sys.version}", make)


def go():
    sources = sorted((HERE / "go").iterdir())

    def make(folder):
        go = shutil.which("go") or "go"
        return run([go, "build", "-buildvcs=false", "-o", str(folder / "peer_go"), "."], cwd=HERE / "go", env={**os.environ, "GOFLAGS": "-mod=readonly", "GOTOOLCHAIN": "local"})

    return once("go", hashlib.sha256(b"".join(s.read_bytes() for s in sources)).hexdigest(), make)


def npm():
    return npm_packages.fetch(os.environ.get("OCFD_NPM_DIR") or None)


def fetch(name):
    """Return: the folder, and None; or None and why not."""
    return {"npm": npm, "aiocoap": aiocoap, "go": go}[name]()


if __name__ == "__main__":
    folder, why = fetch(sys.argv[1])
    if why:
        sys.exit(why)
    print(folder)
