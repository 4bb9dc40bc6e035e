#!/usr/bin/env python3
"""The face of the library: exactly the map is exported, exactly the header is in the map, and the header stands alone.

    test_exports.py LIBRARY MAP HEADER -- C-COMPILER...
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile


def main():
    library, map_file, header = sys.argv[1:4]
    compiler = sys.argv[5:]
    exported = set()
    for line in subprocess.run(["nm", "-D", "--defined-only", library], check=True, capture_output=True, text=True).stdout.splitlines():
        name, _, version = line.split()[-1].partition("@")
        if version or not name.startswith("LIBOCFCLIENT"):
            exported.add(name)
    exported = {name for name in exported if not name.startswith("LIBOCFCLIENT_")}
    text = pathlib.Path(map_file).read_text()
    in_map = set(re.findall(r"^\s+(\w+);", text[: text.index("local:")], re.MULTILINE))
    code = re.sub(r"/\*.*?\*/", "", pathlib.Path(header).read_text(), flags=re.DOTALL)
    declared = {name for name in re.findall(r"\b(ocf_\w+)\s*\(", code) if not name.endswith("_fn")}
    assert len(in_map) > 20, in_map
    bad = [f"{name}: exported, but not in the map" for name in sorted(exported - in_map)]
    bad += [f"{name}: in the map, but not exported" for name in sorted(in_map - exported)]
    bad += [f"{name}: in the header, but not in the map" for name in sorted(declared - in_map)]
    bad += [f"{name}: in the map, but not in the header" for name in sorted(in_map - declared)]
    soname = subprocess.run(["readelf", "-d", library], check=True, capture_output=True, text=True).stdout
    if "[libocfclient.so.0]" not in soname:
        bad.append("the soname is not libocfclient.so.0")

    languages = {"c": ["-std=c99", "-Wstrict-prototypes"], "c++": ["-std=c++11"]}
    for language, flags in languages.items():
        if language == "c++" and not shutil.which("g++") and "clang" not in compiler[0]:
            print("there is no C++ compiler: not tried")
            continue
        with tempfile.TemporaryDirectory() as directory:
            source = pathlib.Path(directory) / "alone"
            source.write_text("#include <ocfclient.h>\n#include <ocfclient.h>\nint main(void) { return (int)ocf_value_count(0); }\n")
            command = [*compiler, "-x", language, *flags, "-pedantic", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{pathlib.Path(header).parent}", str(source)]
            result = subprocess.run(command, capture_output=True, text=True)
            if result.returncode:
                bad.append(f"the header alone does not compile as {language}:\n{result.stderr}")
    print(f"{len(exported)} functions")
    if bad:
        sys.exit("\n".join(bad))


if __name__ == "__main__":
    main()
