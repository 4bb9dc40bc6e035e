"""The verbs of ocfctl about security, against the real daemon: whose the devices are, who may what, the store, the PIN."""
import os
import pathlib
import re
import stat
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

import test_onboarding
from harness import SOURCE, eventually, equal, main, test

PAGE = (SOURCE / "man/ocfctl.1").read_text().partition(".SH JSON")[2]


def documented(value):
    """Every name in the JSON is one of ocfctl(1)."""
    if isinstance(value, dict):
        for key, item in value.items():
            assert re.search(rf"\b{key}\b", PAGE), f"ocfctl(1) does not know {key!r}"
            documented(item)
    elif isinstance(value, list):
        for item in value:
            documented(item)
    return value


def asked(w, *args):
    return documented(w.ocfctl_json(*args))


def run(w, *args):
    """What it prints, whatever comes of it."""
    result = subprocess.run([w.programs["ocfctl"], "--bus", w.address, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return result.stdout, result.stderr


@test()
def ocfctl_owner_and_reset(w):
    w.configure(**{"Device 1": {"Name": "Second"}})
    w.start()
    owners = asked(w, "owner")["devices"]
    equal([(d["name"], d["security"]["owned"], d["security"]["state"]) for d in owners], [("Test gateway", False, "RFOTM"), ("Second", False, "RFOTM")])
    equal([d["security"]["transfers"] for d in owners], [["just-works"]] * 2)
    text = w.ocfctl("owner")
    assert re.search(r"^Test gateway +none +RFOTM +- +Own it", text, re.MULTILINE), text
    equal(len(asked(w, "owner", "--device", "Second")["devices"]), 1)

    text = w.ocfctl("status")
    assert re.search(r"Owner +none  RFOTM", text) and re.search(r"Next +Own it", text) and "dtls" in text, text
    equal(asked(w, "status")["devices"][0]["security"]["next_step"], owners[0]["security"]["next_step"])

    before = [d["device_id"] for d in owners]
    assert "--yes" in w.ocfctl("reset", status=2)
    equal([d["device_id"] for d in asked(w, "owner")["devices"]], before)
    assert asked(w, "reset", "Second", "--yes")["reset"]
    eventually(lambda: asked(w, "owner")["devices"][1]["device_id"] != before[1], "the second device is another one")
    eventually(lambda: asked(w, "owner")["devices"][1]["security"]["state"] == "RFOTM", "and ready to be owned")
    equal(asked(w, "owner")["devices"][0]["device_id"], before[0])
    w.ocfctl("reset", "9", "--yes", status=3)
    w.stop_ocfd()


@test()
def ocfctl_lists_of_security(w):
    w.start()
    w.serve("/lamp", "value=true")
    w.serve("/safe", "value=true", insecure=False)
    equal(asked(w, "cred", "list")["credentials"], [])
    assert isinstance(asked(w, "acl", "list")["entries"], list)
    assert w.ocfctl("acl", "list").startswith("ID  SUBJECT"), w.ocfctl("acl", "list")
    equal(asked(w, "sessions")["sessions"], [])
    asked(w, "audit")

    # the same answers as the wire gives: the registration opened one of them, and the administrator allows it
    yes = asked(w, "acl", "check", "anon-clear", "get", "/lamp")
    equal((yes["granted"], yes["entry"]), (True, 0))
    equal(w.coap_json(f"coap://127.0.0.1:{port(w)}/lamp"), {"value": True})
    text = w.ocfctl("acl", "check", "anon-clear", "get", "/safe", status=4)
    assert text.startswith("denied: "), text
    assert "no resource" in w.ocfctl("acl", "check", "anon-clear", "get", "/nowhere", status=1)
    assert "subject is" in w.ocfctl("acl", "check", "everybody", "get", "/lamp", status=1)
    assert "method is" in w.ocfctl("acl", "check", "auth-crypt", "fetch", "/lamp", status=1)
    assert w.ocfctl("acl", "check", "role:x@y", "post", "/safe", status=4).startswith("denied: ")


def port(w):
    return next(e.rsplit(":", 1)[1] for e in w.ocfctl_json("status")["devices"][0]["endpoints"] if e.startswith("coap://127.0.0.1:"))


@test()
def ocfctl_of_an_owned_device(w):
    """What its owner's tool wrote, as people see it; and that reset is a way back."""
    tool, device = test_onboarding.start(w)
    tool.own(device)
    [known] = asked(w, "owner")["devices"]
    equal((known["device_id"], known["security"]["owner"], known["security"]["state"]), (device, tool.owner, "RFNOP"))
    assert f"Owner     {tool.owner}  RFNOP" in w.ocfctl("status"), w.ocfctl("status")

    creds = asked(w, "cred", "list")["credentials"]
    assert (tool.owner, "key") in [(c["subject"], c["kind"]) for c in creds], creds
    secrets = w.ocfctl("cred", "list", "--json")
    assert "privatedata" not in secrets and "PRIVATE" not in secrets, secrets
    entries = asked(w, "acl", "list")["entries"]
    [mine] = [e for e in entries if "all" in e["resources"]]
    equal((mine["subject"], mine["permissions"]), (tool.owner, ["create", "retrieve", "update", "delete", "notify"]))

    # as the wire says
    equal(tool.ask("get", device, "/lamp")["answer"], "2.05")
    equal(asked(w, "acl", "check", tool.owner, "get", "/lamp"), {"granted": True, "reason": "an entry grants it", "entry": mine["id"]})
    assert w.ocfctl("acl", "check", "anon-clear", "get", "/lamp", status=4).startswith("denied: ")
    checks = asked(w, "doctor")["checks"]
    assert "Its owner has a credential to come back with" in [c["text"] for c in checks], checks

    w.ocfctl("reset", "--yes")
    [again] = eventually(tool.unowned, "it is unowned again", 20)
    assert again != device
    equal(asked(w, "cred", "list")["credentials"], [])
    tool.own(again)


@test()
def ocfctl_store(w):
    w.start()
    copy = w.directory / "copy"
    assert asked(w, "store", "check")["report"]
    assert asked(w, "store", "backup", copy)["done"] == "backup"
    equal(stat.S_IMODE(copy.stat().st_mode), 0o600)
    assert copy.stat().st_size > 1000 and copy.read_bytes().startswith(b"SQLite format 3")
    assert "left as it is" in w.ocfctl("store", "backup", copy, status=1)
    equal(list((w.directory / "state").glob("admin-copy*")), [])

    device = asked(w, "owner")["devices"][0]["device_id"]
    w.ocfctl("reset", "--yes")
    eventually(lambda: asked(w, "owner")["devices"][0]["device_id"] != device, "the device is another one")

    nonsense = w.directory / "nonsense"
    nonsense.write_bytes(b"no database " * 1000)
    other = asked(w, "owner")["devices"][0]["device_id"]
    w.ocfctl("store", "restore", nonsense, "--yes", status=1)
    assert w.ocfd.runs()
    equal(asked(w, "owner")["devices"][0]["device_id"], other)

    assert "starts again" in w.ocfctl("store", "restore", copy, "--yes")
    eventually(lambda: device in "".join(run(w, "owner", "--json")), "ocfd starts again, with what was in the copy")
    w.ocfctl("store", "check")

    fifo = w.directory / "fifo"
    subprocess.run(["mkfifo", fifo], check=True)
    other_end = os.open(fifo, os.O_RDWR)
    assert "regular file" in w.ocfctl("store", "restore", fifo, "--yes", status=1)
    os.close(other_end)


@test()
def ocfctl_doctor(w):
    w.configure(Security={"AllowInsecure": "no"})
    w.start()
    checks = asked(w, "doctor")
    equal(checks["problems"], 0, str(checks))
    names = [c["check"] for c in checks["checks"]]
    for wanted in ("bus", "polkit", "clock", "network", "notices", "store", "device Test gateway"):
        assert wanted in names, names
    assert "ok  bus: " in w.ocfctl("doctor")
    w.stop_ocfd()
    w.ocfctl("doctor", status=6)

    for file in (w.directory / "state").glob("*.db"):  # somebody meddles with what ocfd remembers
        data = bytearray(file.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 64] = b"x" * 64
        file.write_bytes(data)
    w.start_ocfd()
    text = w.ocfctl("doctor", status=1)
    assert "!!  device Test gateway" in text and "!!  store" in text, text
    assert "sealed" in w.ocfctl("owner") and "sealed" in w.ocfctl("status")
    w.ocfctl("reset", "--yes", status=1)


@test()
def ocfctl_pin(w):
    w.start()
    pin = w.spawn("pin", w.programs["ocfctl"], "--bus", w.address, "pin", "--json")
    pin.says("Waiting")
    eventually(lambda: "random-pin" in asked(w, "owner")["devices"][0]["security"]["transfers"], "a PIN can be shown")

    # somebody else may not have a person type a PIN of theirs
    stranger = w.connect()
    names = stranger.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "ListNames", "")[0]
    refused = 0
    for name in names:
        if name.startswith(":"):
            try:
                stranger.call(name, "/org/ocfd/agent", "org.ocfd.Agent1", "ShowPin", "osu", "/org/ocfd/device/0", "666666", 60)
            except Exception:
                refused += 1
    assert refused and "666666" not in pin.output(), pin.output()
    w.stop_ocfd()
    pin.says("waiting for it")
    w.start_ocfd()
    eventually(lambda: pin.output().count("Waiting") == 2, "it is registered again")
    pin.kill()
    eventually(lambda: "random-pin" not in asked(w, "owner")["devices"][0]["security"]["transfers"], "nobody shows a PIN any more")


if __name__ == "__main__":
    main()
