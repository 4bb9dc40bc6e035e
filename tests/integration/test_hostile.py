"""A local user who means harm: nothing he sends crashes, blocks or swells the daemon, nor gets it thrown off the bus."""
import os
import struct
import threading
import time

from dbus_wire import METHOD_CALL, PATH, INTERFACE, MEMBER, DESTINATION, Bus, BusError, Ocfd, V, build
from harness import SLOW, equal, eventually, main, raises, test

MIB = 1 << 20
ROOM_FOR_ONE_USER = 24 * MIB  # what quotas let one uid have of us, and some slack (it is 16 MiB of values)


class Watch:
    """Before and after: the daemon is the same process, on the bus with the same name, no fatter than it may be, and answers."""

    def __init__(self, w):
        w.start()
        self.w = w
        self.app = w.connect()
        self.app.register({"/honest": {"rt": ["x.test"], "value": {"a": 1}, "insecure": True}}, name="honest")
        self.foe = w.connect_as_other_user()
        self.peer = w.peer()
        equal(self.peer.get("/honest").code, "2.05")
        self.pid = w.ocfd.pid
        self.owner = self.owner_of_name()
        self.rss = w.ocfd.rss()

    def owner_of_name(self):
        return self.app.call("org.freedesktop.DBus", "/", "org.freedesktop.DBus", "GetNameOwner", "s", "org.ocfd")[0]

    def is_well(self, room=ROOM_FOR_ONE_USER):
        assert self.w.ocfd.runs(), f"ocfd ended with {self.w.ocfd.popen.returncode}"
        equal(self.owner_of_name(), self.owner, "its unique name on the bus")
        begun = time.monotonic()
        equal(self.app.retrieve("/honest")[0], {"a": 1})
        equal(self.peer.get("/honest").code, "2.05")
        assert time.monotonic() - begun < 3 * SLOW, "it answers slowly"
        grown = self.w.ocfd.rss() - self.rss
        allowed = room * (4 if self.is_sanitized() else 1)
        assert grown < allowed, f"ocfd grew by {grown / MIB:.1f} MiB"

    def is_sanitized(self):
        return "asan" in open(f"/proc/{self.pid}/maps").read()


@test()
def wrong_signatures_are_refused(w):
    watch = Watch(w)
    calls = [
        ("/org/ocfd", "Manager1", "Register", "", ()),
        ("/org/ocfd", "Manager1", "Register", "s", ("x",)),
        ("/org/ocfd", "Manager1", "Register", "oa(sv)a{sv}", ("/", [("/x", 1)], {})),
        ("/org/ocfd", "Manager1", "Register", "oa(sa{sv})a{ss}", ("/", [], {})),
        ("/org/ocfd", "Manager1", "GetResource", "oo", ("/", "/x")),
        ("/org/ocfd", "Manager1", "NoSuchMethod", "", ()),
        ("/org/ocfd", "NoSuchInterface", "Register", "", ()),
        ("/org/ocfd/nothing/here", "Resource1", "Retrieve", "a{sv}", ({},)),
        ("/org/ocfd/resource/99999999999999999999999", "Resource1", "Retrieve", "a{sv}", ({},)),
        ("/org/ocfd/resource/1", "Application1", "Unregister", "as", ([],)),
    ]
    for path, interface, member, signature, args in calls:
        error = raises(BusError, watch.foe.call, "org.ocfd", path, f"org.ocfd.{interface}", member, signature, *args)
        assert error.name.startswith(("org.freedesktop.DBus.Error.", "org.ocfd.Error.")), error
    # properties of the wrong type within the right signature
    for key, value in {"rt": V("s", "x"), "if": V("ay", b"x"), "value": V("s", "x"), "handler": V("s", "x"), "insecure": V("s", "yes"), "n": V("as", []), "unknown": 1}.items():
        error = raises(BusError, watch.foe.register, {"/x": {"rt": ["x.test"], key: value}})
        equal(error.name, "org.ocfd.Error.InvalidArguments", key)
        assert key in error.message, f"the sentence does not name {key}: {error.message}"
    watch.is_well()


