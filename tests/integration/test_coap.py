"""What is on the wire, with clients that are not ours."""
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import time

from coap_wire import ACCEPT, ACK, BLOCK2, CBOR, CON, CONTENT_FORMAT, GET, JSON, NON, OBSERVE, OCF_CBOR, RST, VERSION_ACCEPT, VERSION_CONTENT, cbor_decode, encode, uint
from dbus_wire import V
from harness import SLOW, Skip, equal, eventually, main, raises, test

# One value is at most 64 KiB of CBOR; this leaves room for its key.
LARGE = "".join(f"{i:07} " for i in range(8125)) + "the end"


def serve(w, **resources):
    app = w.connect()
    path = app.register({f"/{name}": {"rt": ["x.test"], "if": ["oic.if.a"], "value": value, "insecure": True} for name, value in resources.items()})
    return app, path


@test()
def unknown_critical_option_is_4_02(w):
    w.start()
    serve(w, x={"a": 1})
    peer = w.peer()
    equal(peer.get("/x", options=[(9, b"what")]).code, "4.02")
    equal(peer.get("/x", options=[(10, b"what")]).code, "2.05", "an elective one")
    # a NON with a critical option that we do not know is dropped (RFC 7252, 5.4.1)
    token = peer.send(NON, GET, "/x", options=[(9, b"what")])
    try:
        m = peer.receive(1.5, token)
        equal(m.kind, RST)
    except TimeoutError:
        pass
    equal(peer.get("/x").code, "2.05")


@test()
def version_options_are_given_to_who_asks(w):
    w.start()
    serve(w, x={"a": 1})
    peer = w.peer()
    m = peer.get("/x")
    equal((m.option(VERSION_CONTENT), m.option(VERSION_ACCEPT), m.number(CONTENT_FORMAT)), (None, None, OCF_CBOR))
    m = peer.get("/x", options=[(VERSION_ACCEPT, uint(2048)), (ACCEPT, uint(OCF_CBOR))])
    equal((m.code, m.option(VERSION_CONTENT), m.option(VERSION_ACCEPT)), ("2.05", uint(2048), None))


@test()
def content_formats(w):
    w.start()
    serve(w, x={"a": 1})
    peer = w.peer()
    equal(peer.get("/x", options=[(ACCEPT, uint(CBOR))]).number(CONTENT_FORMAT), CBOR)
    m = peer.get("/x", options=[(ACCEPT, uint(JSON))])
    equal((m.number(CONTENT_FORMAT), json.loads(m.payload)), (JSON, {"a": 1}))
    equal(peer.get("/x", options=[(ACCEPT, uint(41))]).code, "4.06")
    equal(peer.request(2, "/x", options=[(CONTENT_FORMAT, uint(41))], payload=b"<a/>").code, "4.15")
    equal(peer.request(2, "/x", payload=b"\xff\xff").code, "4.00")
    m = peer.request(2, "/x", options=[(CONTENT_FORMAT, uint(CBOR))], payload=b"\xa1\x61a\x02")
    equal(m.code, "2.04")
    equal(peer.get("/x").value(), {"a": 2})


@test()
def a_large_value_is_read_whole(w):
    w.start()
    app, path = serve(w, large={"text": LARGE})
    assert len(LARGE) > 65000
    equal(w.coap_json("coap://127.0.0.1/large", seconds=20)["text"], LARGE, "libcoap's client")
    peer = w.peer()
    for szx in (6, 4):
        body, last = peer.get_whole("/large", szx=szx)
        equal((last.code, cbor_decode(body)["text"] == LARGE), ("2.05", True), f"blocks of {16 << szx}")
    # without Block2 the first block comes, and says that there is more
    m = peer.get("/large")
    assert m.number(BLOCK2) is not None and m.number(BLOCK2) & 8, m
    # an observer gets the first block of each change
    first = peer.observe("/large")
    equal(first.code, "2.05")
    app.publish(path, "/large", {"text": LARGE.upper()})
    m = peer.receive(token=first.token)
    assert m.option(OBSERVE) is not None and m.number(BLOCK2) & 8, m
    # one that grows beyond what a value may have is refused, and the old one stays
    from dbus_wire import BusError

    error = raises(BusError, app.publish, path, "/large", {"text": "x" * 70000})
    equal(error.name, "org.ocfd.Error.TooLarge")
    body, _ = peer.get_whole("/large")
    equal(cbor_decode(body)["text"], LARGE.upper())


