"""The other half: devices on other hosts are discovered, owned by our onboarding tool in every way, used, observed, paired
and given back, also over a cable that loses datagrams, and by a daemon that is killed in between."""
import json
import re
import signal
import time

from dbus_wire import BusError, Ocfd, V
from harness import SLOW, Network, equal, eventually, main, raises, shell, test
from tool_world import Device, LossyNetwork, Tool, plain


def start(w, name="kitchen-light", host=None, tool=True, **sections):
    """Our ocfd with its tool, and a device. Return: (tool, device)."""
    w.configure(Network={"Interfaces": "eth*"})
    host = host or Network(w)
    w.start()
    device = Device(w, host, name, **sections)
    t = Tool(w.connect())
    if tool:
        t.initialize()
    t.seen(name)
    return t, device


def use(tool, path, device):
    """Everything that an app does with a lamp."""
    device.set = device.lamp()
    lamp = tool.resource(path, "/lamp")
    equal(plain(tool.call(lamp, "RemoteResource1", "Retrieve", "a{sv}", {})[0]), {"value": False})
    equal(plain(tool.update(path, "/lamp", {"value": True})), {"value": True})
    value, info = tool.call(lamp, "RemoteResource1", "Observe", "a{sv}", {})
    equal((plain(value), plain(info)["mode"]), ({"value": True}, "push"))
    device.set(False)
    value, info = tool.bus.signal("Notified", lamp, 20 * SLOW)
    equal(plain(value), {"value": False})
    equal((plain(info)["mode"], plain(info)["gap"]), ("push", False))
    equal(tool.property(lamp, "Mode", "RemoteResource1"), "push")
    return lamp


@test()
def an_unowned_device_is_seen_and_told_what_to_do(w):
    tool, device = start(w, tool=False)
    path = tool.find("kitchen-light")
    equal(tool.property(path, "Ownership"), "none")
    equal(tool.property(path, "Transfers"), ["just-works"])
    assert "oic.d.light" in tool.property(path, "Types")
    assert any(e.startswith("coaps://") for e in tool.property(path, "Endpoints")), tool.property(path, "Endpoints")
    equal(tool.find(path.rsplit("/", 1)[1].replace("_", "-")[:8]), path, "by the first digits of its UUID")
    error = raises(BusError, tool.retrieve, path, "/oic/sec/cred")
    assert "ocfctl own" in error.message, error
    error = raises(BusError, tool.begin, "Own", "oa{sv}", path, {})
    assert error.name.endswith("NotInitialized") and "ocfctl init" in error.message, error
    raises(BusError, tool.find, "nobody")


@test()
def owned_by_just_works_used_and_given_back(w):
    tool, device = start(w)
    before = tool.find("kitchen-light")
    path = tool.own("kitchen-light")
    assert path != before, "an owned device has another name"
    equal(tool.property(path, "Ownership"), "mine")
    equal(device.security("State"), "RFNOP")
    equal(device.security("Owner"), tool.bus.property("/org/ocfd", "OnboardingTool1", "DeviceId"))
    equal(device.security("Domain"), "home")
    creds = plain(tool.retrieve(path, "/oic/sec/cred"))["creds"]
    equal(sorted(c.get("credusage", "key") for c in creds), ["key", "oic.sec.cred.cert", "oic.sec.cred.trustca"])
    use(tool, path, device)
    equal(tool.property(path, "Session"), "psk")
    tool.do("Reset", "oa{sv}", path, {})
    eventually(lambda: not device.security("Owned"), "it has no owner", 20)
    equal(tool.bus.property("/org/ocfd", "OnboardingTool1", "Owned"), [])
    tool.seen("kitchen-light")
    tool.own("kitchen-light", certificate=False)


@test()
def owned_by_random_pin(w):
    shown, show = w.directory / "shown", w.directory / "show"
    show.write_text(f"#!/bin/sh\ncat >{shown}.new && mv {shown}.new {shown}\n")
    show.chmod(0o755)
    tool, device = start(w, Security={"PinCommand": show})
    equal(tool.property(tool.find("kitchen-light"), "Transfers"), ["just-works", "random-pin"])
    path = tool.find("kitchen-light")
    good, message = tool.wait(tool.begin("Own", "oa{sv}", path, {"methods": V("as", ["random-pin"]), "pin": V("s", "00000000")}))
    assert not good and "no owner" in message, message
    equal((device.security("Owned"), tool.bus.property("/org/ocfd", "OnboardingTool1", "Owned")), (False, []))

    def ask(m):
        equal(m.args[2], "kitchen-light")
        eventually(shown.exists, "the device shows a PIN")
        return "s", [shown.read_text().split()[0]]

    shown.unlink()
    tool.bus.handlers["AskPin"] = ask
    tool.bus.manager("RegisterAgent", "oa{sv}", "/agent", {})
    tool.seen("kitchen-light")
    path = tool.own("kitchen-light", methods=["random-pin"])
    use(tool, path, device)


