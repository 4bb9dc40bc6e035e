#!/usr/bin/env python3
"""Calls that no file of a room may make.

    test_calls.py SOURCE_ROOT

The daemon's loop never waits for the bus: sd-bus has forms of its calls that do, some of them well hidden, and checks
of privilege that ask the bus driver and wait. The protocol room has no heap.
"""
import pathlib
import re
import sys

BLOCKING = (
    r"sd_bus_(?:call|call_method|call_methodv|get_property\w*|set_property|set_propertyv|request_name|release_name|"
    r"add_match|match_signal|wait|flush|flush_close_unref|flush_close_unrefp|list_names|get_name_creds|"
    r"get_owner_creds|get_name_machine_id|query_sender_creds|query_sender_privilege|get_unique_name|get_bus_id|"
    r"default\w*|track_add_name|track_add_sender)"
)
HEAP = r"malloc|calloc|realloc|reallocarray|free|strdup|strndup|asprintf|vasprintf|alloca|ocf_allocate|ocf_free|ocf_grow"

RULES = {
    "src/dbus": BLOCKING,
    "src/daemon": BLOCKING,
    "src/protocol": HEAP,
}
VTABLE_ENTRY = re.compile(r"\bSD_BUS_(?:METHOD|METHOD_WITH_NAMES|METHOD_WITH_ARGS|METHOD_WITH_OFFSET|WRITABLE_PROPERTY)\w*\s*\(")


def without_comments(text):
    """The same text with comments and strings blanked, line numbers kept."""
    pattern = r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\""
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.DOTALL)


def arguments_at(text, i):
    """From the opening bracket at i to the one that closes it."""
    depth = 0
    for j in range(i, len(text)):
        depth += (text[j] == "(") - (text[j] == ")")
        if not depth:
            return text[i : j + 1]
    return text[i:]


def wrong_calls(room, text):
    text = without_comments(text)
    for match in re.finditer(rf"\b(?:{RULES[room]})\s*\(", text):
        yield text.count("\n", 0, match.start()) + 1, match.group()[:-1].strip() + "() has no place here"
    if room != "src/dbus":
        return
    for match in VTABLE_ENTRY.finditer(text):
        if "SD_BUS_VTABLE_UNPRIVILEGED" not in arguments_at(text, match.end() - 1):
            line = text.count("\n", 0, match.start()) + 1
            yield line, "a method without SD_BUS_VTABLE_UNPRIVILEGED makes sd-bus wait for the caller's credentials"


def self_test():
    samples = [
        ("src/dbus", "r = sd_bus_call(bus, m, 0, NULL, NULL);"),
        ("src/daemon", "r = sd_bus_request_name (bus, name, 0);"),
        ("src/dbus", 'SD_BUS_METHOD("A", "s", NULL, a, 0),'),
        ("src/protocol", "p = malloc(1);"),
    ]
    for room, text in samples:
        if not list(wrong_calls(room, text)):
            sys.exit(f"the rules let {text} into {room}")
    fine = '/* sd_bus_call() waits */ r = sd_bus_call_async(b, &s, m, f, u, 0); x = "sd_bus_call(";'
    fine += 'SD_BUS_METHOD("A", "s", NULL, a, SD_BUS_VTABLE_UNPRIVILEGED),'
    if list(wrong_calls("src/dbus", fine)):
        sys.exit("the rules forbid what is fine")


def main():
    self_test()
    root = pathlib.Path(sys.argv[1])
    n_files = 0
    bad = []
    for room in RULES:
        for path in sorted((root / room).rglob("*.[ch]")):
            n_files += 1
            bad += [f"{path.relative_to(root)}:{line}: {why}" for line, why in wrong_calls(room, path.read_text())]
    print(f"{n_files} files read")
    if bad or not n_files:
        sys.exit("\n".join(bad) or "there was nothing to read")


if __name__ == "__main__":
    main()