@test()
def observing_ends_by_get_and_by_reset(w):
    w.start()
    app, path = serve(w, x={"a": 1})
    by_get, by_reset, stays = w.peer(), w.peer(), w.peer()
    firsts = [p.observe("/x") for p in (by_get, by_reset, stays)]
    equal(app.statistics()["observers"], 3)
    equal(by_get.request(GET, "/x", options=[(OBSERVE, b"\x01")]).option(OBSERVE), None)
    # the token must be that of the observation
    by_get.send(CON, GET, "/x", options=[(OBSERVE, b"\x01")], token=firsts[0].token)
    equal(by_get.receive(token=firsts[0].token).option(OBSERVE), None)
    app.publish(path, "/x", {"a": 2})
    m = by_reset.receive(token=firsts[1].token)
    by_reset.socket.sendto(encode(RST, 0, m.mid, b"", []), m.source)
    equal(stays.receive(token=firsts[2].token).value(), {"a": 2})
    eventually(lambda: app.statistics()["observers"] == 1, "one observer is left")
    app.publish(path, "/x", {"a": 3})
    equal(stays.receive(token=firsts[2].token).value(), {"a": 3})
    for peer in (by_get, by_reset):
        raises(TimeoutError, peer.receive, 1)


@test()
def an_observer_that_is_gone_is_forgotten(w):
    """Nobody acknowledges: a CON notification finds out."""
    w.start()
    app, path = serve(w, x={"a": 0})
    peer = w.peer()
    first = peer.observe("/x")
    equal(first.code, "2.05")
    peer.close()  # the port is closed: the kernel says so to the sender, or nobody acknowledges
    for i in range(1, 60):
        app.publish(path, "/x", {"a": i})
        time.sleep(0.02)
    eventually(lambda: app.statistics()["observers"] == 0, "the observer is forgotten", 100)


@test()
def a_repeated_update_is_done_once(w):
    w.start()
    app, _ = serve(w, x={"a": 1})
    peer = w.peer()
    message = encode(CON, 2, 4711, b"tok1", [(11, b"x"), (CONTENT_FORMAT, uint(OCF_CBOR))], b"\xa1\x61a\x05")
    for _ in range(3):
        peer.socket.sendto(message, peer.address)
    answers = [peer.receive() for _ in range(3)]
    equal({(m.code, m.payload, m.mid) for m in answers}, {("2.04", answers[0].payload, 4711)})
    app.signal("Updated")
    raises(TimeoutError, app.signal, "Updated", None, 0.5)


@test()
def garbage_is_survived(w):
    w.start()
    serve(w, x={"a": 1})
    pid = w.ocfd.pid
    dice = random.Random(20260)
    good = encode(CON, 1, 1, b"abcd", [(11, b"x"), (17, uint(OCF_CBOR)), (6, b"")])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        for i in range(20000):
            data = bytearray(good if i % 2 else dice.randbytes(dice.randrange(0, 60)))
            for _ in range(dice.randrange(1, 4)):
                if data:
                    data[dice.randrange(len(data))] = dice.randrange(256)
            s.sendto(bytes(data), ("127.0.0.1", 5683))
            if i % 200 == 0:
                time.sleep(0.005)
    eventually(lambda: w.peer().get("/x", timeout=2).code == "2.05", "it answers a good request")
    assert w.ocfd.runs() and w.ocfd.pid == pid


NPM_CLIENT = """
import coap from 'coap';

const request = (path, method, payload, observe) => new Promise((resolve, reject) => {
    const r = coap.request({ hostname: '127.0.0.1', pathname: path, method, observe });
    r.setOption('Accept', 'application/json');
    if (payload) r.setOption('Content-Format', 'application/json');
    r.on('error', reject);
    r.on('response', resolve);
    r.end(payload ? JSON.stringify(payload) : undefined);
});
const fail = (why) => { console.log('WRONG: ' + why); process.exit(1); };
const json = (m) => JSON.parse(m.payload.toString());

let m = await request('/x', 'GET');
if (m.code !== '2.05' || json(m).a !== 1) fail(m.code + m.payload);
m = await request('/x', 'POST', { a: 2 });
if (m.code !== '2.04' || json(m).a !== 2) fail(m.code + m.payload);
m = await request('/none', 'GET');
if (m.code !== '4.04') fail(m.code);
m = await request('/large', 'GET');
console.log('large ' + json(m).text.length + ' ' + json(m).text.endsWith('the end'));
const stream = await request('/x', 'GET', undefined, true);
stream.on('data', (d) => {
    const value = JSON.parse(d.toString());
    console.log('observed ' + value.a);
    if (value.a === 9) { stream.close(); process.exit(0); }
});
setTimeout(() => fail('nothing more was observed'), 20000);
"""


@test(npm=True)
def npm_client_gets_posts_and_observes(w):
    if not shutil.which("node"):
        raise Skip("node is not installed (nodejs)")
    w.start()
    app, path = serve(w, x={"a": 1}, large={"text": LARGE})
    script = pathlib.Path(w.directory, "client.mjs")
    script.write_text(NPM_CLIENT)
    pathlib.Path(w.directory, "node_modules").symlink_to(f"{w.npm}/node_modules")
    client = w.spawn("npm-coap", "node", script)
    client.says(rf"^large {len(LARGE)} true$", 20)
    client.says(r"^observed 2$", 10)
    app.publish(path, "/x", {"a": 5})
    client.says(r"^observed 5$")
    app.publish(path, "/x", {"a": 9})
    client.says(r"^observed 9$")
    equal(client.wait(), 0, client.output())


if __name__ == "__main__":
    main()
