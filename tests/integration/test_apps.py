"""Local apps as OCF resources: they come, are used, go, come back."""
import json
import os
import pathlib
import shutil
import subprocess
import time

from coap_wire import NON, OBSERVE, VERSION_CONTENT, MAX_AGE, Peer, uint
from dbus_wire import BusError, V
from harness import SOURCE, SLOW, Network, Skip, equal, eventually, main, raises, shell, test

SWITCH = "oic.r.switch.binary"


def hrefs(links):
    return {link["href"] for link in links}


@test()
def two_apps_are_resources(w):
    host = Network(w)
    w.start()
    w.lamp()
    thermometer = w.serve("/thermometer", "temperature=21.5", rt="oic.r.temperature", interface="oic.if.s")

    # by multicast, as a stranger on the network finds them
    for group in ("224.0.1.187", "ff02::158%eth0", "ff03::158%eth0"):
        with Peer(group, network=host, timeout=4 * SLOW) as peer:
            token = peer.send(NON, 1, "/oic/res")
            m = peer.receive(token=token)
            equal((m.code, m.kind), ("2.05", NON), f"discovery through {group}")
            links = peer.rest_of(m, "/oic/res")
            assert {"/lamp", "/thermometer", "/oic/d", "/oic/p"} <= hrefs(links), links
            assert m.source[0] in (host.ours, host.ours6) or m.source[0].startswith("fe80"), m.source
    with Peer("224.0.1.187", network=host) as peer:
        token = peer.send(NON, 1, "/oic/res", "rt=oic.r.temperature")
        equal(hrefs(peer.receive(token=token).value()), {"/thermometer"})
        peer.send(NON, 1, "/oic/res", "rt=oic.r.none-such")
        raises(TimeoutError, peer.receive, 2.5 * SLOW)

    # by unicast, with libcoap's client, over both families
    for address in (host.ours, f"[{host.ours6}]"):
        base = f"coap://{address}"
        links = w.coap_json(f"{base}/oic/res", network=host)
        assert {"/lamp", "/thermometer"} <= hrefs(links), links
        lamp = next(link for link in links if link["href"] == "/lamp")
        assert any(e["ep"].startswith(base) for e in lamp["eps"]), lamp
        equal(w.coap_json(f"{base}/thermometer", network=host)["temperature"], 21.5)
    base = f"coap://{host.ours}"

    # set, and the app in C knows
    for on in (True, False):
        body = json.dumps({"value": on})
        answer = w.coap_json(f"{base}/lamp", "-m", "post", "-t", "50", "-e", body, network=host)
        equal(answer["value"], on, "the answer to the update")
        equal(w.coap_json(f"{base}/lamp", network=host)["value"], on)

    # a sensor does not let itself be set
    text = w.coap(f"{base}/thermometer", "-m", "post", "-t", "50", "-e", '{"temperature":99}', network=host)
    assert "4.05" in text or "4.03" in text, text

    # observe both
    lamp_observer = w.coap_observe(f"{base}/lamp", network=host)
    temperature_observer = w.coap_observe(f"{base}/thermometer", network=host)
    lamp_observer.says(r'"value": ?false')
    temperature_observer.says(r'"temperature": ?21\.5')
    thermometer.write("temperature=22.25")
    temperature_observer.says(r'"temperature": ?22\.25')
    w.coap_json(f"{base}/lamp", "-m", "post", "-t", "50", "-e", '{"value":true}', network=host)
    lamp_observer.says(r'"value": ?true')


def sockets_of(process):
    links = []
    for fd in os.listdir(f"/proc/{process.pid}/fd"):
        try:
            links.append(os.readlink(f"/proc/{process.pid}/fd/{fd}"))
        except FileNotFoundError:
            pass
    return sum(link.startswith("socket:") for link in links)