def factory(w, name):
    """A manufacturer: its root, and a device's certificate. Return: the folder."""
    d = w.directory / name
    d.mkdir()
    (d / "ca.ext").write_text("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign,digitalSignature\n")
    (d / "leaf.ext").write_text(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature,keyAgreement\nextendedKeyUsage=serverAuth,clientAuth,1.3.6.1.4.1.44924.1.6\n"
    )
    new = "openssl ecparam -name prime256v1 -genkey -noout"
    for line in (
        f"{new} -out ca.key; openssl req -new -key ca.key -subj /CN={name} -out ca.csr",
        "openssl x509 -req -in ca.csr -signkey ca.key -days 3650 -extfile ca.ext -out root.pem",
        f"{new} -out device.key; openssl req -new -key device.key -subj /CN=lamp-1 -out device.csr",
        "openssl x509 -req -in device.csr -CA root.pem -CAkey ca.key -CAcreateserial -days 3650 -extfile leaf.ext -out device.pem",
    ):
        shell(f"cd {d} && {line}")
    return d


@test()
def owned_by_manufacturer_certificate(w):
    good, other = factory(w, "maker"), factory(w, "another")
    tool, device = start(w, Security={"ManufacturerCertificate": good / "device.pem", "ManufacturerKey": good / "device.key"})
    path = tool.find("kitchen-light")
    tool.call("/org/ocfd", "OnboardingTool1", "AddManufacturerAnchor", "s", (other / "root.pem").read_text())
    job = tool.begin("Own", "oa{sv}", path, {"methods": V("as", ["manufacturer-certificate"])})
    succeeded, message = tool.wait(job)
    assert not succeeded, message
    equal(device.security("Owned"), False)
    raises(BusError, tool.call, "/org/ocfd", "OnboardingTool1", "AddManufacturerAnchor", "s", "no certificate")
    tool.call("/org/ocfd", "OnboardingTool1", "AddManufacturerAnchor", "s", (good / "root.pem").read_text())
    tool.seen("kitchen-light")
    path = tool.own("kitchen-light")  # the best way is chosen
    equal(device.security("Transfer"), "manufacturer-certificate")
    use(tool, path, device)


@test()
def over_a_cable_that_loses_datagrams(w):
    w.configure(Network={"Interfaces": "eth*"})
    tool, device = start(w, host=LossyNetwork(w, 10))
    # with so many steps one may fail for good; then the device is as it was, and can be owned
    for _ in range(4):
        path = tool.seen("kitchen-light", seconds=60)
        succeeded, message = tool.wait(tool.begin("Own", "oa{sv}", path, {}), 180)
        if succeeded:
            break
        equal(tool.bus.property("/org/ocfd", "OnboardingTool1", "Owned"), [], message)
        eventually(lambda: not device.security("Owned") and device.security("State") == "RFOTM", "it can be owned again", 180)
    assert succeeded, message
    path = tool.find("kitchen-light")
    device.lamp()
    for value in (True, False, True):
        eventually(lambda: plain(tool.update(path, "/lamp", {"value": value}, timeout_ms=V("u", 30000))) == {"value": value}, "it is switched", 60)
    tool.do("Reset", "oa{sv}", path, {}, seconds=120)
    eventually(lambda: not device.security("Owned"), "it has no owner", 20)


@test()
def what_datagrams_do_not_reach_connections_do(w):
    """A firewall that knows CoAP's port alone: all else over UDP is lost, and TCP is not."""
    tool, device = start(w, host=LossyNetwork(w, 100, spared=5683))
    path = tool.own("kitchen-light", 120)
    use(tool, path, device)
    with Ocfd(device.address) as bus:
        transports = {s["transport"] for s in plain(bus.call("org.ocfd", "/org/ocfd/device/0", "org.ocfd.Security1", "GetSessions")[0])}
    equal(transports, {"tls"})
    tool.do("Reset", "oa{sv}", path, {}, seconds=120)
    eventually(lambda: not device.security("Owned"), "it has no owner", 20)


@test()
def a_device_that_is_killed_is_observed_again(w):
    tool, device = start(w)
    path = tool.own("kitchen-light")
    lamp = use(tool, path, device)
    device.ocfd.kill(signal.SIGKILL)
    time.sleep(1)
    device.start()
    set_lamp = device.lamp()
    equal(device.security("Owned"), True, "it keeps its owner")
    set_lamp(True)

    def gap():
        value, info = tool.bus.signal("Notified", lamp, 5 * SLOW)
        return plain(info).get("gap") and plain(value) == {"value": True}

    # nobody told us: the next request finds out, and the observation follows
    equal(plain(tool.retrieve(path, "/lamp", timeout_ms=V("u", 20000))), {"value": True})
    eventually(gap, "the value after the gap", 120)


