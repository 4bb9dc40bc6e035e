#!/usr/bin/env python3
"""Makes org.ocfd(5) out of the contract: bus_man.py OUTPUT FAULT_C XML...

The sentences stand in the XML, beside the members they are about; the table of
errors is read from the one table of faults. What is written by hand here is
only what no member can say: the tree, the values, the recipe.
"""
import html
import pathlib
import re
import sys
import xml.etree.ElementTree as ET

HEAD = r""".TH ORG.OCFD 5 "" "ocfd" "File formats"
.SH NAME
org.ocfd \- D-Bus interface of the OCF daemon
.SH SYNOPSIS
.nf
org.ocfd                        the name on the bus
  /org/ocfd                     org.ocfd.Manager1, org.ocfd.Store1, org.ocfd.Client1, org.ocfd.OnboardingTool1,
                                org.freedesktop.DBus.ObjectManager
  /org/ocfd/device/N            org.ocfd.Device1, org.ocfd.Security1
  /org/ocfd/app/N               org.ocfd.Application1
  /org/ocfd/resource/N          org.ocfd.Resource1
  /org/ocfd/remote/UUID         org.ocfd.RemoteDevice1
  /org/ocfd/remote/UUID/N       org.ocfd.RemoteResource1
  /org/ocfd/job/N               org.ocfd.Job1
an application's own objects    org.ocfd.Handler1, org.ocfd.Agent1
.fi
.SH DESCRIPTION
Applications register resources and answer requests through these objects, in any language; programs in C may use
.BR libocfclient (3)
and scripts
.BR ocfctl (1)
instead.
Numbers in paths are never used twice while the daemon runs; those of remote resources, while the device is known.
"""

TAIL = r""".SH VALUES
Representations are variants.
The daemon sends integers as x (above its range as t), text as s, bytes as ay, numbers with a fraction as d, truth
values as b, arrays as av, and maps as a{sv}.
It takes all integer types, d, s, o and g, b, ay, arrays and structs, and dictionaries; file descriptors, a key that
is there twice, more than 256 keys and more than 16 levels are refused.
A number takes the type that the property had before: 21 becomes 21.0 where it was 20.5.
What D-Bus cannot say is a struct (sv), an escape:
.nf
    ("null", y 0)   ("undefined", y 0)   ("simple", y N)
    ("tag", (tv))          a tag, and what it is on
    ("negative", t N)      \-1 \- N, below 64 bits
    ("map", a(vv))         a map with other keys than text
    ("text", ay)           text with characters that D-Bus refuses
.fi
.SH APPLICATIONS THAT STAY
The daemon may restart, and the bus may.
An application that registers by itself should
.IP 1. 4
watch the name org.ocfd (the signal NameOwnerChanged of org.freedesktop.DBus, and of nobody else: others can send one
that looks the same), and call Register whenever it gets an owner, also when it is there already at the start;
.IP 2. 4
try again with growing pauses when Register fails with Unavailable, LimitsExceeded or AlreadyExists, and tell people about
every other error;
.IP 3. 4
connect to the bus again when that connection breaks, and begin at 1.
.PP
One that may restart itself gives a name and linger_ms: its resources then answer 5.03 and keep their observers until it
is back.
The examples lamp.py and lamp.mjs do all this in a few lines.
.SH OTHER DEVICES
Discover of Client1 looks for devices on the network; objects of them and of their resources appear, and FindDevice
gives the object that somebody means by a name or the beginning of a UUID:
.nf
    busctl call org.ocfd /org/ocfd org.ocfd.Client1 Discover a{sv} 0
    busctl call org.ocfd /org/ocfd org.ocfd.Client1 FindDevice s kitchen\-light
    busctl call org.ocfd /org/ocfd/remote/UUID org.ocfd.RemoteDevice1 Retrieve sa{sv} /lamp 0
.fi
A device gets another UUID when its ownership changes, and with it another object: an application that stays keeps what
is meant, such as the name or the protocol\-independent id, and finds it again.
What others say of themselves is not proven: names and types are for people, and for choosing; whom a session is with,
the daemon has checked.
.PP
To take ownership, the onboarding tool is made once (Initialize), and Own begins a job; its properties say how far it is,
and Finished how it ended. Whoever asks for its object after that reads the same in State and Message.
"""


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def paragraphs(comment):
    """A comment as lines of troff: its indentation inside the XML means nothing."""
    lines = [escape(html.unescape(line.strip())) for line in comment.strip().splitlines() if line.strip()]
    # what a line begins with a name and its type, or with one word and a colon, is an entry of its own
    return "\n".join(".br\n" + line if i and re.match(r"\w+( \([a-z{}()]+|:)", line) else line for i, line in enumerate(lines))


def sentence_of(parser_items, index):
    for item in reversed(parser_items[:index]):
        if item.tag is ET.Comment:
            return item.text
        return ""
    return ""


def signature(member):
    args = member.findall("arg")
    parts = []
    for direction in ("in", "out"):
        names = [f"{a.get('type')} {a.get('name')}" for a in args if a.get("direction", "out") == direction]
        if direction == "in" or names:
            parts.append(", ".join(names))
    if member.tag == "signal":
        return f"({', '.join(a.get('type') + ' ' + a.get('name') for a in args)})"
    return f"({parts[0]})" + (f" → ({parts[1]})" if len(parts) > 1 else "")


def render(path):
    parser = ET.XMLParser(target=ET.TreeBuilder(insert_comments=True))
    root = ET.parse(path, parser).getroot()
    out = []
    text = pathlib.Path(path).read_text()
    about = re.search(r"<!--(.*?)-->\s*<node", text, re.S)
    interface = root.find("interface")
    out.append(f".SH {interface.get('name').upper()}")
    if about:
        out.append(paragraphs(about.group(1)))
    items = list(interface)
    for index, member in enumerate(items):
        if member.tag is ET.Comment:
            continue
        said = sentence_of(items, index).strip()
        if not said:
            sys.exit(f"{path}: {member.tag} {member.get('name')} has no sentence")
        out.append(".TP")
        if member.tag == "property":
            changes = member.find("annotation")
            word = "constant" if changes is not None and changes.get("value") == "const" else "property"
            out.append(f".BR {member.get('name')} \" ({word}, {member.get('type')})\"")
        else:
            out.append(f".BR {member.get('name')} \" {escape(signature(member))}\"".replace("→", "\\(->"))
        out.append(paragraphs(said))
    return "\n".join(out)


def errors(fault_c):
    source = pathlib.Path(fault_c).read_text()
    rows = re.findall(r"\[FAULT_\w+\]\s*=\s*\{\s*(COAP_\w+),\s*\"(\w+)\",\s*((?:\"[^\"]*\"\s*)+)", source)
    rows = [r for r in rows if r[1] != "None"]
    if len(rows) < 15:
        sys.exit(f"{fault_c}: the table of faults was not found")
    out = [".SH ERRORS", "All begin with org.ocfd.Error. The message of an error says what is wrong in this very case."]
    for _, name, text in rows:
        sentence = "".join(re.findall(r'"([^"]*)"', text))
        out.append(f".TP\n.B {name}\n{escape(sentence)}.")
    return "\n".join(out)


def main():
    output, fault_c, *files = sys.argv[1:]
    body = "\n".join(render(f) for f in files)
    pathlib.Path(output).write_text(
        HEAD + body + "\n" + TAIL + errors(fault_c) + "\n.SH SEE ALSO\n.BR ocfd (8),\n.BR ocfctl (1),\n.BR ocfd\\-security (7),\n.BR libocfclient (3)\n"
    )


if __name__ == "__main__":
    main()