@test()
def the_channel_and_the_bus_say_the_same(w):
    """A handler in C, first through its channel, then with the channel switched off: a peer cannot tell."""
    w.start()
    peer = w.peer()
    heard = {}
    for how in ("channel", "bus"):
        environment = {**os.environ, "OCF_CLIENT_CHANNEL": "no"} if how == "bus" else None
        lamp = w.spawn(f"lamp-{how}", w.programs["lamp"], w.address, env=environment)
        eventually(lambda: w.is_registered("/lamp"), "/lamp is registered")
        before = time.monotonic()
        eventually(lambda: sockets_of(lamp) == (2 if how == "channel" else 1), "its bus, and its channel")
        first = peer.observe("/lamp")
        answers = [first, peer.get("/lamp"), peer.get("/lamp", "if=oic.if.baseline"), peer.post("/lamp", {"value": True, "brightness": 30})]
        answers.append(peer.receive(token=first.token))
        answers += [peer.post("/lamp", {"brightness": 300}), peer.post("/lamp", {"value": 1}), peer.request(4, "/lamp"), peer.get("/lamp")]
        heard[how] = [(m.code, m.payload) for m in answers]
        assert time.monotonic() - before < 10 * SLOW
        lamp.kill()
        equal(peer.receive(token=first.token).code, "4.04")
    equal(heard["channel"], heard["bus"])
    equal([code for code, _ in heard["bus"]], ["2.05", "2.05", "2.05", "2.04", "2.05", "4.00", "4.00", "4.05", "2.05"])


@test()
def app_killed_its_resource_is_gone_and_observers_get_4_04(w):
    w.start()
    lamp = w.lamp()
    w.serve("/stays", "x=1")
    peer = w.peer()
    first = peer.observe("/lamp")
    equal((first.code, first.option(OBSERVE) is not None), ("2.05", True))
    lamp.kill()
    equal(peer.receive(token=first.token).code, "4.04", "what the observer hears")
    equal(peer.get("/lamp").code, "4.04")
    equal(hrefs(peer.links()) & {"/lamp", "/stays"}, {"/stays"})
    equal(peer.get("/stays").value()["x"], 1)


@test()
def lingering_app_is_5_03_then_back(w):
    w.start()
    peer = w.peer()
    app = w.connect()
    resource = {"/meter": {"rt": ["x.meter"], "if": ["oic.if.s"], "value": {"kwh": 1}, "insecure": True}}
    app.register(resource, name="meter", linger_ms=20000)
    first = peer.observe("/meter")
    equal(first.code, "2.05")
    app.close()
    m = eventually(lambda: (lambda m: m.code == "5.03" and m)(peer.get("/meter")), "5.03 while it lingers")
    assert 0 < m.number(MAX_AGE) <= 60, m
    assert "/meter" in hrefs(peer.links())
    resource["/meter"]["value"] = {"kwh": 2}
    w.connect().register(resource, name="meter", linger_ms=20000)
    m = peer.receive(token=first.token)
    equal((m.code, m.value()["kwh"]), ("2.05", 2), "the observer hears of the new run")
    equal(peer.get("/meter").value()["kwh"], 2)


@test()
def lingering_ends(w):
    w.start()
    peer = w.peer()
    app = w.connect()
    app.register({"/meter": {"rt": ["x.meter"], "value": {"kwh": 1}, "insecure": True}}, name="meter", linger_ms=700)
    first = peer.observe("/meter")
    app.close()
    equal(peer.receive(token=first.token).code, "4.04", "what the observer hears when the time is over")
    equal(peer.get("/meter").code, "4.04")


@test()
def daemon_killed_and_restarted_apps_are_back(w):
    w.start()
    w.lamp()
    thermometer = w.serve("/thermometer", "temperature=21.5")
    peer = w.peer()
    equal(peer.get("/thermometer").value()["temperature"], 21.5)
    time.sleep(0.3)  # the list of hrefs is written a moment after they came
    w.ocfd.kill()
    w.start_ocfd()
    seen = set()

    def is_back():
        m = peer.get("/thermometer")
        seen.add(m.code)
        return m.code == "2.05" and peer.get("/lamp").code == "2.05"

    eventually(is_back, "both apps are back by themselves", 15)
    assert seen <= {"5.03", "2.05"}, f"in between there was {seen}"
    thermometer.write("temperature=22")
    eventually(lambda: peer.get("/thermometer").value()["temperature"] == 22, "the app goes on")


@test()
def after_a_restart_hrefs_of_the_last_run_are_5_03(w):
    w.start()
    app = w.connect()
    app.register({"/was-here": {"rt": ["x.test"], "value": {"a": 1}, "insecure": True}})
    time.sleep(0.5)
    w.ocfd.kill()
    w.start_ocfd()
    peer = w.peer()
    m = peer.get("/was-here")
    equal(m.code, "5.03")
    assert m.option(MAX_AGE) is not None, m
    equal(peer.get("/never-was").code, "4.04")


