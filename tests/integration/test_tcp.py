"""CoAP over TCP (RFC 8323): what connections are told, and how they end."""
import random
import socket
import time

from coap_tcp_wire import ABORT, BAD_CSM_OPTION, BLOCK_WISE, CSM, CUSTODY, MAX_MESSAGE_SIZE, PING, RELEASE, Closed, StreamPeer, encode_stream
from coap_wire import ACCEPT, BLOCK2, CBOR, CONTENT_FORMAT, DELETE, GET, JSON, OBSERVE, OCF_CBOR, POST, PUT, URI_PATH, VERSION_ACCEPT, VERSION_CONTENT, cbor_decode, cbor_encode, uint
from harness import SLOW, Network, Skip, equal, eventually, main, raises, test

FETCH = 5
LARGE = "".join(f"{i:07} " for i in range(8125)) + "the end"


def serve(w, **resources):
    app = w.connect()
    path = app.register({f"/{name}": {"rt": ["x.test"], "if": ["oic.if.a"], "value": value, "insecure": True} for name, value in resources.items()})
    return app, path


def connect(w, *args, **more):
    peer = StreamPeer(*args, **{"timeout": 6 * SLOW, **more})
    w.connections.append(peer)
    return peer


def is_refused(*args, **more):
    """A connection that the kernel makes, and the daemon does not want."""
    try:
        with StreamPeer(*args, csm=None, timeout=4 * SLOW, **more) as peer:
            return raises(Closed, peer.receive).reset
    except (ConnectionResetError, BrokenPipeError):
        return True


def parameters(csm):
    return {number: int.from_bytes(value, "big") for number, value in csm.options}


@test()
def requests_over_tcp(w):
    w.start()
    app, _ = serve(w, x={"a": 1})
    udp, tcp, tcp6 = w.peer(), connect(w), connect(w, "::1")
    equal(tcp.get("/x").value(), {"a": 1})
    theirs = parameters(tcp.theirs)
    assert theirs[MAX_MESSAGE_SIZE] >= 65536 and BLOCK_WISE in theirs, tcp.theirs
    equal(tcp6.get("/x").value(), {"a": 1})
    # what is asked and answered is the same as over UDP
    for method, path, value in [
        (GET, "/nowhere", None),
        (GET, "/oic/d", None),
        (POST, "/x", {"a": 2}),
        (POST, "/oic/d", {"n": "mine"}),
        (PUT, "/x", {"a": 3}),
        (DELETE, "/x", None),
        (FETCH, "/x", {"a": 3}),
        (31, "/x", None),
    ]:
        payload = cbor_encode(value) if value else b""
        a, b = udp.request(method, path, payload=payload), tcp.request(method, path, payload=payload)
        equal((b.code, b.number(CONTENT_FORMAT)), (a.code, a.number(CONTENT_FORMAT)), f"{method} {path}")
    for options in [[(ACCEPT, uint(CBOR))], [(ACCEPT, uint(JSON))], [(ACCEPT, uint(41))], [(9, b"critical")], [(10, b"elective")]]:
        a, b = udp.get("/x", options=options), tcp.get("/x", options=options)
        equal((b.code, b.number(CONTENT_FORMAT), b.payload), (a.code, a.number(CONTENT_FORMAT), a.payload), f"{options}")
    m = tcp.get("/x", options=[(VERSION_ACCEPT, uint(2048)), (ACCEPT, uint(OCF_CBOR))])
    equal((m.code, m.number(VERSION_CONTENT)), ("2.05", 2048))
    equal(app.statistics()["connections"], 2)


@test()
def tcp_is_announced(w):
    w.start()
    app, _ = serve(w, x={"a": 1})
    for peer in (w.peer(), connect(w)):
        link = next(link for link in peer.links() if link["href"] == "/x")
        eps = [e["ep"] for e in link["eps"]][:4]
        equal(eps[0::2], ["coap://127.0.0.1:5683", "coap+tcp://127.0.0.1:5683"])
        equal([ep.rpartition(":")[0] for ep in eps[1::2]], ["coaps://127.0.0.1", "coaps+tcp://127.0.0.1"])
    assert "coap+tcp://127.0.0.1:5683" in app.property("/org/ocfd/device/0", "Device1", "Endpoints")
    status = w.ocfctl("status")
    assert "5683 udp" in status and "5683 tcp" in status, status


