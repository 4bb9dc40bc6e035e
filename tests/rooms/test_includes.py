#!/usr/bin/env python3
"""What each room includes, against what it may (HACKING.md, the map of rooms).

    test_includes.py SOURCE_ROOT
"""
import pathlib
import re
import sys

SOCKETS = r"sys/socket\.h|netinet/.*|arpa/.*|net/.*|netdb\.h|sys/un\.h|ifaddrs\.h|linux/.*|libmnl/.*|poll\.h|sys/epoll\.h|sys/eventfd\.h"
CLOCK = r"time\.h|sys/time\.h|sys/timerfd\.h"
LOOP = r"uv\.h|uv/.*|pthread\.h|threads\.h"
BUS = r"systemd/.*"
CRYPTO = r"openssl/.*"
STORE = r"sqlite3\.h|ini\.h|fcntl\.h|sys/stat\.h"
HEAP = r"stdlib\.h|malloc\.h|alloca\.h"
LOG = r"syslog\.h"
DAEMON = "|".join([SOCKETS, LOOP, CRYPTO, STORE])
CORE = "|".join([SOCKETS, CLOCK, LOOP, BUS, CRYPTO, STORE, LOG, r"unistd\.h", r"jansson\.h"])

# Folder: what it may include with quotes (a regular expression of paths below src, or of its own folder), and which
# system headers it may not.
ROOMS = {
    "src/base": (r"base/.*", "|".join([SOCKETS, CLOCK, LOOP, BUS, CRYPTO, STORE, LOG, r"cbor\.h"])),
    "src/protocol": (r"(base|protocol)/.*", CORE + "|" + HEAP),
    "src/model": (r"(base|protocol|model)/.*", CORE + "|" + HEAP),
    "src/json": (r"(base|json)/.*|protocol/rep.*\.h", "|".join([SOCKETS, CLOCK, LOOP, BUS, CRYPTO, STORE, LOG])),
    "src/security": (r"(base|protocol|model|security)/.*", "|".join([SOCKETS, CLOCK, LOOP, BUS, STORE, LOG])),
    # Descriptors come over the bus and are kept from closing (fcntl.h); what is in them is the daemon's business.
    "src/dbus": (r"(base|protocol|model|dbus)/.*", DAEMON.replace(r"|fcntl\.h", "")),
    "src/daemon": (r"(base|protocol|model|json|security|dbus|daemon)/.*", r"$^"),
    # The client's side of the bus: spans, representations, and the bus's mapping of values; nothing of the daemon.
    # It watches its bus and its timer behind one descriptor.
    "lib/libocfclient": (r"(base|json)/.*|protocol/(rep|fault|coap_code).*\.h|dbus/(value|channel_packet)\.h|(libocfclient/)?[a-z_]+\.h", DAEMON.replace(r"|sys/epoll\.h", "").replace(r"sys/socket\.h|", "").replace(r"|fcntl\.h", "")),
    # It opens the files that backups go to and come from, and looks up the names of hosts, which takes its time.
    "tools/ocfctl": (r"(base|json)/.*|protocol/(rep|fault|coap_code).*\.h|dbus/value\.h|(libocfclient/|ocfctl/)?[a-z_]+\.h", DAEMON.replace(r"|poll\.h", "").replace(r"|fcntl\.h", "").replace(r"|netdb\.h", "")),
}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def wrong_includes(room, text):
    """Pairs of an include and what is wrong with it."""
    may, may_not = ROOMS[room]
    for mark, name in INCLUDE.findall(text):
        if mark == '"' and not re.fullmatch(may, name):
            yield name, "belongs to a room that this one does not see"
        elif mark == "<" and re.fullmatch(may_not, name):
            yield name, "is something this room has never heard of"


def self_test():
    """The table can say no."""
    samples = [
        ("src/protocol", "#include <time.h>\n"),
        ("src/protocol", "#include <stdlib.h>\n"),
        ("src/protocol", '# include "model/model.h"\n'),
        ("src/model", "#include <sys/socket.h>\n"),
        ("src/model", '#include "dbus/control.h"\n'),
        ("src/dbus", "#include <uv.h>\n"),
        ("src/dbus", '#include "security/access.h"\n'),
        ("src/security", "#include <systemd/sd-bus.h>\n"),
        ("src/security", "#include <sys/time.h>\n"),
        ("src/base", '#include "protocol/rep.h"\n'),
        ("lib/libocfclient", '#include "model/model.h"\n'),
        ("tools/ocfctl", '#include "daemon/config.h"\n'),
    ]
    for room, text in samples:
        if not list(wrong_includes(room, text)):
            sys.exit(f"the table lets {text.strip()} into {room}")


def main():
    self_test()
    root = pathlib.Path(sys.argv[1])
    n_files = 0
    bad = []
    for room in ROOMS:
        for path in sorted((root / room).rglob("*.[ch]")):
            n_files += 1
            bad += [f"{path.relative_to(root)}: {name} {why}" for name, why in wrong_includes(room, path.read_text())]
    unknown = [str(p.relative_to(root)) for p in (root / "src").iterdir() if p.is_dir() and f"src/{p.name}" not in ROOMS]
    bad += [f"{name}: a room that the table does not know" for name in unknown]
    print(f"{n_files} files read")
    if bad or not n_files:
        sys.exit("\n".join(bad) or "there was nothing to read")


if __name__ == "__main__":
    main()