@test()
def local_apps_use_each_other(w):
    w.start()
    lamp, user = w.connect(), w.connect()
    handled = []

    def handle(m):
        method, href, request = m.args
        handled.append((method, href, request))
        if method == "update" and request["value"].get("brightness") == 1000:
            raise BusError("org.ocfd.Error.BadRepresentation", "brightness goes to 100")
        return "a{sv}", ({"value": V("a{sv}", {"brightness": len(handled)})},)

    lamp.handlers["Handle"] = handle
    published = {"rt": ["x.test"], "if": ["oic.if.a"], "value": {"text": "grüß", "on": False, "list": [1, 2.5]}}
    lamp.register({"/published": published, "/handled": {"rt": ["x.test"], "if": ["oic.if.a"], "handler": "/h"}})

    value, info = user.retrieve("/published")
    equal(value, {"text": "grüß", "on": False, "list": [1, 2.5]})
    equal(info["code"], "2.05")
    value, info = user.retrieve("/published", interface="oic.if.baseline")
    equal((value["rt"], "oic.if.baseline" in value["if"], value["on"]), (["x.test"], True, False))
    value, info = user.update("/published", {"on": True})
    equal((value["on"], info["code"]), (True, "2.04"))
    told = lamp.signal("Updated")
    equal((told[0]["on"], told[0]["text"], told[1]["uid"]), (True, "grüß", os.getuid()))

    # a handler answers while its app goes on with other things
    path = user.find("/handled")
    serial = user.send("org.ocfd", path, "org.ocfd.Resource1", "Retrieve", "a{sv}", ({},))
    eventually(lambda: lamp.pump(0.1) and handled, "the handler is asked")
    equal(user.reply(serial)[0], {"brightness": 1})
    equal(handled[0][:2], ("retrieve", "/handled"))
    assert handled[0][2]["uid"] == os.getuid() and handled[0][2]["timeout_ms"] > 0, handled[0]
    serial = user.send("org.ocfd", path, "org.ocfd.Resource1", "Update", "va{sv}", (V("a{sv}", {"brightness": 1000}), {}))
    eventually(lambda: lamp.pump(0.1) and len(handled) > 1, "the handler is asked again")
    error = raises(BusError, user.reply, serial)
    equal((error.name, "brightness goes to 100" in error.message), ("org.ocfd.Error.BadRepresentation", True))

    # observing
    path = user.find("/published")
    value, info = user.resource(path, "Observe", "a{sv}", {})
    equal(value["on"], True)
    app = user.property(path, "Resource1", "Application")
    lamp.publish(app, "/published", {"on": False})
    equal(user.signal("Notified", path)[0]["on"], False)
    lamp.close()
    eventually(lambda: "error" in user.signal("Notified", path)[1], "the end of the resource is told")
    error = raises(BusError, user.retrieve, "/published")
    equal(error.name, "org.ocfd.Error.NotFound")

    # a handler that never answers
    mute = w.connect()
    mute.handlers["Handle"] = lambda m: None
    mute.register({"/mute": {"rt": ["x.test"], "handler": "/h"}})
    error = raises(BusError, user.retrieve, "/mute", timeout_ms=V("u", 300))
    equal(error.name, "org.ocfd.Error.Timeout")


@test()
def registering_is_all_or_nothing(w):
    w.start()
    app, other = w.connect(), w.connect()
    fine = {"rt": ["x.test"], "value": {"a": 1}}
    other.register({"/taken": fine}, name="the other app")
    wrong = {
        "/taken": (fine, "AlreadyExists", "the other app"),
        "/oic/mine": (fine, "InvalidArguments", "/oic"),
        "/a/../b": (fine, "InvalidArguments", ".."),
        "no-slash": (fine, "InvalidArguments", "no-slash"),
        "/a//b": (fine, "InvalidArguments", "/a//b"),
        "/x": ({"value": {"a": 1}}, "InvalidArguments", "rt"),
        "/y": ({"rt": ["x.test"], "if": ["oic.if.nothing"]}, "InvalidArguments", "oic.if.nothing"),
        "/" + "l" * 300: (fine, "InvalidArguments", "256"),
    }
    for href, (properties, name, words) in wrong.items():
        error = raises(BusError, app.register, {"/good": fine, href: properties})
        equal(error.name, f"org.ocfd.Error.{name}", href)
        assert words in error.message, f"{href}: the sentence does not say {words!r}: {error.message}"
        equal(raises(BusError, app.find, "/good").name, "org.ocfd.Error.NotFound", f"after {href}")
    error = raises(BusError, app.register, {"/good": fine}, device="/org/ocfd/device/77")
    equal(error.name, "org.ocfd.Error.NotFound")
    # only the owner changes what is registered
    path = other.register({"/mine": fine})
    equal(raises(BusError, app.publish, path, "/mine", {"a": 2}).name, "org.ocfd.Error.NotAllowed")
    equal(raises(BusError, app.unregister, path).name, "org.ocfd.Error.NotAllowed")
    other.unregister(path, ["/mine"])
    equal(raises(BusError, app.find, "/mine").name, "org.ocfd.Error.NotFound")


