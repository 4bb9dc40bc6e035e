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


# ---- secure resources: what the reference's onboarding tool and plgd's client say ----

OWNER, OTHER, DEVICE = "e29d6c5d-4736-4a8e-6b78-0ac23b2d6bde", "11111111-2222-4333-8444-555555555555", "4ab0410e-5ff0-4373-5033-80a000140a80"
PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for extra, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | extra]) + n.to_bytes(size, "big")


class NotText(bytes):
    """Bytes that are sent as text."""


def cbor(v, indefinite=True):
    """Maps, and lists of maps, of indefinite length, as the reference writes them."""
    if v is None or isinstance(v, bool):
        return {None: b"\xf6", False: b"\xf4", True: b"\xf5"}[v]
    if isinstance(v, int):
        return head(0, v) if v >= 0 else head(1, -1 - v)
    if isinstance(v, bytes):
        return head(3 if isinstance(v, NotText) else 2, len(v)) + v
    if isinstance(v, str):
        return head(3, len(v.encode())) + v.encode()
    if isinstance(v, list):
        items = b"".join(cbor(x, indefinite) for x in v)
        return b"\x9f" + items + b"\xff" if indefinite and v and isinstance(v[0], dict) else head(4, len(v)) + items
    pairs = b"".join(cbor(k) + cbor(x, indefinite) for k, x in v.items())
    return b"\xbf" + pairs + b"\xff" if indefinite else head(5, len(v)) + pairs


DOXM, PSTAT, CRED, ACL2, SP, SDI, AEL, ROLES, CSR = range(9)
PLAIN, ONBOARDING, OWNER_KEY, OTHER_KEY, OWNER_CERTIFICATE, OTHER_CERTIFICATE = range(6)
RFOTM, RFPRO, RFNOP, SRESET = 1, 2, 3, 4
FACTORY = 32
VERIFIED, LOST = b"\x02\x01", b"\x02\x03"
RESTART, LATER = b"\x03", b"\x01\xff"


def ask(who, method, resource, payload=b"", query=0, how=0, flags=0):
    """how: 0 yes; 1 no; 2 to 6: see reply_to() in fuzz_svr.c."""
    number = {"GET": 0, "POST": 1, "DELETE": 2}[method]
    return bytes([0, number << 4 | resource, who | flags, query, how]) + struct.pack(">H", len(payload)) + payload


def post(who, resource, value, **more):
    return ask(who, "POST", resource, cbor(value, more.pop("indefinite", True)), **more)


def go(state, who=OWNER_KEY):
    return post(who, PSTAT, {"dos": {"s": state}})


def psk(subject, data=b"", **more):
    return {"credtype": 1, "subjectuuid": subject, "privatedata": {"encoding": "oic.sec.encoding.raw", "data": data}, **more}


def certificate(usage, subject="*"):
    return {"credtype": 8, "subjectuuid": subject, "publicdata": {"data": PEM + usage, "encoding": "oic.sec.encoding.pem"},
            "credusage": "oic.sec.cred." + usage}


def ace(subject, permission, *resources):
    return {"subject": subject, "resources": list(resources), "permission": permission}


def transfer(oxmsel):
    """wire-traces.md 4.1: steps 1 to 15."""
    return (
        ask(PLAIN, "GET", DOXM, query=2)
        + post(PLAIN, DOXM, {"oxmsel": oxmsel})
        + VERIFIED
        + post(ONBOARDING, PSTAT, {"om": 4})
        + post(ONBOARDING, DOXM, {"devowneruuid": OWNER})
        + post(ONBOARDING, DOXM, {"deviceuuid": DEVICE})
        + post(ONBOARDING, DOXM, {"rowneruuid": OWNER})
        + post(ONBOARDING, ACL2, {"rowneruuid": OWNER})
        + post(ONBOARDING, PSTAT, {"rowneruuid": OWNER})
        + post(ONBOARDING, CRED, {"creds": [psk(OWNER)], "rowneruuid": OWNER})
        + post(ONBOARDING, SDI, {"uuid": OTHER, "name": "OBT", "priv": False})
        + post(ONBOARDING, DOXM, {"owned": True})
        + go(RFPRO, ONBOARDING)
        + ask(ONBOARDING, "DELETE", ACL2)
        + post(ONBOARDING, ACL2, {"aclist2": [
            ace({"uuid": OWNER}, 14, {"href": "/oic/sec/sp"}),
            ace({"uuid": OWNER}, 2, {"href": "/oic/sec/csr"}),
            ace({"conntype": "anon-clear"}, 2, {"href": "/oic/d"}, {"href": "/oic/p"}, {"href": "/oic/res"}, {"href": "/oic/sec/sdi"}),
        ]})
        + go(RFNOP, ONBOARDING)
    )


