#!/usr/bin/env python3
"""A room's archive, whole and alone, links with what the room may use and nothing else.

    link_alone.py ARCHIVE [--with ARCHIVE...] [--libs -lNAME...] [--forbid ARCHIVE] -- COMPILER...

An archive that is only ever linked into the program proves nothing: the linker takes what it needs, from wherever it
is. Here every member of it must find each symbol it wants among the rooms and libraries given.
--forbid is for the test of this test: that archive is left out, and the link must then fail.
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile


def link(compiler, archive, rooms, libs):
    with tempfile.TemporaryDirectory() as directory:
        main = pathlib.Path(directory, "main.c")
        main.write_text("int main(void) {\n        return 0;\n}\n")
        command = [*compiler, str(main), "-o", f"{directory}/alone", "-Wl,--no-undefined"]
        command += ["-Wl,--whole-archive", archive, "-Wl,--no-whole-archive"]
        command += ["-Wl,--start-group", *rooms, "-Wl,--end-group", *libs]
        return subprocess.run(command, capture_output=True, text=True)


def main():
    split = sys.argv.index("--")
    compiler = sys.argv[split + 1 :]
    parser = argparse.ArgumentParser()
    parser.add_argument("archive")
    parser.add_argument("--with", dest="rooms", nargs="*", default=[])
    parser.add_argument("--libs", default="")
    parser.add_argument("--forbid")
    options = parser.parse_args(sys.argv[1:split])
    members = subprocess.run(["ar", "t", options.archive], capture_output=True, text=True, check=True).stdout.split()
    if not members:
        sys.exit(f"{options.archive} is empty")
    rooms = [room for room in options.rooms if room != options.forbid]
    result = link(compiler, options.archive, rooms, options.libs.split())
    if options.forbid:
        if result.returncode == 0:
            sys.exit(f"{options.archive} links without {options.forbid}: this test could not fail")
        return
    if result.returncode:
        print(result.stdout + result.stderr)
        sys.exit(f"{options.archive} wants more than its room may use")


if __name__ == "__main__":
    main()