@test()
def rules_narrow_what_a_user_may_register(w):
    rules = w.directory / "apps.d"
    rules.mkdir()
    (rules / "10-mine.conf").write_text(f"[App]\nUser={os.getuid()}\nRegister=/mine/?*\nTypes=x.allowed.*\nUse=/oic/d\nInsecure=no\n")
    w.configure(Daemon={"AppsDirectory": rules})
    w.start()
    app = w.connect()
    fine = {"rt": ["x.allowed.thing"], "value": {"a": 1}}
    app.register({"/mine/a": fine})
    for href, more in {"/others": {}, "/mine": {}, "/mine/b": {"rt": ["x.forbidden"]}, "/mine/c": {"insecure": True}}.items():
        error = raises(BusError, app.register, {href: {**fine, **more}})
        equal(error.name, "org.ocfd.Error.NotAllowed", href)
        assert "10-mine.conf" in error.message, error.message
    equal(app.retrieve("/mine/a")[0], {"a": 1}, "its own it may use")
    equal(app.retrieve("/oic/d")[1]["code"], "2.05")
    equal(raises(BusError, app.retrieve, "/oic/res").name, "org.ocfd.Error.NotAllowed")
    # a rule that cannot be read is a refusal to start, not a rule less
    w.stop_ocfd()
    (rules / "20-bad.conf").write_text("[App]\nUzer=me\n")
    w.start_ocfd(wait=False)
    equal(w.ocfd.wait(), 6)
    w.ocfd.expected = "refused"
    assert "20-bad.conf:2" in w.ocfd.output(), w.ocfd.output()


@test()
def busctl_alone_registers_with_linger(w):
    if not shutil.which("busctl"):
        raise Skip("busctl is not installed (systemd)")
    w.start()
    busctl = ["busctl", f"--address={w.address}"]
    shell(
        busctl
        + ["call", "org.ocfd", "/org/ocfd", "org.ocfd.Manager1", "Register", "oa(sa{sv})a{sv}", "/"]
        + ["1", "/from-shell", "4", "rt", "as", "1", "x.test", "if", "as", "1", "oic.if.a", "insecure", "b", "true", "value", "a{sv}", "1", "level", "x", "7"]
        + ["2", "name", "s", "shell", "linger_ms", "t", "600000"]
    )
    # busctl has left the bus: the registration lingers, and a restarted app of that name takes it over
    peer = w.peer()
    eventually(lambda: peer.get("/from-shell").code == "5.03", "it lingers")
    tree = shell(busctl + ["tree", "org.ocfd"])
    assert "/org/ocfd/resource/" in tree, tree
    w.connect().register({"/from-shell": {"rt": ["x.test"], "if": ["oic.if.a"], "insecure": True, "value": {"level": 8}}}, name="shell")
    equal(peer.get("/from-shell").value()["level"], 8)
    path = w.connect().find("/from-shell")
    out = shell(busctl + ["call", "org.ocfd", path, "org.ocfd.Resource1", "Retrieve", "a{sv}", "0"])
    assert '"level" x 8' in out, out
    out = shell(busctl + ["introspect", "org.ocfd", path])
    assert "org.ocfd.Resource1" in out and "Retrieve" in out, out