def plgd(certificates):
    """security.md 4.9; its key is what calls itself text and is none."""
    creds = [psk(OWNER, NotText(range(0xf0, 0x100)))]
    if certificates:
        creds += [certificate("cert", DEVICE), certificate("trustca", OWNER)]
    everything = [{"wc": "*", "if": ["*"]}, {"href": "/oic/mnt", "if": ["*"]}]
    return (
        ask(PLAIN, "GET", DOXM, flags=16)
        + post(PLAIN, DOXM, {"oxmsel": 2 if certificates else 0}, indefinite=False)
        + VERIFIED
        + ask(ONBOARDING, "GET", PSTAT)
        + post(ONBOARDING, PSTAT, {"om": 4}, indefinite=False)
        + post(ONBOARDING, DOXM, {"deviceuuid": DEVICE}, indefinite=False)
        + ask(ONBOARDING, "GET", CSR)
        + post(ONBOARDING, CRED, {"rowneruuid": OWNER, "creds": creds}, indefinite=False)
        + post(ONBOARDING, DOXM, {"devowneruuid": OWNER}, indefinite=False)
        + ask(ONBOARDING, "GET", DOXM)
        + post(ONBOARDING, PSTAT, {"rowneruuid": OWNER}, indefinite=False)
        + post(ONBOARDING, ACL2, {"rowneruuid": OWNER, "aclist2": None}, indefinite=False)
        + post(ONBOARDING, DOXM, {"rowneruuid": OWNER, "owned": True}, indefinite=False)
        + go(RFPRO, ONBOARDING)
        + ask(OWNER_KEY, "DELETE", ACL2)
        + post(OWNER_KEY, ACL2, {"aclist2": [
            ace({"uuid": OWNER}, 31, *everything),
            ace({"uuid": OWNER}, 14, {"href": "/oic/sec/sp"}, {"href": "/oic/sec/pstat"}, {"href": "/oic/sec/doxm"}),
            ace({"conntype": "anon-clear"}, 2, {"href": "/oic/d"}, {"href": "/oic/res"}, {"href": "/oic/sec/doxm"}),
        ]}, indefinite=False)
        + go(RFNOP)
    )


def provision(*changes):
    """wire-traces.md 5: each change between RFPRO and RFNOP."""
    return go(RFPRO) + b"".join(changes) + go(RFNOP)


def entry(subject, permission, resource):
    return provision(post(OWNER_KEY, ACL2, {"aclist2": [ace(subject, permission, resource)]}))


def credential(**value):
    return provision(post(OWNER_KEY, CRED, {"creds": [value]}))


def certified(usage):
    return provision(
        post(OWNER_KEY, CRED, {"creds": [certificate("trustca")]}),
        ask(OWNER_KEY, "GET", CSR),
        post(OWNER_KEY, CRED, {"creds": [certificate(usage)]}),
        post(OWNER_KEY, ACL2, {"aclist2": [ace({"conntype": "auth-crypt"}, 6, {"href": "/oic/sec/roles"})]}),
    )


def oscore(type_, **ids):
    return credential(**dict(psk(OTHER, bytes(32)), credtype=type_), oscore=ids)


OWNED = bytes([RFNOP])
READ_ALL = b"".join(ask(OWNER_KEY, "GET", resource, flags=16) for resource in range(9))