@test()
def tcp_can_be_switched_off(w):
    w.configure(Network={"Tcp": "no"})
    w.start()
    serve(w, x={"a": 1})
    raises(ConnectionRefusedError, StreamPeer)
    link = next(link for link in w.peer().links() if link["href"] == "/x")
    assert not any("tcp" in e["ep"] for e in link["eps"]), link


@test()
def tcp_port_taken(w):
    thief = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    thief.bind(("0.0.0.0", 5683))
    thief.listen()
    w.start()
    serve(w, x={"a": 1})
    link = next(link for link in w.peer().links() if link["href"] == "/x")
    plain, tcp = [e["ep"] for e in link["eps"] if not e["ep"].startswith("coaps")][:2]
    equal(plain, "coap://127.0.0.1:5683", "UDP has the port all the same")
    assert tcp.startswith("coap+tcp://127.0.0.1:") and not tcp.endswith(":5683"), tcp
    equal(connect(w, port=int(tcp.rpartition(":")[2])).get("/x").value(), {"a": 1})


@test()
def libcoap_client_over_tcp(w):
    w.start()
    serve(w, x={"a": 1})
    text = w.coap("coap+tcp://127.0.0.1/x", "-A", "50")
    if "not supported" in text or "TCP" in text and "{" not in text:
        raise Skip(f"this libcoap has no TCP: {text!r}")
    equal(w.coap_json("coap+tcp://127.0.0.1/x"), {"a": 1})
    equal(w.coap_json("coap+tcp://[::1]/x"), {"a": 1})
    observer = w.coap_observe("coap+tcp://127.0.0.1/x")
    observer.says(r'{"a":1}')
    equal(w.peer().post("/x", {"a": 2}).code, "2.04")
    observer.says(r'{"a":2}')


@test()
def observing_over_tcp(w):
    w.start()
    app, path = serve(w, x={"a": 0})
    stays, by_get, goes, crashes = (connect(w) for _ in range(4))
    firsts = [p.observe("/x") for p in (stays, by_get, goes, crashes)]
    assert all(m.code == "2.05" and m.option(OBSERVE) is not None for m in firsts), firsts
    equal(app.statistics()["observers"], 4)
    for i in range(1, 4):
        app.publish(path, "/x", {"a": i})
        for p, first in zip((stays, by_get, goes, crashes), firsts):
            m = p.receive(token=first.token)
            equal((m.code, m.value(), m.option(OBSERVE) is not None), ("2.05", {"a": i}, True))
    m = by_get.request(GET, "/x", options=[(OBSERVE, b"\x01")], token=firsts[1].token)
    equal((m.code, m.option(OBSERVE)), ("2.05", None))
    eventually(lambda: app.statistics()["observers"] == 3, "the one that said so is no longer an observer")
    # an observation ends with its connection
    goes.close()
    crashes.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    crashes.close()
    eventually(lambda: app.statistics()["observers"] == 1, "one observer is left")
    app.publish(path, "/x", {"a": 9})
    equal(stays.receive(token=firsts[0].token).value(), {"a": 9})
    raises(TimeoutError, by_get.receive, 0.3)
    # the resource goes, the connection stays
    app.unregister(path)
    equal(stays.receive(token=firsts[0].token).code, "4.04")
    equal(stays.get("/oic/d").code, "2.05")


@test()
def a_resource_that_an_app_answers_for_over_tcp(w):
    """Answers come in the order in which the app has them, and find their requests by the token."""
    w.start()
    w.lamp()
    tcp = connect(w)
    before = tcp.get("/lamp").value()
    equal(tcp.post("/lamp", {"value": not before["value"]}).code, "2.04")
    equal(tcp.get("/lamp").value()["value"], not before["value"])
    observed = tcp.observe("/lamp")
    with w.peer() as udp:
        equal(udp.post("/lamp", {"value": before["value"]}).code, "2.04")
    equal(tcp.receive(token=observed.token).value()["value"], before["value"])


# ---- signals ----


