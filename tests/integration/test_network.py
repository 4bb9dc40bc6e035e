"""Interfaces, addresses, ports, groups."""
import socket
import time

from coap_wire import NON, OBSERVE, Peer
from harness import SLOW, Network, equal, eventually, main, raises, shell, test


def device_id(peer):
    return peer.get("/oic/d").value()["di"]


def serve_lamp(w, href="/x", device="/"):
    app = w.connect()
    app.register({href: {"rt": ["x.test"], "value": {"a": 1}, "insecure": True}}, device=device)
    return app


def endpoints(peer, href):
    """Those in clear."""
    link = next(link for link in peer.links() if link["href"] == href)
    return [e["ep"] for e in link["eps"] if not e["ep"].startswith("coaps")]


@test()
def port_5683_taken(w):
    thief = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    thief.bind(("0.0.0.0", 5683))
    thief6 = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    thief6.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    thief6.bind(("::", 5683))
    w.start()
    app = serve_lamp(w)
    notices = dict(app.property("/org/ocfd", "Manager1", "Notices"))
    assert "PortTaken" in notices, notices
    assert "5683" in notices["PortTaken"], notices
    text = w.ocfctl("status")
    assert "5683" in text, text
    endpoint = next(e for e in app.property("/org/ocfd/device/0", "Device1", "Endpoints") if "127.0.0.1" in e)
    port = int(endpoint.rpartition(":")[2])
    assert port != 5683
    peer = w.peer(port=port)
    assert all(e.endswith(f":{port}") for e in endpoints(peer, "/x")), endpoints(peer, "/x")
    # it keeps that port, also when 5683 is free again: peers know it
    w.stop_ocfd()
    thief.close()
    thief6.close()
    w.start_ocfd()
    equal(peer.get("/oic/d").code, "2.05")


@test()
def port_taken_by_a_good_neighbour_multicast_works(w):
    """Somebody who lets others listen to groups: unicast is theirs, multicast reaches us."""
    host = Network(w)
    neighbour = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    neighbour.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    neighbour.bind(("0.0.0.0", 5683))
    w.start()
    serve_lamp(w)
    with Peer("224.0.1.187", network=host, timeout=4 * SLOW) as peer:
        m = peer.receive(token=peer.send(NON, 1, "/oic/res"))
        assert m.source[1] != 5683, m.source
        assert any(link["href"] == "/x" for link in peer.rest_of(m, "/oic/res"))


@test()
def port_is_kept_across_restarts(w):
    w.configure(Network={"Port": "auto"})
    w.start()
    app = serve_lamp(w)
    before = app.property("/org/ocfd/device/0", "Device1", "Endpoints")
    identity = app.property("/org/ocfd/device/0", "Device1", "DeviceId")
    for end in (w.stop_ocfd, lambda: w.ocfd.kill()):
        end()
        w.start_ocfd()
        equal(sorted(w.connect().property("/org/ocfd/device/0", "Device1", "Endpoints")), sorted(before))
        equal(w.connect().property("/org/ocfd/device/0", "Device1", "DeviceId"), identity)
    assert not any(e.endswith(":5683") for e in before), before


@test()
def interface_comes_and_goes(w):
    w.start()
    app = serve_lamp(w)
    local = w.peer()
    announced = lambda: " ".join(app.property("/org/ocfd/device/0", "Device1", "Endpoints"))
    assert "192.0.2." not in announced()
    for _ in range(2):
        host = Network(w)
        eventually(lambda: "192.0.2.1:" in announced(), "the new address is announced")
        for group in ("224.0.1.187", "ff02::158%eth0"):
            with Peer(group, network=host, timeout=1) as peer:
                eventually(lambda: peer.receive(token=peer.send(NON, 1, "/oic/res")).code == "2.05", f"discovery through {group}")
        with Peer(host.ours, network=host) as peer:
            equal(peer.observe("/x").code, "2.05")
            equal(endpoints(peer, "/x"), ["coap://192.0.2.1:5683", "coap+tcp://192.0.2.1:5683"], "what a peer there is told")
            # an address more, and away again
            shell("ip addr add 192.0.2.77/24 dev eth0")
            eventually(lambda: "192.0.2.77:" in announced(), "the second address is announced")
            with Peer("192.0.2.77", network=host) as second:
                m = second.get("/x")
                equal((m.code, m.source[0]), ("2.05", "192.0.2.77"), "the answer comes from the address that was asked")
            shell("ip addr del 192.0.2.77/24 dev eth0")
            eventually(lambda: "192.0.2.77:" not in announced(), "it is announced no more")
            equal(peer.get("/x").code, "2.05", "through the first address")
        for _ in range(10):
            shell("ip link set eth0 down; ip link set eth0 up")
        eventually(lambda: Peer(host.ours, network=host, timeout=1).get("/x", timeout=1).code == "2.05", "it answers after the flapping")
        with Peer("224.0.1.187", network=host, timeout=1) as peer:
            eventually(lambda: peer.receive(token=peer.send(NON, 1, "/oic/res")).code == "2.05", "groups are joined again")
        shell("ip link del eth0")
        host.holder.kill()
        eventually(lambda: "192.0.2." not in announced(), "nothing of it is left")
    equal(local.get("/x").code, "2.05")


