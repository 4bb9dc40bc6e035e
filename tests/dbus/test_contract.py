#!/usr/bin/env python3
"""data/dbus is the contract: what the daemon introspects has the same members, arguments, types and promises."""
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

EMITS = "org.freedesktop.DBus.Property.EmitsChangedSignal"


def arguments(member, direction):
    """(direction, type, name) of each; where none is said it is `in` for methods."""
    return [(a.get("direction", direction), a.get("type"), a.get("name")) for a in member.findall("arg")]


def describe(interface):
    facts = {}
    for member in interface:
        key = (member.tag, member.get("name"))
        assert key not in facts, f"{key} is there twice"
        if member.tag == "method":
            facts[key] = arguments(member, "in")
        elif member.tag == "signal":
            facts[key] = [a[1:] for a in arguments(member, "out")]
        elif member.tag == "property":
            notes = {a.get("name"): a.get("value") for a in member.findall("annotation")}
            facts[key] = (member.get("type"), member.get("access"), notes.get(EMITS, "true"))
    return facts


def introspected(program):
    run = subprocess.run([program], stdout=subprocess.PIPE, text=True, timeout=60)
    if run.returncode == 77:
        print("SKIP: there is no dbus-daemon")
        sys.exit(77)
    assert run.returncode == 0, f"{program} ended with {run.returncode}"
    nodes = {}
    for part in run.stdout.split("=== ")[1:]:
        path, _, xml = part.partition("\n")
        nodes[path] = ET.fromstring(xml)
    return nodes


def main(program, folder):
    nodes = introspected(program)
    real = {}
    for node in nodes.values():
        for interface in node.findall("interface"):
            if interface.get("name").startswith("org.ocfd."):
                real[interface.get("name")] = describe(interface)
    assert [n.get("name") for n in nodes["/org/ocfd/device"].findall("node")] == ["0"]
    remote = nodes["/org/ocfd/remote"].findall("node")
    assert len(remote) == 1 and len(remote[0].get("name")) == 36, "a device on the network is not listed once"
    (device,) = [path for path in nodes if path.endswith("/" + remote[0].get("name"))]
    assert [n.get("name") for n in nodes[device].findall("node")] == ["1"]
    promised = {}
    for file in sorted(Path(folder).glob("*.xml")):
        for interface in ET.parse(file).getroot().findall("interface"):
            assert file.stem == interface.get("name"), f"{file} holds {interface.get('name')}"
            promised[file.stem] = describe(interface)
    handler = promised.pop("org.ocfd.Handler1")  # apps implement it: what the daemon calls is in test_bus_handler
    assert handler[("method", "Handle")] == [("in", "s", "method"), ("in", "s", "href"), ("in", "a{sv}", "request"), ("out", "a{sv}", "response")]
    agent = promised.pop("org.ocfd.Agent1")  # likewise: test_bus_security, test_bus_tool
    assert agent == {
        ("method", "ShowPin"): [("in", "o", "device"), ("in", "s", "pin"), ("in", "u", "seconds")],
        ("method", "AskPin"): [("in", "o", "job"), ("in", "o", "device"), ("in", "s", "name"), ("in", "u", "seconds"), ("out", "s", "pin")],
        ("method", "Cancel"): [("in", "o", "object")],
    }
    assert sorted(real) == sorted(promised), f"{sorted(real)} and {sorted(promised)}"
    named = set(re.findall(r"[Aa]ction\s+(org\.ocfd\.[a-z-]+)", " ".join(f.read_text() for f in Path(folder).glob("*.xml"))))
    policy = ET.parse(Path(folder).parent / "polkit/org.ocfd.policy").getroot()
    actions = {a.get("id") for a in policy.findall("action")}  # that they are what is asked for: test_bus_security, test_bus_tool
    assert named == actions, f"only in one of contract and polkit's file: {named ^ actions}"
    wrong = 0
    for name, facts in promised.items():
        assert facts, f"{name} is empty"
        for key in sorted(set(facts) | set(real[name])):
            if facts.get(key) != real[name].get(key):
                print(f"{name}: {key[0]} {key[1]}\n  promised: {facts.get(key)}\n  real:     {real[name].get(key)}")
                wrong += 1
    print(f"{sum(map(len, promised.values()))} members, {wrong} of them differ")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