LIVES = {
    "just-works": bytes([RFOTM]) + transfer(0) + READ_ALL,
    "random-pin": bytes([RFOTM]) + post(PLAIN, DOXM, {"oxmsel": 1}) + transfer(1) + RESTART + READ_ALL,
    "manufacturer": bytes([RFOTM | FACTORY]) + transfer(2) + READ_ALL,
    "transfer-lost": bytes([RFOTM]) + transfer(0)[:400] + LOST + transfer(0),
    "transfer-too-long": bytes([RFOTM]) + transfer(0)[:400] + LATER * 3 + transfer(0),
    "transfer-cut-by-a-restart": bytes([RFOTM]) + transfer(0)[:600] + RESTART + transfer(0),
    "plgd-just-works": bytes([RFOTM]) + plgd(False) + READ_ALL,
    "plgd-manufacturer": bytes([RFOTM | FACTORY]) + plgd(True) + READ_ALL,
    "plgd-disowns": bytes([RFOTM]) + plgd(False) + go(0) + LATER + ask(PLAIN, "GET", DOXM),
    "pairwise": OWNED + credential(**psk(OTHER, bytes(range(16)))) + READ_ALL + ask(OTHER_KEY, "GET", CRED) + go(RFPRO, OTHER_KEY),
    "pairwise-deleted": OWNED + credential(**psk(OTHER, bytes(range(16)), credid=7)) + provision(ask(OWNER_KEY, "DELETE", CRED, query=8)),
    "last-key-deleted": OWNED + provision(ask(OWNER_KEY, "DELETE", CRED), ask(OWNER_KEY, "DELETE", CRED, query=8)) + READ_ALL,
    "entry-uuid": OWNED + entry({"uuid": OTHER + "\0"}, 22, {"href": "/a/light"}) + READ_ALL,
    "entry-anon-clear": OWNED + entry({"conntype": "anon-clear"}, 18, {"wc": "-"}) + READ_ALL,
    "entry-auth-crypt": OWNED + entry({"conntype": "auth-crypt"}, 6, {"wc": "*"}) + READ_ALL,
    "entry-role": OWNED + entry({"role": "myrole", "authority": "myauth"}, 6, {"wc": "*"}) + entry({"role": "otherrole"}, 31, {"wc": "*"}) + READ_ALL,
    "entry-deleted": OWNED + entry({"uuid": OTHER}, 22, {"href": "/a/light"}) + provision(ask(OWNER_KEY, "DELETE", ACL2, query=9)),
    "entry-validity": OWNED + provision(post(OWNER_KEY, ACL2, {"aclist2": [dict(
        ace({"uuid": OTHER}, 2, {"href": "/a"}),
        validity=[{"period": "20260101T080000Z/20260101T170000Z", "recurrence": ["FREQ=DAILY;BYDAY=MO,TU"]}])]})),
    "identity": OWNED + certified("cert") + READ_ALL,
    "role": OWNED + certified("rolecert") + READ_ALL,
    "roles-asserted": OWNED + post(OTHER_CERTIFICATE, ROLES, {"roles": [certificate("rolecert")]}, how=4)
    + entry({"role": "guest"}, 31, {"href": "/oic/sec/cred"}) + ask(OTHER_CERTIFICATE, "GET", CRED)
    + ask(OTHER_CERTIFICATE, "GET", ROLES) + ask(OTHER_CERTIFICATE, "DELETE", ROLES),
    "owner-role": OWNED + post(OTHER_CERTIFICATE, ROLES, {"roles": [certificate("rolecert")]}, how=6) + provision(READ_ALL),
    "oscore": OWNED + oscore(64, senderid="01f8fc9eee2eab", recipientid="0105637bf9df05")
    + oscore(128, senderid="02843ef6d92ed4", desc="") + oscore(256, recipientid="02843ef6d92ed4", desc="") + READ_ALL,
    "cloud-anchor": OWNED + credential(**certificate("trustca", "00000000-0000-0000-0000-000000000001")) + READ_ALL,
    "hard-reset": OWNED + go(0) + go(0) + ask(PLAIN, "GET", DOXM) + LATER + transfer(0),
    "soft-reset": OWNED + go(SRESET) + post(OWNER_KEY, CRED, {"creds": [psk(OTHER, bytes(16))]})
    + b"".join(post(OWNER_KEY, resource, {"rowneruuid": OTHER}) for resource in (CRED, ACL2, PSTAT, DOXM)) + RESTART + go(RFPRO, OTHER_KEY) + READ_ALL,
    "soft-reset-to-nobody": OWNED + go(SRESET)
    + b"".join(post(OWNER_KEY, resource, {"rowneruuid": OTHER}) for resource in (CRED, ACL2, PSTAT, DOXM)) + RESTART,
    "profiles": OWNED + provision(post(OWNER_KEY, ACL2, {"aclist2": [ace({"uuid": OWNER}, 14, {"href": "/oic/sec/sp"}, {"href": "/oic/sec/ael"})]}),
                                  post(OWNER_KEY, SP, {"currentprofile": "1.3.6.1.4.1.51414.0.0.2.0"}),
                                  post(OWNER_KEY, AEL, {"categoryfilter": 1, "priorityfilter": 4})) + b"\x04\x01\x00\x05hello" * 4 + READ_ALL,
    "strangers": OWNED + b"".join(ask(who, method, resource, b"\xa0") for who in (PLAIN, OTHER_CERTIFICATE)
                                  for method in ("GET", "POST", "DELETE") for resource in range(9)),
    "wrong-names": bytes([RFPRO]) + b"".join(ask(OWNER_KEY, "POST", resource, bytes([0xa1, 0xe0, word, 0xe0, value]), flags=128)
                                             for resource, word, value in ((DOXM, 3, 74), (PSTAT, 7, 3), (CRED, 15, 90), (ACL2, 34, 91), (SDI, 49, 75))),
}


# ---- two engines of (D)TLS and a network between them, see tls_pair.h ----

CLIENT, SERVER = 0, 1
DELIVER, LOSE, ALTER, CUT, DOUBLE, INJECT, WAIT, SAY = range(8)
STREAM, ANONYMOUS, NO_ETM, NO_EMS, WRONG_KEY, UNKNOWN = 1, 2, 4, 8, 64, 128


def do(step, how=0, *more):
    return bytes([step | how << 3, *more])


def to(who, step=DELIVER, *more):
    return do(step, who, *more)


def alter(who, at, with_):
    return to(who, ALTER, at >> 8, at & 255, with_)