@test()
def ocfctl_does_what_it_says(w):
    not_there = w.ocfctl("status", status=6)
    assert "bus" in not_there, not_there
    w.start()
    door = w.serve("/door", "open=false", "n_opened=0", rt="x.door", interface="oic.if.a")
    w.lamp()
    assert "Test gateway" in w.ocfctl("status")
    assert {"/door", "/lamp"} <= {r["href"] for r in w.ocfctl_json("resources")["resources"]}
    assert any("/door" in json.dumps(a) for a in w.ocfctl_json("apps")["applications"])
    equal(w.ocfctl_json("get", "/door"), {"open": False, "n_opened": 0})
    observer = w.spawn("observer", w.programs["ocfctl"], "--bus", w.address, "observe", "/door", "--json")
    monitor = w.spawn("monitor", w.programs["ocfctl"], "--bus", w.address, "monitor", "--json")
    observer.says('"open": ?false')
    monitor.says("/door")
    equal(w.ocfctl_json("set", "/door", "open=true")["open"], True)
    observer.says('"open": ?true')
    monitor.says('"open": ?true')
    door.says("^updated open=true$")
    door.write("n_opened=1")
    observer.says('"n_opened": ?1')
    door.write('{"n_opened": 2, "open": false}')
    observer.says('"n_opened": ?2')
    equal(w.peer().get("/door").value(), {"open": False, "n_opened": 2})
    w.ocfctl("get", "/none", status=3)
    w.ocfctl("get", status=2)
    w.ocfctl("no-such-command", status=2)
    w.ocfctl("set", "/lamp", "brightness=101", status=1)
    door.popen.terminate()
    equal(door.wait(), 0)
    observer.says("NotFound")
    monitor.says(r'"event": ?"removed".*"/door"')


@test()
def examples_in_c_and_shell(w):
    examples = w.build / "examples"
    # in any order: who comes first waits for the others
    reader = w.spawn("reader", examples / "reader", "/lamp", w.address)
    w.start()
    w.lamp()
    reader.says("value=false")
    thermometer = w.spawn("thermometer", examples / "thermometer", w.address)
    peer = w.peer()
    celsius = eventually(lambda: (lambda m: m.code == "2.05" and m.value())(peer.get("/thermometer")), "the thermometer is there")
    assert isinstance(celsius["temperature"], float) and 20 <= celsius["temperature"] <= 23, celsius
    first = peer.observe("/thermometer")
    assert peer.receive(token=first.token).value()["temperature"] != first.value()["temperature"], "it measures once a second"
    peer.post("/lamp", {"value": True, "brightness": 7})
    reader.says("value=true.*brightness=7")
    w.ocfd.kill()
    w.start_ocfd()
    eventually(lambda: w.peer().get("/thermometer").code == "2.05", "the thermometer is back", 15)
    w.peer().post("/lamp", {"brightness": 8})
    reader.says("brightness=8")
    if shutil.which("busctl"):
        out = shell(["sh", SOURCE / "examples/busctl.sh", w.address])
        assert "/org/ocfd/device/0" in out and '"di"' in out, out
        eventually(lambda: w.peer().get("/door").code == "5.03", "what busctl registered lingers")


def example_app(w, argv):
    """The same app in another language: registers /sample, answers, publishes, and comes back by itself."""
    w.start()
    app = w.spawn("example", *argv, env={"OCFD_BUS_ADDRESS": w.address, "DBUS_SYSTEM_BUS_ADDRESS": w.address})
    peer = w.peer()
    found = []

    def is_there():
        assert app.runs(), app.output()
        found[:] = [link for link in peer.links() if not link["href"].startswith("/oic")]
        return found

    eventually(is_there, "it has registered")
    href = found[0]["href"]
    before = peer.get(href)
    equal(before.code, "2.05")
    boolean = next((k for k, v in before.value().items() if isinstance(v, bool)), None)
    assert boolean, before.value()
    changed = peer.post(href, {boolean: not before.value()[boolean]})
    equal((changed.code, changed.value()[boolean]), ("2.04", not before.value()[boolean]))
    w.ocfd.kill()
    w.start_ocfd()
    eventually(lambda: peer.get(href).code == "2.05", "it is back after a restart of ocfd", 15)
    w.stop_bus()
    w.start_bus()
    w.await_name()
    eventually(lambda: peer.get(href).code == "2.05", "it is back after a restart of the bus", 20)


@test()
def python_app(w):
    if subprocess.run(["/usr/bin/python3", "-c", "import dbus, gi"], capture_output=True).returncode:
        raise Skip("the Python example wants Debian's python3-dbus and python3-gi")
    example_app(w, ["/usr/bin/python3", SOURCE / "examples/lamp.py", w.address])


@test(npm=True)
def node_app(w):
    if not shutil.which("node"):
        raise Skip("node is not installed (nodejs)")
    pathlib.Path(w.directory, "node_modules").symlink_to(f"{w.npm}/node_modules")
    shutil.copy(SOURCE / "examples/lamp.mjs", w.directory)
    example_app(w, ["node", w.directory / "lamp.mjs", w.address])


if __name__ == "__main__":
    main()