@test()
def ping_release_and_abort(w):
    w.start()
    serve(w, x={"a": 1})
    tcp = connect(w)
    equal(tcp.ping().options, [])
    equal(tcp.ping([(CUSTODY, b"")]).option(CUSTODY), b"")
    tcp.signal(0xE0 | 30, [(6, b"elective")])  # a signal that nobody knows
    tcp.raw(encode_stream(0, b""))  # an empty message says nothing
    tcp.signal(CSM, [(MAX_MESSAGE_SIZE, uint(2000)), (98, b"elective")])  # another CSM adds to the first
    equal(tcp.get("/x").value(), {"a": 1})
    # what was asked before a Release is still answered
    token = tcp.send(GET, "/x")
    tcp.signal(RELEASE)
    said = tcp.is_closed()
    equal([(m.code, m.token) for m in said], [("2.05", token)])
    tcp = connect(w)
    equal(tcp.get("/x").code, "2.05")
    tcp.signal(ABORT, payload=b"I have had enough")
    equal(tcp.is_closed(), [])
    # an end of the bytes is as good as a Release
    tcp = connect(w)
    token = tcp.send(GET, "/x")
    tcp.socket.shutdown(socket.SHUT_WR)
    equal([(m.code, m.token) for m in tcp.is_closed()], [("2.05", token)])
    app = w.connect()
    eventually(lambda: app.statistics()["connections"] == 0, "no connection is left")


def expect_abort(tcp, what):
    said = tcp.is_closed()
    equal([m.code for m in said], ["7.05"], what)
    assert said[0].payload, f"{what}: the Abort does not say why"
    return said[0]


@test()
def what_ends_a_connection(w):
    w.start()
    serve(w, x={"a": 1})
    tcp = connect(w, csm=None)
    tcp.send(GET, "/x")
    expect_abort(tcp, "a request before the CSM")
    tcp = connect(w, csm=[(97, b"critical")])
    equal(expect_abort(tcp, "a critical option in the CSM").number(BAD_CSM_OPTION), 97)
    tcp = connect(w)
    tcp.signal(PING, [(97, b"critical")])
    expect_abort(tcp, "a critical option in a Ping")
    for bad, what in [
        (b"\x09\x01" + b"t" * 9, "a token of 9 bytes"),
        (b"\x0f\x01", "a token of 15 bytes"),
        (b"\xf0\xff\xff\xff\xff\x01", "a message of 4 GiB"),
        (b"\xf0\x7f\xff\xff\xff\x01", "a message of 2 GiB"),
        (b"\x10\x01\xff", "a payload marker without a payload"),
        (b"\x10\x01\xf0", "a reserved option delta"),
        (b"\x10\x01\xb9", "an option that is longer than its message"),
    ]:
        tcp = connect(w)
        equal(tcp.get("/x").code, "2.05")
        tcp.raw(bad)
        expect_abort(tcp, what)
    # a message that is larger than what they take, from its first bytes on
    tcp = connect(w)
    equal(tcp.get("/x").code, "2.05")
    n = parameters(tcp.theirs)[MAX_MESSAGE_SIZE]
    tcp.raw(b"\xf0" + (n + 1 - 65805).to_bytes(4, "big") + b"\x02")
    expect_abort(tcp, "a message over their Max-Message-Size")
    equal(connect(w).get("/x").code, "2.05", "and everybody else is served")
    app = w.connect()
    eventually(lambda: app.statistics()["connections"] == 1, "one connection is left")


@test()
def no_csm_for_too_long(w):
    w.start()
    silent, half = connect(w, csm=None), connect(w, csm=None)
    half.raw(b"\x00")
    begun = time.monotonic()
    for tcp in (silent, half):
        said = tcp.is_closed(45 * SLOW)
        equal([m.code for m in said], ["7.05"])
    assert time.monotonic() - begun > 25, "they had some time"


# ---- segments ----


@test()
def segments_of_all_sizes(w):
    w.start()
    serve(w, x={"a": 1})
    maker = connect(w)
    data, tokens = encode_stream(CSM, b""), []
    for i in range(40):
        message, token = maker.message(GET, "/x", token=bytes([i]) * (i % 9), options=[(10, b"z" * 7 * i)])
        data += message
        tokens.append(token)
    for size in (1, 2, 3, 7, 100):
        with StreamPeer(csm=None, timeout=6 * SLOW) as peer:
            for i in range(0, len(data), size):
                peer.raw(data[i : i + size])
            got = [peer.receive() for _ in tokens]
            equal([(m.code, m.token) for m in got], [("2.05", token) for token in tokens], f"in pieces of {size}")
    with StreamPeer(csm=None, timeout=6 * SLOW) as peer:
        peer.raw(data)
        equal([peer.receive().token for _ in tokens], tokens, "in one piece")