@test()
def a_device_that_thinks_is_waited_for(w):
    """It acknowledges at once and answers late: its session is not given up at half of the time."""
    tool, device = start(w)
    path = tool.own("kitchen-light")
    app, asked = device.connect(), []

    def handle(m):
        asked.append(m)
        time.sleep(3.8)
        return "a{sv}", ({"value": V("a{sv}", {"value": True})},)

    app.handlers["Handle"] = handle
    app.register({"/slow": {"rt": ["x.test"], "if": ["oic.if.a"], "handler": "/h"}})
    serial = tool.bus.send("org.ocfd", path, "org.ocfd.RemoteDevice1", "Retrieve", "sa{sv}", ("/slow", {"timeout_ms": V("u", 6000)}))
    eventually(lambda: app.pump(0.1) and asked, "it is asked", 10)
    equal(plain(tool.bus.reply(serial, 20)[0]), {"value": True})
    equal(len(asked), 1, "once")


@test()
def what_is_owned_is_kept_over_a_restart(w):
    tool, device = start(w)
    path = tool.own("kitchen-light")
    device.lamp()
    w.stop_ocfd()
    w.start_ocfd()
    tool = Tool(w.connect())
    equal(len(tool.bus.property("/org/ocfd", "OnboardingTool1", "Owned")), 1)
    path = eventually(lambda: tool.find("kitchen-light"), "it is remembered", 20)
    equal(tool.property(path, "Ownership"), "mine")
    equal(plain(tool.retrieve(path, "/lamp")), {"value": False})
    w.ocfd.kill(signal.SIGKILL)
    w.start_ocfd()
    tool = Tool(w.connect())
    path = eventually(lambda: tool.find("kitchen-light"), "it is remembered", 20)
    eventually(lambda: plain(tool.retrieve(path, "/lamp", timeout_ms=V("u", 20000))) == {"value": False}, "it answers again", 60)


@test()
def a_third_is_paired_and_entries_come_and_go(w):
    w.configure(Network={"Interfaces": "eth*"})
    any_port = {"Port": "auto", "SecurePort": "auto"}  # two daemons on one host
    tool, device = start(w, Network=any_port)
    other = Device(w, device.host, "switch", Network=any_port)
    tool.seen("switch")
    lamp, switch = tool.own("kitchen-light"), tool.own("switch")
    device.lamp()
    theirs = Tool(other.connect())
    path = theirs.seen("kitchen-light")
    raises(BusError, theirs.retrieve, path, "/lamp")
    tool.do("Pair", "oo", lamp, switch)
    error = raises(BusError, theirs.retrieve, path, "/lamp")
    assert "access entry" in error.message, error
    id_of_switch = switch.rsplit("/", 1)[1].replace("_", "-")
    tool.do("AddAccess", "osass", lamp, id_of_switch, ["/lamp"], "ru")
    equal(plain(theirs.retrieve(path, "/lamp")), {"value": False})
    [entry] = [e for e in plain(tool.retrieve(lamp, "/oic/sec/acl2"))["aclist2"] if e["subject"] == {"uuid": id_of_switch}]
    equal(entry["permission"], 6)
    tool.do("RemoveAccess", "oi", lamp, entry["aceid"])
    raises(BusError, theirs.retrieve, path, "/lamp")
    [cred] = [c for c in plain(tool.retrieve(lamp, "/oic/sec/cred"))["creds"] if c["subjectuuid"] == id_of_switch]
    tool.do("RemoveCredential", "oi", lamp, cred["credid"])
    tool.do("IssueIdentity", "o", lamp)
    tool.do("IssueRole", "oas", lamp, ["technician", "owner@home"])
    tool.do("SetDomain", "osb", lamp, "shed", False)
    equal(device.security("Domain"), "shed")
    tool.do("SetState", "os", lamp, "RFPRO")
    equal(device.security("State"), "RFPRO")
    tool.do("SetState", "os", lamp, "RFNOP")
    good, message = tool.wait(tool.begin("RemoveCredential", "oi", lamp, 12345))
    assert not good and "4.04" in message, message
    equal(device.security("State"), "RFNOP", "a failure leaves it in use")


@test()
def the_gateways_own_device_is_owned_by_its_own_tool(w):
    tool, device = start(w)
    path = tool.seen("Test gateway")
    path = tool.own("Test gateway")
    equal(w.connect().property("/org/ocfd/device/0", "Security1", "Owner"), tool.bus.property("/org/ocfd", "OnboardingTool1", "DeviceId"))
    light = tool.own("kitchen-light")
    device.lamp()
    tool.do("Pair", "oo", path, light)
    equal(plain(tool.retrieve(light, "/lamp")), {"value": False}, "the owner's key goes before that of the pair")
    tool.do("Reset", "oa{sv}", path, {})
    equal(tool.property(light, "Ownership"), "mine", "what the tool owns is not touched")