def inject(who, datagram):
    return do(INJECT, who) + struct.pack(">H", len(datagram)) + datagram


SHAKE = (to(SERVER) + to(CLIENT)) * 3
STREAM_SHAKE = (to(SERVER) + to(CLIENT)) * 2
CHAT = b"".join(do(SAY, size << 1 | who) + to(1 - who) for size in (1, 2, 14) for who in (0, 1))
CLOSE = do(SAY, 30) + to(SERVER) + to(CLIENT)

TALKS = {}
for _how in range(0, 64, 2):
    if _how & 16 or _how & 32:
        continue
    TALKS[f"datagrams-{_how}"] = bytes([_how]) + SHAKE + CHAT + CLOSE
    TALKS[f"stream-{_how}"] = bytes([_how | STREAM]) + STREAM_SHAKE + CHAT + CLOSE
TALKS.update({
    "wrong-key": bytes([WRONG_KEY]) + SHAKE,
    "wrong-key-stream": bytes([WRONG_KEY | STREAM]) + STREAM_SHAKE,
    "unknown": bytes([UNKNOWN]) + SHAKE,
    "lost": bytes([0]) + b"".join(to(who, LOSE) + do(WAIT, 5) + to(who) for who in (1, 0) * 6) + CHAT,
    "doubled": bytes([0]) + b"".join(to(who, DOUBLE) for who in (1, 0) * 6) + CHAT,
    "doubled-data": bytes([0]) + SHAKE + do(SAY, 4) + to(SERVER, DOUBLE) * 3 + do(SAY, 6) * 3 + do(DELIVER, 2 | SERVER) * 4,
    "late": bytes([0]) + SHAKE + do(SAY, 4) * 8 + do(DELIVER, 2 | SERVER) * 9,
    "pieces": bytes([STREAM]) + b"".join(to(who, CUT, at) for at in (1, 60, 128, 250) for who in (1, 0)) + CHAT,
    "cut": bytes([0]) + b"".join(to(who, CUT, 200) + do(WAIT, 5) + to(who) for who in (1, 0) * 3),
    "altered-hello": bytes([0]) + alter(SERVER, 40, 1) + do(WAIT, 5) + SHAKE,
    "altered-keys": bytes([0]) + to(SERVER) + to(CLIENT) + to(SERVER) + alter(CLIENT, 150, 1) + do(WAIT, 5) + SHAKE,
    "altered-data": bytes([0]) + SHAKE + do(SAY, 8) + alter(SERVER, 60, 128) + do(SAY, 8) + to(SERVER),
    "altered-data-stream": bytes([STREAM]) + STREAM_SHAKE + do(SAY, 8) + alter(SERVER, 60, 128) + do(SAY, 8) + to(SERVER),
    "alert-in-clear": bytes([0]) + to(SERVER) + inject(CLIENT, bytes.fromhex("15fefd000000000000000000020228")) + SHAKE,
    "alert-in-clear-later": bytes([0]) + SHAKE + inject(CLIENT, bytes.fromhex("15fefd000000000000000900020228"))
    + inject(SERVER, bytes.fromhex("15fefd000000000000000900020100")) + CHAT,
    "large-epoch": bytes([0]) + to(SERVER) + to(CLIENT) + inject(SERVER, bytes.fromhex("16fefdffffffffffffffff0000")) + SHAKE + CHAT,
    "ccs-first": bytes([0]) + to(SERVER) + to(CLIENT) + to(SERVER) + inject(SERVER, bytes.fromhex("14fefd0000000000000005000101")) + SHAKE,
    "empty-fragments": bytes([0]) + to(SERVER) + to(CLIENT) + to(SERVER)
    + inject(SERVER, bytes.fromhex("16fefd0000000000000005000c100000420002000000000000")) * 8 + SHAKE,
    "fragment-too-far": bytes([0]) + to(SERVER) + to(CLIENT) + to(SERVER)
    + inject(SERVER, bytes.fromhex("16fefd0000000000000005000d10ffffff0002fffffe00000141")) + SHAKE,
    "alert-storm": bytes([STREAM]) + to(SERVER) + inject(CLIENT, bytes.fromhex("15030300020129") * 20),
    "silence": bytes([0]) + to(SERVER) + to(CLIENT) + to(SERVER) + do(WAIT, 31) * 5,
})


# The same with certificates, see fuzz_tls_cert.c: what is wrong with them, and which of the eight suites.
FORGED, MISTRUSTS, FOR_ANOTHER, ASKS_NOBODY = 2, 4, 8, 16
LONG_SHAKE = (to(SERVER) + to(CLIENT)) * 10

CHAINS = {}
for _suite in range(8):
    CHAINS[f"datagrams-{_suite}"] = bytes([0, _suite]) + LONG_SHAKE + CHAT + CLOSE
    CHAINS[f"stream-{_suite}"] = bytes([STREAM, _suite]) + LONG_SHAKE + CHAT + CLOSE
