#!/usr/bin/env python3
"""What the protocol room wants from outside: functions of memory and strings and libcbor's streaming functions, nothing else.

    protocol_symbols.py ARCHIVE BASE_ARCHIVE

Linking alone does not show this, since every program links with all of libc: here the names are read. Of the base
room exactly those objects count that the protocol room uses.
"""
import re
import subprocess
import sys

ALLOWED = re.compile(
    r"(mem(cpy|cmp|set|move|chr)|strlen|strcmp|bcmp"
    r"|__(memcpy|memset|memmove)_chk"
    r"|cbor_encode_\w+|cbor_stream_decode|cbor_empty_callbacks"
    r"|__stack_chk_fail|_GLOBAL_OFFSET_TABLE_"
    r"|__(asan|ubsan|sanitizer|gcov|llvm)_\w+)$"
)


def read_symbols(archive):
    """Of each object file of the archive: what it defines, what it wants."""
    listing = subprocess.run(["nm", "-P", archive], capture_output=True, text=True, check=True).stdout
    objects = {}
    current = None
    for line in listing.splitlines():
        if line.endswith("]:"):
            current = objects.setdefault(line[line.rindex("[") + 1 : -2], (set(), set()))
            continue
        name, kind = line.split()[:2]
        if kind in "Uwv":
            current[1].add(name)
        elif kind.isupper():
            current[0].add(name)
    return objects


def wanted_from_outside(room, base):
    defined = set().union(*(d for d, _ in room.values()))
    wanted = set().union(*(w for _, w in room.values())) - defined
    providers = {name: obj for obj, (d, _) in base.items() for name in d}
    used = set()
    while True:
        more = {providers[name] for name in wanted if name in providers} - used
        if not more:
            return wanted - set(providers), used
        used |= more
        wanted |= set().union(*(base[obj][1] for obj in more))


def self_test():
    for name in ("malloc", "time", "clock_gettime", "socket", "printf", "getenv", "cbor_load", "cbor_decref", "memcpyx"):
        if ALLOWED.match(name):
            sys.exit(f"{name} is let through: this test could not fail")
    outside, used = wanted_from_outside({"a": ({"a"}, {"b", "memcpy"})}, {"o": ({"b"}, {"malloc"}), "p": ({"c"}, {"x"})})
    if outside != {"memcpy", "malloc"} or used != {"o"}:
        sys.exit("what an object of the base room wants is not seen")


def main():
    self_test()
    room, base = read_symbols(sys.argv[1]), read_symbols(sys.argv[2])
    if not room or not base:
        sys.exit("an archive is empty")
    outside, used = wanted_from_outside(room, base)
    bad = sorted(name for name in outside if not ALLOWED.match(name))
    if bad:
        for obj, (_, wants) in sorted(room.items()):
            for name in sorted(wants & set(bad)):
                print(f"{obj} wants {name}")
        sys.exit("the protocol room reaches out: " + ", ".join(bad))
    print(f"{len(room)} objects want only: {', '.join(sorted(name for name in outside if not name.startswith('_')))}")


if __name__ == "__main__":
    main()
