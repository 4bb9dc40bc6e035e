#!/usr/bin/env python3
"""Every example of libocfclient(3) compiles without a warning; every function it names is there, and it names all.

    test_man_examples.py PAGE HEADER -- C-COMPILER...
"""
import pathlib
import re
import subprocess
import sys
import tempfile


def main():
    page, header = (pathlib.Path(p) for p in sys.argv[1:3])
    compiler = sys.argv[4:]
    text = page.read_text()
    examples = re.findall(r"^\.EX\n(.*?)^\.EE", text, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 4, f"{len(examples)} examples"
    bad = []
    for i, example in enumerate(examples):
        code = example.replace("\\en", "\\n").replace("\\-", "-")
        assert "\\" not in code.replace("\\n", ""), f"example {i + 1} has something of roff in it:\n{code}"
        with tempfile.TemporaryDirectory() as directory:
            source = pathlib.Path(directory) / "example.c"
            source.write_text(code)
            flags = ["-std=c99", "-Wall", "-Wextra", "-Wno-unused-parameter", "-Werror", "-fsyntax-only"]
            result = subprocess.run([*compiler, *flags, f"-I{header.parent}", str(source)], capture_output=True, text=True)
            if result.returncode:
                bad.append(f"example {i + 1}:\n{result.stderr}")
    code = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.DOTALL)
    declared = {name for name in re.findall(r"\b(ocf_\w+)\s*\(", code) if not name.endswith("_fn")}
    named = set(re.findall(r"\bocf_[a-z_]+\b", text)) - set(re.findall(r"\bstruct (ocf_\w+);", code))
    for prefix in ("ocf_value_set", "ocf_value_get"):
        line = next(line for line in text.splitlines() if line.startswith(f".BR {prefix}_bool "))
        named |= {prefix + suffix for suffix in re.findall(r"(?<=[ \"])_[a-z]+", line)}
    bad += [f"{name}: in the page, but not in the header" for name in sorted(named - declared) if not name.endswith("_")]
    bad += [f"{name}: in the header, but not in the page" for name in sorted(declared - named)]
    print(f"{len(examples)} examples, {len(named)} functions")
    if bad:
        sys.exit("\n".join(bad))


if __name__ == "__main__":
    main()