for _flags in range(FORGED, 32, 2):
    CHAINS[f"flags-{_flags}"] = bytes([_flags, 0]) + LONG_SHAKE + CHAT
    CHAINS[f"flags-{_flags}-stream"] = bytes([_flags | STREAM, 4]) + LONG_SHAKE + CHAT
CHAINS.update({
    "doubled": bytes([0, 4]) + b"".join(to(who, DOUBLE) for who in (1, 0) * 12) + CHAT,
    "doubled-data": bytes([0, 0]) + LONG_SHAKE + do(SAY, 4) + to(SERVER, DOUBLE) * 3 + do(SAY, 6) * 3 + do(DELIVER, 2 | SERVER) * 4,
    "late": bytes([0, 6]) + LONG_SHAKE + do(SAY, 4) * 8 + do(DELIVER, 2 | SERVER) * 9,
    "pieces": bytes([STREAM, 0]) + b"".join(to(who, CUT, at) for at in (1, 60, 128, 250) for who in (1, 0)) * 2 + CHAT,
    "cut": bytes([0, 0]) + b"".join(to(who, CUT, 200) for who in (1, 0) * 6) + LONG_SHAKE,
    "altered-chain": bytes([0, 0]) + to(SERVER) + to(CLIENT) + to(SERVER) + alter(CLIENT, 300, 1) + LONG_SHAKE,
    "altered-chain-stream": bytes([STREAM, 0]) + to(SERVER) + alter(CLIENT, 500, 1) + LONG_SHAKE,
    **{f"altered-data-{suite}": bytes([0, suite]) + LONG_SHAKE + do(SAY, 8) + alter(SERVER, 60, 128) + do(SAY, 8) + to(SERVER)
       + do(SAY, 9) + alter(CLIENT, 30, 1) + CHAT for suite in range(8)},
    "altered-data-stream": bytes([STREAM, 7]) + LONG_SHAKE + do(SAY, 8) + alter(SERVER, 60, 128) + do(SAY, 8) + to(SERVER),
    "alert-in-clear": bytes([0, 0]) + to(SERVER) + inject(CLIENT, bytes.fromhex("15fefd000000000000000000020228")) + LONG_SHAKE,
    "alert-in-clear-later": bytes([0, 0]) + LONG_SHAKE + inject(CLIENT, bytes.fromhex("15fefd000000000000000900020228"))
    + inject(SERVER, bytes.fromhex("15fefd000000000000000900020100")) + CHAT,
    "alert-storm": bytes([STREAM, 0]) + to(SERVER) + inject(CLIENT, bytes.fromhex("15030300020129") * 20),
    "large-epoch": bytes([0, 0]) + to(SERVER) + to(CLIENT) + inject(SERVER, bytes.fromhex("16fefdffffffffffffffff0000")) + LONG_SHAKE + CHAT,
    "hello-later": bytes([0, 0]) + to(SERVER, DOUBLE) + LONG_SHAKE + do(DELIVER, 2 | SERVER) * 3 + CHAT,
    "silence": bytes([0, 0]) + to(SERVER) + to(CLIENT) + to(SERVER) + do(WAIT, 31) * 5,
})


# ---- four addresses at the secure ports of a device, see fuzz_sessions.c ----

ENTER, TO_SERVER, TO_CLIENT, BEND, FORGE, PAUSE, SPEAK, CHANGE = range(8)
CONNECTION = 3
FOR_SALE, HAS_OWNER = b"\x00", b"\x01"
AS_OWNER, AS_OTHER, WITH_A_WRONG_KEY, WITH_A_PIN = 0, 2, 4, 6
ANON = 1
REMOVE, ADD, RESET, OWN, CHOOSE, CLOSE_ALL, CLOSE_ONE, HANG_UP = range(8)


def at(who, step, *more, flags=0):
    return bytes([step | (who | flags) << 3, *more])


def change(what, which=0):
    return bytes([CHANGE | (what | which << 3) << 3])


def enter(who, how, turns=3):
    return at(who, ENTER, how) + (at(who, TO_SERVER) + at(who, TO_CLIENT)) * turns


def chat(who):
    return at(who, SPEAK, flags=8) + at(who, TO_SERVER) + at(who, SPEAK, flags=4) + at(who, TO_CLIENT)


def pause(n):
    return bytes([PAUSE | n << 3])