@test()
def thousands_of_requests_in_one_breath(w):
    """More than all tables and buffers: they are answered as room comes, none is lost."""
    w.start()
    serve(w, x={"text": "x" * 500})
    tcp, n = connect(w), 6000
    data = b"".join(tcp.message(GET, "/x", token=i.to_bytes(4, "big"))[0] for i in range(n))
    tcp.socket.setblocking(False)
    sent = read = 0
    end = time.monotonic() + 30 * SLOW
    while read < n and time.monotonic() < end:
        try:
            sent += tcp.socket.send(data[sent : sent + 50000]) if sent < len(data) else 0
        except BlockingIOError:
            pass
        try:
            m = tcp.receive(0.001 if sent < len(data) else 5 * SLOW)
            equal((m.code, m.token), ("2.05", read.to_bytes(4, "big")))
            read += 1
        except TimeoutError:
            pass
        tcp.socket.setblocking(False)
    equal(read, n)


def nonsense(rng):
    """Something that begins as a conversation, most of the time."""
    data = bytearray()
    if rng.random() < 0.9:
        sizes = [0, 5, 64, 1152, 9000, 70000, 2**32 - 1]
        data += encode_stream(CSM, b"", [(MAX_MESSAGE_SIZE, uint(rng.choice(sizes))), (BLOCK_WISE, b"")][: rng.randrange(3)])
    for _ in range(rng.randrange(12)):
        kind, token = rng.random(), rng.randbytes(rng.randrange(9))
        if kind < 0.6:
            options = [(URI_PATH, rng.choice([b"x", b"large", b"oic", b"a" * 300]))]
            options += [(rng.choice([6, 17, 23, 27, 60, 252, 258, 292, 2049]), rng.randbytes(rng.randrange(4))) for _ in range(rng.randrange(3))]
            data += encode_stream(rng.randrange(1, 9), token, options, rng.choice([b"", b"\xa1\x61a\x02", rng.randbytes(2000)]))
        elif kind < 0.8:
            data += encode_stream(0xE0 | rng.randrange(32), token, [(rng.randrange(8), rng.randbytes(rng.randrange(5)))])
        else:
            data += encode_stream(0x45, token, [], b"an answer to nothing")
    for _ in range(rng.choice([0, 0, 0, 1, 3])):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data[: rng.randrange(len(data) + 1)] if rng.random() < 0.2 else data)


@test()
def garbage_over_tcp_is_survived(w):
    w.start()
    app, path = serve(w, x={"a": 1}, large={"text": LARGE})
    rng, left = random.Random(8323), []
    for i in range(4000):
        tcp = StreamPeer(csm=None, timeout=6 * SLOW)
        data = nonsense(rng)
        try:
            while data:
                n = rng.choice([1, 5, 100, 5000])
                tcp.raw(data[:n])
                data = data[n:]
        except OSError:
            pass  # it was told what we think of it, or thinks the same of us
        left.append(tcp)
        if rng.random() < 0.3:
            tcp.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        if rng.random() < 0.8 or len(left) > 40:
            left.pop(rng.randrange(len(left))).close()
        if i % 100 == 0:
            app.publish(path, "/large", {"text": LARGE[: rng.randrange(60000)]})
            equal(w.peer().get("/oic/d").code, "2.05")
    for tcp in left:
        tcp.close()
    eventually(lambda: app.statistics()["connections"] == 0, "none of them is left")
    statistics = app.statistics()
    equal(statistics["observers"], 0)
    assert statistics["requests"] > 1000 and statistics["malformed"] > 10, f"it was no garbage, or nothing but: {statistics}"
    equal(connect(w).get("/oic/d").code, "2.05")


# ---- sizes ----


