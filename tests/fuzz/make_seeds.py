#!/usr/bin/env python3
"""Writes the fuzzers' first inputs: messages of the RFCs and of OCF peers, and conversations made of them.

    make_seeds.py FOLDER

The files in corpus/ are what this writes; inputs that once broke something are added beside them by hand.
"""
import pathlib
import struct
import sys


def message(type_, code, mid, token=b"", options=(), payload=b""):
    out = bytes([0x40 | type_ << 4 | len(token), code]) + struct.pack(">H", mid) + token
    last = 0
    for number, value in options:
        delta, head, tail = number - last, 0, b""
        for shift, v in ((4, delta), (0, len(value))):
            nibble = v if v < 13 else 13 if v < 269 else 14
            head |= nibble << shift
            tail += b"" if v < 13 else bytes([v - 13]) if v < 269 else struct.pack(">H", v - 269)
        out += bytes([head]) + tail + value
        last = number
    return out + (b"\xff" + payload if payload else b"")


CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE = 1, 2, 3, 4
RES = [(11, b"oic"), (11, b"res")]
VERSION = [(2049, b"\x08\x00")]
ACCEPT = [(17, b"\x27\x10")]
OBSERVE = [(6, b"")]

MESSAGES = {
    "rfc7252-figure16": bytes.fromhex("40017d34bb74656d7065726174757265"),
    "rfc7252-figure16-answer": bytes.fromhex("60457d34ff32322e332043"),
    "ping": message(CON, 0, 7),
    "reset": message(RST, 0, 7),
    "discovery": message(NON, GET, 1, b"\x01\x02", RES + [(15, b"rt=oic.wk.d")] + ACCEPT + VERSION),
    "update": message(CON, POST, 2, b"\x03", [(11, b"a"), (12, b"\x27\x10")] + ACCEPT + VERSION + [(2053, b"\x08\x00")], b"\xa0"),
    "observe": message(CON, GET, 3, b"\x04" * 8, OBSERVE + [(11, b"a"), (15, b"if=oic.if.s")]),
    "block2": message(CON, GET, 4, b"\x05", [(11, b"a"), (23, b"\x16")]),
    "no-response": message(NON, POST, 5, b"", [(11, b"a"), (258, b"\x1a")]),
    "etags": message(CON, GET, 6, b"", [(1, b"x"), (4, b"12345678"), (4, b"1"), (11, b"a")]),
    "unknown-critical": message(CON, GET, 8, b"", [(9, b"\x01")]),
    "proxy": message(CON, GET, 9, b"", [(35, b"coap://x/")]),
    "option-wrap": bytes.fromhex("40010001e0fef3e00000"),
    "libcoap-214": bytes.fromhex("5a0a5b5b"),
    "nibble-15": bytes.fromhex("40010001f0"),
    "marker-alone": bytes.fromhex("40010001ff"),
    "token-13": bytes.fromhex("4d010001"),
}


def say(who, datagram):
    return bytes([0, who, len(datagram)]) + datagram


def answer(code=0, n=1, observe=False, format_=True):
    """What follows an event: 0 (answer now), how, how long."""
    return bytes([0, code | (8 if format_ else 0) | (64 if observe else 0), n])


HOLD = b"\x01"
DUE, LATER, CHANGE, HEAR, ACKNOWLEDGE, REJECT = b"\x04", b"\x03\x20", b"\x06", b"\x0a", b"\x07", b"\x08"
HELD = b"\x05\x00"


def end(code=0, n=1):
    return bytes([code | 8, n])


SCRIPTS = {
    "get": say(0, MESSAGES["rfc7252-figure16"]) + answer() + HEAR,
    "post-twice": say(0, MESSAGES["update"]) + answer(1) + HEAR + say(0, MESSAGES["update"]) + HEAR,
    "separate": say(0, MESSAGES["update"]) + HOLD + DUE + HEAR + HELD + end(1) + HEAR + DUE + HEAR + ACKNOWLEDGE,
    "separate-nobody": say(0, MESSAGES["update"]) + HOLD + DUE + HELD + end(1) + (DUE + HEAR) * 6,
    "multicast": say(0x80, MESSAGES["discovery"]) + say(0xC0, MESSAGES["discovery"]) + DUE + answer(0, 60) + DUE + answer() + HEAR,
    "observe": say(0, MESSAGES["observe"]) + answer(0, 1, True) + HEAR
    + (CHANGE + answer() + HEAR) * 3 + ACKNOWLEDGE + CHANGE + answer() + HEAR + REJECT,
    "observe-waiting": say(0, MESSAGES["observe"]) + answer(0, 1, True) + (CHANGE + answer() + HEAR) * 3
    + CHANGE + DUE + answer() + HEAR + CHANGE + DUE + answer() + HEAR + ACKNOWLEDGE + answer(),
    "observe-long": say(0, MESSAGES["observe"]) + answer(0, 150, True) + CHANGE + answer(0, 200) + HEAR,
    "observe-ends": say(0, MESSAGES["observe"]) + answer(0, 1, True) + CHANGE + answer(5) + HEAR + DUE + HEAR,
    "observe-held": say(0, MESSAGES["observe"]) + answer(0, 1, True) + CHANGE + HOLD + CHANGE + HELD + end() + answer() + HEAR,
    "blocks": say(0, message(CON, GET, 1, b"\x05", [(11, b"a")])) + answer(0, 200) + HEAR
    + say(0, MESSAGES["block2"]) + HEAR + LATER + say(0, message(CON, GET, 5, b"\x05", [(11, b"a"), (23, b"\x26")])) + HEAR,
    "full": b"".join(say(0, message(CON, POST, i, b"\x01", [(11, b"a")])) + answer(1) for i in range(9)) + HEAR,
    "forgotten": say(0, MESSAGES["observe"]) + answer(0, 1, True) + say(0, MESSAGES["update"]) + HOLD + b"\x8f\x00" + HELD + end(),
}


def main():
    root = pathlib.Path(sys.argv[1])
    for name, files in (("coap_message", MESSAGES), ("coap_endpoint", SCRIPTS)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (root / name / file).write_bytes(content)


if __name__ == "__main__":
    main()