JUST_WORKS, PIN = change(CHOOSE), change(CHOOSE, 1)
VISITS = {
    "owner": HAS_OWNER + enter(0, AS_OWNER) + chat(0),
    "owner-connection": HAS_OWNER + enter(CONNECTION, AS_OWNER) + chat(CONNECTION) + change(HANG_UP),
    "wrong-key": HAS_OWNER + enter(0, WITH_A_WRONG_KEY),
    "anonymous-when-owned": HAS_OWNER + enter(0, ANON),
    "just-works": FOR_SALE + JUST_WORKS + enter(0, ANON) + chat(0) + change(OWN) + enter(0, AS_OWNER) + chat(0),
    "just-works-connection": FOR_SALE + JUST_WORKS + enter(CONNECTION, ANON) + chat(CONNECTION),
    "pin": FOR_SALE + PIN + enter(0, WITH_A_PIN) + chat(0),
    "pin-wanted-none-given": FOR_SALE + PIN + enter(0, AS_OWNER) + enter(1, ANON),
    "two-takers": FOR_SALE + JUST_WORKS + at(0, ENTER, ANON) + at(1, ENTER, ANON)
    + b"".join(at(who, step) for _ in range(3) for step in (TO_SERVER, TO_CLIENT) for who in (0, 1)) + chat(0) + chat(1),
    "full": HAS_OWNER + b"".join(enter(who, AS_OWNER) for who in range(4)) + b"".join(chat(who) for who in range(4)),
    "comes-back": HAS_OWNER + enter(0, AS_OWNER) + chat(0) + enter(0, AS_OWNER) + chat(0),
    "comes-back-halfway": HAS_OWNER + enter(0, AS_OWNER) + enter(0, AS_OWNER, 1) + chat(0),
    "another-takes-the-address": HAS_OWNER + enter(0, AS_OWNER) + enter(0, WITH_A_WRONG_KEY) + at(0, SPEAK, flags=4),
    "idle": HAS_OWNER + enter(0, AS_OWNER) + chat(0) + pause(31) + chat(0),
    "half-open": HAS_OWNER + b"".join(enter(who, AS_OWNER, 1) for who in range(4)) + pause(20) * 8,
    "deleted": HAS_OWNER + enter(0, AS_OTHER) + chat(0) + change(REMOVE, 1) + chat(0),
    "reset": HAS_OWNER + enter(0, AS_OWNER) + change(RESET) + JUST_WORKS + enter(0, ANON) + chat(0),
    "closed": HAS_OWNER + enter(0, AS_OWNER) + change(CLOSE_ONE) + at(0, TO_CLIENT) + enter(1, AS_OWNER) + change(CLOSE_ALL),
    "doubled": HAS_OWNER + at(0, ENTER, AS_OWNER) + (at(0, TO_SERVER, flags=8) + at(0, TO_CLIENT, flags=8)) * 6 + chat(0),
    "hello-on-a-living-session": HAS_OWNER + enter(0, AS_OWNER) + at(0, FORGE, 0, 115)
    + bytes.fromhex("16fefd0000000000000000006601") + bytes(101) + chat(0),
    "silent-connection": HAS_OWNER + at(CONNECTION, ENTER, AS_OWNER) + pause(20) * 8,
    "another-method-meanwhile": FOR_SALE + JUST_WORKS + at(0, ENTER, ANON) + at(0, TO_SERVER) + at(0, TO_CLIENT) + at(0, TO_SERVER)
    + pause(24) + PIN + at(0, TO_CLIENT) + at(0, TO_SERVER) * 8 + chat(0),
    "key-deleted-meanwhile": HAS_OWNER + at(0, ENTER, AS_OTHER) + (at(0, TO_SERVER) + at(0, TO_CLIENT)) * 2
    + at(0, TO_SERVER, flags=16) + change(REMOVE, 1) + at(0, TO_SERVER) * 2 + chat(0),
    "lost-transfer": FOR_SALE + JUST_WORKS + enter(0, ANON) + change(CLOSE_ONE) + enter(1, ANON),
}


# ---- what a network tells of its devices, see fuzz_remote.c ----

RES_WHOLE, RES_PART, OF_DOXM, OF_DEVICE, TIME, DO, FIND, NEWS = range(8)
PIN_IT, UNPIN_IT, WORKS, FAILS, RENAME, FORGET, BY_HAND, SILENT = range(8)
FIRST, SECOND, LINK_LOCAL, GLOBAL, OTHER_LINK, SECURE = 0, 1, 2, 3, 4, 8
LAMP, FAN, MINE = "66251b14-fc34-4fd1-6e56-0e028c5be174", "11385068-e77b-49b5-7b03-6f4cfcaa2190", "aa000000-0000-4000-8000-000000000001"


def hear(step, value, from_=FIRST):
    payload = value if isinstance(value, bytes) else cbor(value)
    return bytes([step | from_ << 3]) + struct.pack(">H", len(payload)) + payload


def link(href, of=None, eps=(), **more):
    out = {"anchor": "ocf://" + of} if of else {}
    out.update({"href": href, "rt": ["oic.r.switch.binary"], "if": ["oic.if.a", "oic.if.baseline"], "p": {"bm": 3}})
    if eps:
        out["eps"] = [{"ep": ep} for ep in eps]
    out.update(more)
    return out