@test()
def strange_strings_are_refused(w):
    watch = Watch(w)
    fine = {"rt": ["x.test"], "value": {"a": 1}}
    for href in ("", "/", "/..", "/a/../../oic/sec/doxm", "/a/./b", "//", "/a/", "/a//b", "/x" * 129, "/" + "y" * MIB, "/\U0001f4a9" * 200):
        error = raises(BusError, watch.foe.register, {href: fine})
        equal(error.name, "org.ocfd.Error.InvalidArguments", repr(href[:20]))
        assert len(error.message) < 1000, "the sentence repeats what it was given"
    for href in ("/a?b", "/a#b", "/%2e%2e", "/ü", "/a b"):
        try:
            watch.foe.register({href: fine})
        except BusError as error:
            equal(error.name, "org.ocfd.Error.InvalidArguments", href)
    for key, value in {"rt": ["t" * MIB], "n": "n" * MIB, "value": {"k": "v" * MIB}, "if": ["i" * MIB]}.items():
        raises(BusError, watch.foe.register, {"/x": {**fine, key: value}})
    raises(BusError, watch.foe.register, {"/x": fine}, name="n" * MIB)
    raises(BusError, watch.foe.register, {"/x": {**fine, "value": {"k" * MIB: 1}}})
    raises(BusError, watch.foe.register, {"/x": {**fine, "value": {str(i): i for i in range(100000)}}})
    raises(BusError, watch.foe.register, {"/x": {**fine, "rt": [f"x.t{i}" for i in range(50000)]}})
    watch.is_well()
    # strings that are not UTF-8, or hold a NUL: the bus hangs up on who sends them
    for data in (b"\xff\xfe", b"a\0b", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80"):
        rude = w.connect_as_other_user()
        body = struct.pack("<I", 1) + b"/\0" + b"\0\0" + struct.pack("<I", len(data)) + data + b"\0"
        try:
            rude.call("org.ocfd", "/org/ocfd", "org.ocfd.Manager1", "GetResource", "os", body=body, timeout=3)
        except (BusError, OSError):
            pass
        else:
            raise AssertionError(f"{data} was accepted")
    watch.is_well()


@test()
def deeply_nested_values_are_refused(w):
    watch = Watch(w)
    for depth in (17, 30, 60):
        value = 1
        for _ in range(depth):
            value = V("a{sv}", {"k": value}) if depth % 2 else V("av", [value])
        for call in (
            lambda: watch.foe.register({"/deep": {"rt": ["x.test"], "value": {"k": value}}}),
            lambda: watch.foe.update("/honest", {"a": value}),
        ):
            try:
                call()
            except BusError:
                pass
            except ConnectionError:  # the bus itself refuses such a message, and its sender
                watch.foe = w.connect_as_other_user()
            else:
                raise AssertionError(f"a value {depth} deep was accepted")
        watch.is_well()
    # the same from the wire: it must not be passed on to the bus in a way that gets us thrown off it
    observer = w.connect()
    observer.register({"/deep": {"rt": ["x.test"], "if": ["oic.if.a"], "value": {"a": 1}, "insecure": True}})
    path = observer.find("/deep")
    observer.resource(path, "Observe", "a{sv}", {})
    for depth in (10, 15, 16, 17, 31, 64, 200):
        m = watch.peer.request(2, "/deep", payload=b"\xa1\x61a" + b"\x81" * depth + b"\x01")
        assert m.code in ("2.04", "4.00", "4.13"), m.code
    watch.peer.request(2, "/deep", payload=b"\xa1\x61a\x01")
    equal(watch.peer.get("/deep").value(), {"a": 1})
    watch.is_well()


@test()
def ten_thousand_registrations_meet_the_quota(w):
    watch = Watch(w)
    greedy = w.connect_as_other_user()
    n = 0
    error = None
    # 10,000 hrefs in calls of 100, each with a value
    for i in range(100):
        try:
            greedy.register({f"/greedy/{i}/{j}": {"rt": ["x.test"], "value": {"text": "v" * 400}} for j in range(100)}, timeout=20 * SLOW)
            n += 100
        except BusError as e:
            error = e
    assert error is not None, "there was no limit"
    equal(error.name, "org.ocfd.Error.LimitsExceeded")
    assert 100 <= n < 10000, n
    watch.is_well()
    # 10,000 in one call
    error = raises(BusError, greedy.register, {f"/all/{i}": {"rt": ["x.test"]} for i in range(10000)}, timeout=30 * SLOW)
    equal(error.name, "org.ocfd.Error.LimitsExceeded")
    greedy.close()
    eventually(lambda: watch.app.statistics()["resources"] < 20, "they are gone with their app", 20)
    # values that add up
    fat = w.connect_as_other_user()
    error = None
    for i in range(500):
        try:
            fat.register({f"/fat/{i}": {"rt": ["x.test"], "value": {"text": "v" * 60000}}})
        except BusError as e:
            error = e
            break
    assert error and error.name == "org.ocfd.Error.LimitsExceeded", error
    watch.is_well(ROOM_FOR_ONE_USER * 2)
    fat.close()
    # and all of it comes back
    eventually(lambda: watch.app.statistics()["resources"] < 20, "they are gone with their apps", 20)
    w.connect_as_other_user().register({"/again": {"rt": ["x.test"], "value": {"a": 1}}})
    watch.is_well(ROOM_FOR_ONE_USER * 2)


@test()
def a_reader_that_stops_reading(w):
    watch = Watch(w)
    path = watch.app.find("/honest")
    app = watch.app.property(path, "Resource1", "Application")
    lazy = w.connect_as_other_user()
    lazy.resource(path, "Observe", "a{sv}", {})
    # it follows a resource whose value is large and changes often, and asks for it often, and reads nothing any more
    for i in range(400):
        watch.app.publish(app, "/honest", {"a": 1, "text": f"{i:05}" + "x" * 50000})
    lazy.socket.setblocking(False)
    try:
        for _ in range(3000):
            lazy.send("org.ocfd", path, "org.ocfd.Resource1", "Retrieve", "a{sv}", ({},))
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):
        pass
    time.sleep(1)
    watch.app.publish(app, "/honest", {"a": 1}, replace=True)
    watch.is_well(64 * MIB)
    # another one of the same user, who reads, is served all the while
    equal(w.connect_as_other_user().retrieve("/honest")[0], {"a": 1})