@test()
def many_are_owned_in_one_go(w):
    n = 16
    names = [f"lamp-{i}" for i in range(n)]
    tool, device = start(w, names[0], **{f"Device {i}": {"Name": names[i], "Type": "oic.d.light"} for i in range(1, n)})
    tool.seen(*names)

    def states():
        with Ocfd(device.address) as bus:
            return [(bus.property(f"/org/ocfd/device/{i}", "Security1", "Owned"), bus.property(f"/org/ocfd/device/{i}", "Security1", "State")) for i in range(n)]

    # one of them is ours already, one name is nobody's: said, and the others go on
    tool.own(names[3])
    said = w.ocfctl("own", *names, "nobody", "--timeout", "1", status=1, seconds=60)
    assert f"{names[3]}: " in said and "nobody" in said and f"{n - 1} of {n} devices owned in " in said, said
    equal(said.count(": owned\n"), n - 1, said)
    equal(states(), [(True, "RFNOP")] * n)
    equal(len(tool.bus.property("/org/ocfd", "OnboardingTool1", "Owned")), n)
    for name in names:
        tool.do("Reset", "oa{sv}", tool.find(name), {})
    eventually(lambda: states() == [(False, "RFOTM")] * n, "they are reset", 20)

    # interrupted: each is owned, or as it was
    tool.seen(*names, seconds=60)
    own = w.spawn("own", w.programs["ocfctl"], "--bus", w.address, "own", "--all")
    eventually(lambda: ": owned" in own.output(), "the first one is owned", 30)
    own.kill(signal.SIGINT)
    own.wait(60)
    assert "Taking back" in own.output() and "devices owned in" in own.output(), own.output()
    n_owned = len(re.findall(r"^lamp-.*: owned$", own.output(), re.M))  # the gateway itself is one of all, too
    eventually(lambda: sorted(states()) == [(False, "RFOTM")] * (n - n_owned) + [(True, "RFNOP")] * n_owned, "none is left half way", 20)
    is_gateway_owned = "Test gateway" in own.output().split("Taking back")[0]
    equal(len(tool.bus.property("/org/ocfd", "OnboardingTool1", "Owned")), n_owned + is_gateway_owned)

    # each line is an object of its own for programs
    tool.seen(*names, seconds=60)
    lines = [json.loads(line) for line in w.ocfctl("own", "--all", "--json", seconds=60).splitlines()]
    equal([line["succeeded"] for line in lines], [True] * (n - n_owned + (not is_gateway_owned)), lines)
    equal(states(), [(True, "RFNOP")] * n)


@test()
def a_hundred_are_owned_in_one_go(w):
    n, n_hosts = 100, 7
    names = [f"lamp-{i}" for i in range(n)]
    w.configure(Network={"Interfaces": "eth*"})
    hosts = [Network(w, f"eth{i}", 2 + i) for i in range(n_hosts)]
    w.start()
    for host, i in zip(hosts, range(0, n, 15)):
        first, *others = names[i : i + 15]
        Device(w, host, first, **{f"Device {k + 1}": {"Name": name, "Type": "oic.d.light"} for k, name in enumerate(others)})
    tool = Tool(w.connect())
    tool.initialize()
    tool.seen(*names, seconds=60)
    equal(sum(line["succeeded"] for line in map(json.loads, w.ocfctl("own", "--all", "--json", seconds=120).splitlines())), n + 1)  # and the gateway
    equal(len(tool.bus.property("/org/ocfd", "OnboardingTool1", "Owned")), n + 1)
    for name in names[:: n // 5]:
        equal(tool.property(tool.find(name), "Ownership"), "mine")
        equal(plain(tool.retrieve(tool.find(name), "/oic/sec/pstat"))["dos"]["s"], 3, "in use")


@test()
def jobs_are_cancelled_and_leave_nothing(w):
    tool, device = start(w)
    for _ in range(3):
        path = tool.seen("kitchen-light")
        job = tool.begin("Own", "oa{sv}", path, {})
        tool.call(job, "Job1", "Cancel")
        good, message = tool.wait(job)
        if good:  # it was quicker than we
            tool.do("Reset", "oa{sv}", tool.find("kitchen-light"), {})
        eventually(lambda: not device.security("Owned") and device.security("State") == "RFOTM", "it can be owned again", 20)
        equal(tool.bus.property("/org/ocfd", "OnboardingTool1", "Owned"), [])
    tool.seen("kitchen-light")
    tool.own("kitchen-light")


if __name__ == "__main__":
    main()