def links(of, *hrefs, eps=("coap://192.0.2.1:5683", "coaps://192.0.2.1:5684", "coap+tcp://[fd00::1]:5683", "coaps+tcp://[fe80::1]:5684")):
    return [link(href, of, eps) for href in hrefs]


def doxm(of, owned, owner="00000000-0000-0000-0000-000000000000", oxms=(0, 1, 2)):
    return {"oxms": list(oxms), "oxmsel": 0, "sct": 329, "owned": owned, "devowneruuid": owner, "deviceuuid": of, "rowneruuid": owner}


def do_to(device, change, from_=FIRST, more=b""):
    return bytes([DO | change << 3, device, from_]) + more


def find(name):
    return bytes([FIND, len(name)]) + name.encode()


def crowd(n, href="/a"):
    return [link(href, di=f"{i + 1:08x}-0000-4000-8000-000000000001") for i in range(n)]


TELL = bytes([NEWS])
LAMP_RES = hear(RES_WHOLE, links(LAMP, "/oic/res", "/oic/d", "/oic/p", "/a/light"))
NETWORKS = {
    "lamp": LAMP_RES + TELL + hear(OF_DEVICE, {"di": LAMP, "n": "Lamp", "icv": "ocf.1.0.0", "piid": FAN, "rt": ["oic.d.light", "oic.wk.d"]})
    + hear(OF_DOXM, doxm(LAMP, False)) + TELL + find(LAMP[:6]) + find("Lamp") + find("ocf://" + LAMP),
    "baseline": hear(RES_WHOLE, [{"rt": ["oic.wk.res"], "if": ["oic.if.ll"], "sduuid": MINE, "sdname": "Home", "links": links(LAMP, "/a", "/b")}]) + TELL,
    "map": hear(RES_WHOLE, {"sdname": "Home", "links": links(LAMP, "/a", "/b")}) + TELL,
    "oic11": hear(RES_WHOLE, [{"di": LAMP, "links": [link("/a", p={"bm": 3, "sec": True, "port": 5684})]}, {"di": FAN, "links": [link("/b")]}]) + TELL,
    "bridge": hear(RES_WHOLE, crowd(5) + crowd(5, "/b")) + TELL + hear(RES_WHOLE, crowd(3)) + TELL,
    "flood": LAMP_RES + do_to(0, PIN_IT) + hear(RES_WHOLE, crowd(20)) + TELL + hear(RES_WHOLE, crowd(12, "/b"), SECOND) + TELL + do_to(0, UNPIN_IT),
    "full-of-bytes": hear(RES_WHOLE, links(LAMP, *(f"/{i}" + "x" * 120 for i in range(9)), eps=())) + hear(RES_WHOLE, links(FAN, *(f"/{i}" + "y" * 120 for i in range(9)), eps=()), SECOND) + hear(RES_WHOLE, crowd(6)) + LAMP_RES + TELL,
    "two-links": LAMP_RES + hear(RES_WHOLE, links(LAMP, "/a", eps=("coap://[fe80::1]:5683",)), LINK_LOCAL)
    + hear(RES_WHOLE, links(LAMP, "/a", eps=("coap://[fe80::1]:5683",)), LINK_LOCAL | OTHER_LINK) + TELL + hear(RES_WHOLE, links(LAMP, "/a", eps=()), GLOBAL | SECURE) + TELL,
    "parts": LAMP_RES + hear(RES_PART, links(LAMP, "/a", "/b")) + TELL + LAMP_RES + TELL,
    "changes": LAMP_RES + TELL + hear(RES_WHOLE, [link("/a/light", LAMP, rt=["x"]), link("/oic/p", LAMP)]) + TELL,
    "owned": hear(OF_DOXM, doxm(MINE, True, FAN)) + hear(OF_DOXM, doxm(LAMP, True, FAN)) + TELL + hear(OF_DOXM, doxm(MINE, False)) + TELL,
    "renamed": LAMP_RES + TELL + do_to(0, RENAME, more=b"\x00\x77") + TELL + LAMP_RES + do_to(0, RENAME, more=b"\x01\x01\x01") + TELL,
    "sessions": LAMP_RES + do_to(0, WORKS) + hear(RES_WHOLE, links(LAMP, "/a", eps=("coaps://192.0.2.66:5684",)), SECOND) + do_to(0, FAILS) + TELL,
    "silence": LAMP_RES + TELL + do_to(0, SILENT) * 4 + TELL + bytes([TIME | 31 << 3, 255]) + TELL + LAMP_RES + do_to(0, BY_HAND) + bytes([TIME | 31 << 3, 255]) + TELL,
    "forgotten": LAMP_RES + TELL + do_to(0, FORGET) + LAMP_RES + TELL + do_to(0, FORGET) + TELL,
    "nonsense": hear(RES_WHOLE, [{"href": 7}, {"anchor": "ocf://"}, link("x", LAMP), link("/a", LAMP, rt="x", **{"if": [1, "y"]}, p=7, eps=[{"ep": 7}, {"ep": "coap://"}])]) + TELL,
    "deep": hear(RES_WHOLE, b"\x81" * 15 + b"\x80") + hear(RES_WHOLE, b"\x9f" * 40),
}