@test()
def interfaces_that_are_not_used(w):
    w.configure(Network={"Interfaces": None, "DenyInterfaces": "secret*"})
    shell("ip link add docker0 type bridge && ip addr add 172.17.0.1/16 dev docker0 && ip link set docker0 up")
    # a bridge has a carrier when one of its ports has
    for i, name in ((8, "lan1"), (9, "secret1")):
        shell(f"ip link add {name} type bridge forward_delay 0 && ip link add port{i} type veth peer name far{i} && ip link set port{i} master {name}")
        shell(f"ip link set far{i} up && ip link set port{i} up && ip addr add 10.{i}.{i}.1/24 dev {name} && ip link set {name} up")
    w.start()
    app = serve_lamp(w)
    state = lambda: {row[0]: (row[2], row[4]) for row in app.property("/org/ocfd", "Manager1", "Interfaces")}
    eventually(lambda: state()["lan1"][0], "lan1 is used")
    used = state()
    equal({name: used[name][0] for name in ("docker0", "secret1", "lan1")}, {"docker0": False, "secret1": False, "lan1": True})
    assert used["docker0"][1] and used["secret1"][1], f"each says why: {used}"
    announced = app.property("/org/ocfd/device/0", "Device1", "Endpoints")
    assert any("10.8.8.1" in e for e in announced), announced
    assert not any("10.9.9.1" in e or "172.17" in e for e in announced), announced


@test()
def two_logical_devices(w):
    host = Network(w)
    w.configure(**{"Device 1": {"Name": "Second device", "Type": "oic.d.light"}})
    w.start()
    serve_lamp(w, "/first")
    app = serve_lamp(w, "/second", device="/org/ocfd/device/1")
    ports = {}
    for i in (0, 1):
        endpoint = next(e for e in app.property(f"/org/ocfd/device/{i}", "Device1", "Endpoints") if "192.0.2.1" in e)
        ports[i] = int(endpoint.rpartition(":")[2])
    equal((ports[0], ports[1] != ports[0]), (5683, True))
    ids, secure = [], []
    for i, (mine, others) in enumerate((("/first", "/second"), ("/second", "/first"))):
        peer = Peer(host.ours, ports[i], network=host)
        equal((peer.get(mine).code, peer.get(others).code), ("2.05", "4.04"))
        links = peer.links()
        assert mine in {link["href"] for link in links} and others not in {link["href"] for link in links}, links
        listed = {e["ep"] for link in links for e in link["eps"]}
        assert all(ep.startswith("coaps") or ep.endswith(f":{ports[i]}") for ep in listed), listed
        secure.append({ep.rpartition(":")[2] for ep in listed if ep.startswith("coaps")})
        d = peer.get("/oic/d").value()
        ids.append(d["di"])
        equal(d["n"], ("Test gateway", "Second device")[i])
    assert ids[0] != ids[1]
    assert secure[0] and secure[1] and not secure[0] & secure[1], secure
    assert "oic.d.light" in app.property("/org/ocfd/device/1", "Device1", "Types")
    # one multicast, an answer from each, from its own port
    with Peer("224.0.1.187", network=host, timeout=4 * SLOW) as peer:
        token = peer.send(NON, 1, "/oic/res")
        answers = [peer.receive(token=token), peer.receive(token=token)]
        equal({m.source[1] for m in answers}, set(ports.values()))
        assert answers[0].mid != answers[1].mid
        # ?di= is a filter
        token = peer.send(NON, 1, "/oic/res", f"di={ids[1]}")
        equal(peer.receive(token=token).source[1], ports[1])
        raises(TimeoutError, peer.receive, 2 * SLOW)


@test()
def insecure_off_announces_nothing(w):
    w.configure(Security={"AllowInsecure": "no"})
    w.start()
    app = serve_lamp(w)
    equal(app.property("/org/ocfd", "Manager1", "AllowInsecure"), False)
    peer = w.peer()
    equal(endpoints(peer, "/x"), [])
    code = peer.get("/x").code
    assert code in ("4.01", "4.03"), code
    equal(app.retrieve("/x")[0], {"a": 1}, "local apps still use it")
    assert "insecure" in w.ocfctl("status").lower()


@test()
def a_resource_not_registered_insecure_is_not_served_plainly(w):
    w.start()
    app = w.connect()
    app.register({"/closed": {"rt": ["x.test"], "value": {"a": 1}}, "/open": {"rt": ["x.test"], "value": {"a": 1}, "insecure": True}})
    peer = w.peer()
    equal(peer.get("/open").code, "2.05")
    equal(peer.get("/closed").code, "4.01")
    equal(peer.observe("/closed").option(OBSERVE), None)
    equal((len(endpoints(peer, "/open")), len(endpoints(peer, "/closed"))), (2, 0))


if __name__ == "__main__":
    main()
