"""The bus is not always there: ocfd serves the network all the same."""
import time

from harness import eventually, equal, main, test


@test()
def bus_restarted(w):
    w.start()
    w.serve("/thermometer", "temperature=21.5")
    w.lamp()
    pid = w.ocfd.pid
    peer = w.peer()
    equal(peer.get("/thermometer").code, "2.05")
    w.stop_bus()
    equal(peer.get("/oic/d").code, "2.05", "without a bus")
    w.start_bus()
    w.await_name()
    eventually(lambda: peer.get("/thermometer").code == "2.05" and peer.get("/lamp").code == "2.05", "the apps are back", 20)
    assert w.ocfd.runs()
    equal(w.ocfd.pid, pid)


@test()
def bus_absent_at_start(w):
    w.start_ocfd(on_bus=False)
    peer = w.peer()
    equal(peer.get("/oic/d").code, "2.05", "without a bus")
    w.start_bus()
    w.await_name()
    w.serve("/late", "x=1")
    equal(peer.get("/late").value()["x"], 1)


@test()
def bus_ends(w):
    w.start()
    app = w.connect()
    app.register({"/gone": {"rt": ["x.test"], "value": {"x": 1}, "insecure": True}})
    peer = w.peer()
    first = peer.observe("/gone")
    equal(first.code, "2.05")
    w.stop_bus()
    equal(peer.receive(token=first.token).code, "4.04", "what the observer hears")
    equal(peer.get("/gone").code, "4.04")
    time.sleep(1)
    equal(peer.get("/oic/res").code, "2.05")
    busy = cpu_ms(w.ocfd)
    time.sleep(1)
    assert cpu_ms(w.ocfd) - busy < 200, "ocfd is busy while it waits for the bus"
    w.stop_ocfd()


def cpu_ms(process):
    with open(f"/proc/{process.pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 10


if __name__ == "__main__":
    main()
