"""ocfd as a service: notification, watchdog, configuration, a clean end, no leak."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from harness import Skip, equal, eventually, main, test


@test()
def watchdog_and_notify(w):
    w.start_bus()
    w.start_ocfd(env={"WATCHDOG_USEC": "400000"})
    for _ in range(4):
        w.notify.wait("WATCHDOG=1", w.ocfd, 2)
    w.notify.lines.clear()
    w.ocfd.popen.send_signal(signal.SIGSTOP)
    w.notify.pump(0.2)
    w.notify.lines.clear()
    w.notify.pump(1)
    assert "WATCHDOG=1" not in w.notify.lines, "who does not run does not say that he does"
    w.ocfd.popen.send_signal(signal.SIGCONT)
    w.notify.wait("WATCHDOG=1", w.ocfd, 2)
    w.ocfd.popen.send_signal(signal.SIGTERM)
    equal(w.ocfd.wait(), 0)
    for _ in range(50):
        w.notify.pump(0.01)
    assert "STOPPING=1" in w.notify.lines, w.notify.lines


@test()
def config_errors_are_told(w):
    ocfd = str(w.programs["ocfd"])
    path = w.directory / "bad.conf"

    def check(text, *words, status=6):
        path.write_text(text)
        result = subprocess.run([ocfd, "--config", str(path), "--check"], capture_output=True, text=True, timeout=20)
        equal(result.returncode, status, f"{text!r}: {result.stderr}")
        for word in words:
            assert word in result.stderr, f"{text!r}: {word!r} is not in {result.stderr!r}"

    check("[Network]\nPort=auto\n", status=0)
    check("", status=0)
    check("[Netwrok]\nPort=1\n", f"{path}:", "Netwrok")
    check("[Network]\n\nPrt=1\n", f"{path}:3", "Prt")
    check("[Network]\nPort=banana\n", f"{path}:2", "banana", "auto")
    check("[Network]\nPort=70000\n", f"{path}:2", "70000")
    check("[Security]\nAllowInsecure=maybe\n", f"{path}:2", "maybe", "yes", "no")
    check("[Device]\nName=\xff\n".replace("\xff", "n" * 300), f"{path}:2")
    check("[Daemon]\nBus=carrier pigeon\n", f"{path}:2", "system", "session")
    check("[Network\nPort=1\n", f"{path}:1")
    # all mistakes at once, not one a try
    check("[Network]\nPort=banana\n[Security]\nAllowInsecure=maybe\n", f"{path}:2", f"{path}:4")
    result = subprocess.run([ocfd, "--config", str(w.directory / "none.conf"), "--check"], capture_output=True, text=True, timeout=20)
    equal((result.returncode, "none.conf" in result.stderr), (6, True))
    equal(subprocess.run([ocfd, "--no-such-option"], capture_output=True, timeout=20).returncode, 2)
    equal(subprocess.run([ocfd, "surplus"], capture_output=True, timeout=20).returncode, 2)
    assert "--config" in subprocess.run([ocfd, "--help"], capture_output=True, text=True, check=True, timeout=20).stdout
    # a daemon with a bad configuration does not start
    path.write_text("[Network]\nPort=banana\n")
    equal(subprocess.run([ocfd, "--config", str(path)], capture_output=True, timeout=20).returncode, 6)


@test()
def sigterm_is_a_clean_stop(w):
    w.start()
    app = w.connect()
    app.register({"/x": {"rt": ["x.test"], "value": {"a": 1}, "insecure": True}})
    peer = w.peer()
    first = peer.observe("/x")
    equal(first.code, "2.05")
    w.stop_ocfd()
    m = peer.receive(token=first.token)
    equal(m.code, "5.03", "observers are told that it will be back")
    equal(w.ocfd.output().count("ERROR"), 0, w.ocfd.output())
    # and so is SIGINT
    w.start_ocfd()
    w.ocfd.popen.send_signal(signal.SIGINT)
    equal(w.ocfd.wait(), 0)


@test()
def a_second_daemon_on_the_same_state_is_refused(w):
    w.start()
    config = w.configure()
    second = w.spawn("second", w.programs["ocfd"], "--config", config)
    status = second.wait()
    assert status != 0, "both run"
    assert str(w.directory / "state") in second.output(), second.output()
    equal(w.peer().get("/oic/d").code, "2.05")


@test()
def state_is_private(w):
    w.start()
    state = w.directory / "state"
    equal(state.stat().st_mode & 0o777, 0o700)
    for path in state.iterdir():
        equal(path.stat().st_mode & 0o077, 0, str(path))


@test()
def a_damaged_store_is_sealed_and_kept(w):
    w.start()
    di = w.peer().get("/oic/d").value()["di"]
    w.stop_ocfd()
    database = w.directory / "state" / "ocfd.db"
    good = database.read_bytes()
    damaged = b"this is not a database, and it is long enough to be read as one" * 40
    database.write_bytes(damaged)
    w.start_ocfd()
    assert "is sealed" in w.ocfd.output() and str(w.directory / "state") in w.ocfd.output(), w.ocfd.output()
    made_up = w.peer().get("/oic/d").value()["di"]
    assert made_up != di, "an identity out of a damaged store"
    w.stop_ocfd()
    equal(database.read_bytes(), damaged, "never is it replaced by a new one")
    database.write_bytes(good)
    w.start_ocfd()
    equal(w.peer().get("/oic/d").value()["di"], di)


@test()
def no_leak_under_valgrind(w):
    if not shutil.which("valgrind"):
        raise Skip("valgrind is not installed")
    w.start_bus()
    valgrind = ["valgrind", "--leak-check=full", "--show-leak-kinds=definite,indirect,possible", "--errors-for-leak-kinds=definite,indirect,possible"]
    suppressions = pathlib.Path(__file__).with_name("valgrind.supp")
    w.start_ocfd(wrapper=[*valgrind, "--error-exitcode=99", f"--suppressions={suppressions}"])
    app, user, peer = w.connect(), w.connect(), w.peer(timeout=20)
    app.handlers["Handle"] = lambda m: ("a{sv}", ({"value": {"a": 1}},))
    path = app.register(
        {
            "/published": {"rt": ["x.test"], "if": ["oic.if.a"], "value": {"a": 1, "text": "x" * 3000}, "insecure": True},
            "/handled": {"rt": ["x.test"], "handler": "/h", "insecure": True},
        },
        name="leaky",
        linger_ms=1000,
    )
    equal(peer.get("/oic/res").code, "2.05")
    first = peer.observe("/published")
    body, last = peer.get_whole("/published", szx=4)
    equal(last.code, "2.05")
    equal(peer.post("/published", {"a": 2}).code, "2.04")
    token = peer.send(0, 1, "/handled")
    eventually(lambda: app.pump(0.1) and False or peer.receive(0.1, token).code == "2.05", "the handler's answer", 20)
    object_path = user.find("/published")
    user.resource(object_path, "Observe", "a{sv}", {})
    app.publish(path, "/published", {"a": 3})
    user.signal("Notified", object_path)
    user.managed()
    user.statistics()
    peer.get("/nothing")
    peer.get("/published", options=[(9, b"?")])
    app.close()
    eventually(lambda: peer.get("/published").code == "4.04", "it lingered, and is gone", 20)
    w.bus.kill()
    equal(peer.get("/oic/d").code, "2.05")
    w.ocfd.popen.send_signal(signal.SIGTERM)
    equal(w.ocfd.wait(60), 0, "valgrind found something:\n" + w.ocfd.output()[-6000:])


if __name__ == "__main__":
    main()