# ---- what devices answer to the onboarding tool: a flow, its number and state, then a byte for each thing it wants ----

OWN, RESET, SET_STATE, PAIR, IDENTITY, ROLES, ANCHOR, ACCESS, NO_ACCESS, NO_CREDENTIAL, CLOUD, DOMAIN = range(12)
DONE, A_CODE, SILENCE, A_DOXM, A_STATE, SOME_CREDS, A_CSR, SOME_BYTES = range(8)
STOP = b"\x80"


def flow(operation, *answers, state=0, number=0, certificate=False):
    return bytes([operation + 12 * 11 if certificate else operation, state, number]) + b"".join(answers)


def yes(n=1):
    return bytes([DONE]) * n


def oxms_of(bits):
    return bytes([A_DOXM, bits])


def in_state(state):
    return bytes([A_STATE, state + 2])


def creds_of(*entries):
    return bytes([SOME_CREDS, len(entries)]) + b"".join(bytes([credid + 4 << 3 | who]) for credid, who in entries)


LOST = bytes([SILENCE])
CSR = bytes([A_CSR, 0])
ANSWERS = {
    "own": flow(OWN, oxms_of(1), yes(40)),
    "own-pin": flow(OWN, oxms_of(2), yes(), b"\x08", b"\x02", yes(40)),
    "own-manufacturer": flow(OWN, oxms_of(4), yes(), b"\x04", yes(40)),
    "own-certificate": flow(OWN, oxms_of(1), yes(15), CSR, yes(20), certificate=True),
    "own-refused": flow(OWN, oxms_of(1), yes(6), bytes([A_CODE, 0x83]), yes(20)),
    "own-lost": flow(OWN, oxms_of(1), yes(11), LOST, yes(), in_state(1), LOST, oxms_of(8), yes(20)),
    "own-lost-but-owned": flow(OWN, oxms_of(1), yes(12), LOST, yes(), in_state(2), yes(20)),
    "own-lost-and-free": flow(OWN, oxms_of(1), yes(11), LOST, yes(), LOST, oxms_of(0), yes(20)),
    "own-cancelled": flow(OWN, oxms_of(1), yes(13), STOP, yes(20)),
    "own-late": flow(OWN, oxms_of(1), yes(12), *[LOST + yes() + in_state(2)] * 5, LOST * 20),
    "reset": flow(RESET, yes(5)),
    "reset-lost": flow(RESET, LOST, yes(), LOST, yes(), LOST, yes(), oxms_of(0), yes(5)),
    "reset-cancelled": flow(RESET, LOST, yes(), STOP, LOST * 9),
    "soft": flow(SET_STATE, LOST, yes(), in_state(4), state=4),
    "pair": flow(PAIR, creds_of((1, 0)), creds_of((2, 1)), yes(10)),
    "half-a-pair": flow(PAIR, creds_of((1, 1)), creds_of((2, 0)), yes(3), LOST, yes(), creds_of((1, 1), (9, 1)), yes(2), creds_of((2, 0)), yes(5)),
    "identity": flow(IDENTITY, oxms_of(1), yes(2), CSR, yes(9)),
    "roles": flow(ROLES, oxms_of(1), yes(2), bytes([A_CSR, 4]), yes(9)),
    "another-csr": flow(ROLES, oxms_of(1), yes(2), bytes([A_CSR, 3, 99]), yes(9)),
    "anchor": flow(ANCHOR, yes(9)),
    "access": flow(ACCESS, yes(), LOST, yes(9)),
    "no-access": flow(NO_ACCESS, yes(9), number=7),
    "no-credential": flow(NO_CREDENTIAL, creds_of((7, 1)), yes(9), number=7),
    "the-owners": flow(NO_CREDENTIAL, creds_of((7, 2)), yes(9), number=7),
    "cloud": flow(CLOUD, yes(9)),
    "domain": flow(DOMAIN, LOST, yes(), LOST, yes(9)),
    "nonsense": flow(NO_CREDENTIAL, bytes([SOME_BYTES, 9]) + b"\xa1\x65creds\x81\xa0", yes(9), number=7),
}


def main():
    root = pathlib.Path(sys.argv[1])
    for name, files in (("coap_message", MESSAGES), ("coap_endpoint", SCRIPTS), ("svr", LIVES), ("tls_psk", TALKS), ("tls_cert", CHAINS), ("sessions", VISITS),
                        ("remote", NETWORKS), ("obt", ANSWERS)):
        (root / name).mkdir(parents=True, exist_ok=True)
        for file, content in files.items():
            (root / name / file).write_bytes(content)


if __name__ == "__main__":
    main()