@test()
def a_slow_reader_gets_the_newest_value(w):
    watch = Watch(w)
    path = watch.app.find("/honest")
    app = watch.app.property(path, "Resource1", "Application")
    slow = w.connect()
    slow.resource(path, "Observe", "a{sv}", {})
    n = 600
    for i in range(n):
        watch.app.publish(app, "/honest", {"a": 1, "i": i, "text": "x" * 20000})

    def newest():
        value, info = slow.signal("Notified", path, 5 * SLOW)
        return value["i"] == n - 1

    eventually(newest, "the newest value arrives in the end", 30)
    watch.app.publish(app, "/honest", {"a": 1}, replace=True)
    watch.is_well(64 * MIB)


@test()
def five_hundred_connections_of_one_user(w):
    watch = Watch(w)
    connections, n_refused = [], 0
    for i in range(500):
        try:
            bus = w.connect_as_other_user()
        except (OSError, BusError):
            break  # the bus has a limit of its own
        connections.append(bus)
        try:
            bus.register({f"/c/{i}": {"rt": ["x.test"], "value": {"i": i}}})
        except BusError as error:
            equal(error.name, "org.ocfd.Error.LimitsExceeded")
            n_refused += 1
    assert n_refused or len(connections) < 500, "there was no limit on apps of one user"
    watch.is_well()
    for bus in connections:
        bus.close()
    eventually(lambda: watch.app.statistics()["apps"] == 1, "their apps are gone", 20)
    watch.is_well()


@test()
def handlers_that_never_answer(w):
    """Requests of strangers wait for an app that is mute: bounded, and others are served."""
    watch = Watch(w)
    mute = w.connect_as_other_user()
    mute.register({f"/mute/{i}": {"rt": ["x.test"], "handler": "/h", "insecure": True} for i in range(10)})
    peers = [w.peer() for _ in range(40)]
    for i, peer in enumerate(peers):
        for j in range(40):
            peer.send(j & 1, 1, f"/mute/{j % 10}")
    watch.is_well()
    mute.close()
    eventually(lambda: watch.app.statistics()["waiting_for_apps"] == 0, "nobody waits for an app that is gone")
    watch.is_well()


@test()
def calls_that_nobody_waits_for(w):
    """No reply expected, answers to questions never asked, signals in our name, and a name like ours."""
    watch = Watch(w)
    rude = w.connect_as_other_user()
    for i in range(200):
        rude.send("org.ocfd", "/org/ocfd", "org.ocfd.Manager1", "Register", "oa(sa{sv})a{sv}", ("/", [("/q", {"rt": V("as", ["x"])})], {}), flags=1)
        rude.serial += 1
        rude.socket.sendall(build(2, rude.serial, {5: i + 1, DESTINATION: watch.owner}))  # a reply to a call of theirs
        rude.serial += 1
        fields = {PATH: "/org/freedesktop/DBus", INTERFACE: "org.freedesktop.DBus", MEMBER: "NameOwnerChanged", DESTINATION: watch.owner}
        rude.socket.sendall(build(4, rude.serial, fields, "sss", (watch.app.name, watch.app.name, "")))
    rude.close()
    # a forged NameOwnerChanged undoes nobody's registration
    eventually(lambda: raises_nothing(watch.app.retrieve, "/honest"), "the honest app is still there")
    watch.is_well()


@test()
def a_forged_owner_of_our_name_is_not_obeyed(w):
    """Anybody may send an app a signal that says that org.ocfd has another owner now."""
    watch = Watch(w)
    lamp = w.lamp()
    name = watch.app.property(watch.app.property(watch.app.find("/lamp"), "Resource1", "Application"), "Application1", "Owner")
    rude = w.connect_as_other_user()
    for new in (rude.name, ""):
        rude.serial += 1
        fields = {PATH: "/org/freedesktop/DBus", INTERFACE: "org.freedesktop.DBus", MEMBER: "NameOwnerChanged", DESTINATION: name}
        rude.socket.sendall(build(4, rude.serial, fields, "sss", ("org.ocfd", watch.owner, new)))
    said = lamp.output()
    time.sleep(0.5)
    equal(watch.peer.get("/lamp").code, "2.05")
    equal(lamp.output(), said, "what the lamp says")
    raises(TimeoutError, rude.wait, lambda m: m.sender == name, 0.3)
    # nor is a stranger's call of its handler
    error = raises((BusError, TimeoutError), rude.call, name, "/org/ocfd/client", "org.ocfd.Handler1", "Handle", "ssa{sv}", "retrieve", "/lamp", {}, timeout=2)
    assert isinstance(error, BusError), "a stranger's call is answered with an error"
    watch.is_well()


def raises_nothing(function, *args):
    function(*args)
    return True


if __name__ == "__main__":
    main()