def read_whole(tcp, path):
    """All blocks, of whatever size they come; how large the largest was."""
    body, largest, option = b"", 0, []
    while True:
        m = tcp.get(path, options=option)
        equal(m.code, "2.05")
        body += m.payload
        largest = max(largest, len(m.payload))
        block = m.number(BLOCK2)
        if block is None or not block & 8:
            return body, largest
        assert len(m.payload) % 1024 == 0 and block & 7 >= 6, m
        option = [(BLOCK2, uint(len(body) // 1024 << 4 | block & 7))]


@test()
def large_values_over_tcp(w):
    w.start()
    app, path = serve(w, large={"text": LARGE})
    body, largest = read_whole(connect(w), "/large")
    equal((cbor_decode(body)["text"] == LARGE, largest), (True, 1024), "no CSM said that more is taken")
    body, largest = read_whole(connect(w, csm=[(MAX_MESSAGE_SIZE, uint(20000)), (BLOCK_WISE, b"")]), "/large")
    assert cbor_decode(body)["text"] == LARGE
    assert largest > 1024 and largest % 1024 == 0, "blocks of many times 1024 bytes (BERT)"
    # an update of one message
    tcp = connect(w)
    equal(tcp.post("/large", {"text": LARGE.upper()}).code, "2.04")
    body, _ = read_whole(tcp, "/large")
    equal(cbor_decode(body)["text"], LARGE.upper())


# ---- limits ----


@test()
def one_address_has_64_connections(w):
    host = Network(w)
    w.start()
    app, _ = serve(w, x={"a": 1})
    peers = [connect(w) for _ in range(64)]
    assert all(p.get("/x").code == "2.05" for p in peers)
    assert is_refused(), "the 65th"
    equal(connect(w, host.ours, network=host).get("/x").code, "2.05", "another host has its own share")
    statistics = app.statistics()
    equal((statistics["connections"], statistics["connections_refused"]), (65, 1))
    peers[0].close()
    eventually(lambda: app.statistics()["connections"] == 64, "one is gone")
    equal(connect(w).get("/x").code, "2.05", "and somebody else has its place")


@test()
def who_does_not_read_is_dropped(w):
    w.start()
    app, path = serve(w, large={"text": LARGE}, x={"a": 1})
    lazy, busy = (connect(w, csm=[(MAX_MESSAGE_SIZE, uint(20000)), (BLOCK_WISE, b"")]) for _ in range(2))
    for tcp in (lazy, busy):
        equal(tcp.observe("/large").code, "2.05")
    before = w.ocfd.rss()
    # what it asks for waits in the kernel, and costs us nothing
    asks = b"".join(lazy.message(GET, "/large")[0] for _ in range(5000))
    lazy.socket.setblocking(False)
    sent = 0
    while sent < len(asks):
        try:
            sent += lazy.socket.send(asks[sent:])
        except BlockingIOError:
            break
    time.sleep(0.3)
    equal(app.statistics()["connections_too_slow"], 0)
    # what it is told of waits for it until it is too much
    for i in range(200):
        app.publish(path, "/large", {"text": f"{i} {LARGE}"[:65000]})
        if app.statistics()["connections_too_slow"]:
            break
    eventually(lambda: app.statistics()["connections_too_slow"] == 1, "the one that does not read is dropped")
    eventually(lambda: app.statistics()["observers"] == 1, "and is told nothing any more")
    lazy.socket.setblocking(True)
    busy.data = b""
    equal(busy.get("/x").value(), {"a": 1}, "the other one is served")
    assert w.ocfd.rss() - before < 16 << 20, "and we have not grown by what it did not read"


@test()
def connections_by_an_interface_that_is_not_used(w):
    host, stranger = Network(w), Network(w, "wan0", 3)
    w.configure(Network={"Interfaces": "lo eth* wan*", "DenyInterfaces": "wan*"})
    w.start()
    serve(w, x={"a": 1})
    assert is_refused(stranger.ours, network=stranger)
    assert is_refused(stranger.ours6, network=stranger)
    equal(connect(w, host.ours, network=host).get("/x").code, "2.05")
    equal(connect(w, host.ours6, network=host).get("/x").code, "2.05")


@test()
def connections_end_with_the_daemon(w):
    w.start()
    app, _ = serve(w, x={"a": 1})
    tcp = connect(w)
    first = tcp.observe("/x")
    w.stop_ocfd()
    said = tcp.is_closed()
    equal([(m.code, m.token) for m in said], [("5.03", first.token)], "observers hear that they must come again")
    # the port is free at once for the next one, though we closed first
    w.start_ocfd()
    serve(w, x={"a": 2})
    equal(connect(w).get("/x").value(), {"a": 2})


if __name__ == "__main__":
    main()
