#!/usr/bin/env python3
"""Fetches the packages of package.json with npm into a folder, once.

    npm_packages.py [FOLDER]        default: $OCFD_NPM_DIR, else ~/.cache/ocfd-tests/npm
"""
import fcntl
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def fetch(folder=None):
    """Return: the folder that has node_modules, and None; or None and why not."""
    folder = pathlib.Path(folder or os.environ.get("OCFD_NPM_DIR") or pathlib.Path.home() / ".cache/ocfd-tests/npm")
    folder.mkdir(parents=True, exist_ok=True)
    wanted = (HERE / "package.json").read_text()
    done = folder / "done"
    with open(folder / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if done.exists() and done.read_text() == wanted:
            return folder, None
        if not shutil.which("npm"):
            return None, "npm is not installed"
        (folder / "package.json").write_text(wanted)
        command = ["npm", "install", "--omit=optional", "--ignore-scripts", "--no-audit", "--no-fund", "--no-progress", "--fetch-timeout=30000", "--fetch-retries=2"]
        try:
            result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return None, "npm install took longer than 240 s"
        if result.returncode:
            lines = [line for line in result.stderr.splitlines() if "npm ERR!" in line or "npm error" in line]
            return None, (lines or ["npm install failed"])[0]
        done.write_text(wanted)
    return folder, None


if __name__ == "__main__":
    folder, why = fetch(*sys.argv[1:2])
    if why:
        sys.exit(why)
    print(folder)
