"""Discovery as a peer sees it: /oic/res in each of its forms, and /.well-known/core."""
import re
import time

from coap_wire import ACCEPT, BLOCK2, CBOR, CON, CONTENT_FORMAT, ETAG, GET, JSON, NON, OBSERVE, OCF_CBOR, Peer, cbor_decode, uint
from dbus_wire import V
from harness import SLOW, Network, equal, eventually, main, raises, test

LINK_FORMAT = 40
CORE = {"/oic/res", "/oic/d", "/oic/p"}
SECURE = ["mnt"] + [f"sec/{name}" for name in ("doxm", "pstat", "acl2", "ael", "cred", "sp", "csr", "roles", "sdi")]
OURS = CORE | {f"/oic/{name}" for name in SECURE}  # what each device has


def resources(n, **more):
    """Enough of them for several blocks."""
    return {f"/room/{i}": {"rt": ["x.test.room"], "if": ["oic.if.s"], "value": {"i": i}, "insecure": True, **more} for i in range(n)}


def whole(peer, path, query="", options=()):
    body, last = peer.get_whole(path, query, options=options)
    equal(last.code, "2.05", f"{path}?{query}")
    return cbor_decode(body)


def hrefs(links):
    return {link["href"] for link in links}


def decoded(text):
    """The links of RFC 6690 as target -> attributes; a flag is True."""
    links = {}
    for link in re.findall(r'<[^>]*>(?:;[^=;,]+(?:=(?:"(?:[^"\\]|\\.)*"|[^";,]*))?)*', text):
        target, rest = re.match(r"<([^>]*)>(.*)", link, re.DOTALL).groups()
        found = re.findall(r';([^=;,]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^";,]*)))?', rest)
        links[target] = {name: re.sub(r"\\(.)", r"\1", quoted) if quoted else plain or True for name, quoted, plain in found}
    return links


@test()
def the_forms_of_oic_res(w):
    w.start()
    w.connect().register(resources(30))
    peer = w.peer()
    links = whole(peer, "/oic/res")
    equal(hrefs(links), OURS | {*resources(30)})
    equal(whole(peer, "/oic/res", "if=oic.if.ll"), links)
    (baseline,) = whole(peer, "/oic/res", "if=oic.if.baseline")
    equal((baseline["rt"], baseline["if"], baseline["links"]), (["oic.wk.res"], ["oic.if.ll", "oic.if.b", "oic.if.baseline"], links))
    of_room = next(link for link in links if link["href"] == "/room/7")
    equal((of_room["rt"], of_room["if"], of_room["p"]), (["x.test.room"], ["oic.if.s", "oic.if.baseline"], {"bm": 3}))
    for host, scheme in (("127.0.0.1", "coap://127.0.0.1:"), ("::1", "coap://[::1]:")):
        with w.peer(host) as other:
            eps = [e["ep"] for e in whole(other, "/oic/res", "rt=oic.wk.d")[0]["eps"]]
            equal(eps[0], f"{scheme}5683", "where it was asked")
            assert all(scheme.split("//")[1] in ep for ep in eps), f"of the asked family and interface: {eps}"
    equal(peer.get("/oic/res", "if=oic.if.unheard").code, "4.00")
    equal(peer.get("/oic/res", "if=oic.if.rw").code, "4.03")
    equal(peer.get("/oic/res", options=[(ACCEPT, uint(CBOR))]).code, "4.06", "the layout of OIC 1.1")
    equal(peer.get("/oic/res", "rt=oic.wk.d", options=[(ACCEPT, uint(JSON))]).number(CONTENT_FORMAT), JSON)
    equal(peer.post("/oic/res", {"a": 1}).code, "4.01", "while nobody owns it, it may be read")


@test()
def filters_of_oic_res(w):
    w.start()
    w.connect().register({"/a": {"rt": ["x.one", "x.two"], "value": {}, "insecure": True}, "/b": {"rt": ["x.three"], "value": {}, "insecure": True}})
    peer = w.peer()
    for query, wanted in {
        "rt=x.two": {"/a"},
        "rt=x.one&rt=x.three": {"/a", "/b"},
        "rt=x.two&unknown=7": {"/a"},
        "rt=x.none": set(),
        "unknown=7": {"/a", "/b"} | OURS,
    }.items():
        equal(hrefs(whole(peer, "/oic/res", query)), wanted, query)
    di = peer.get("/oic/d").value()["di"]
    equal(hrefs(whole(peer, "/oic/res", f"rt=x.two&di={di}")), {"/a"})
    equal(peer.get("/oic/res", f"di={di[::-1]}").code, "4.04")
    equal(peer.get("/oic/res", f"sduuid={di}").code, "4.04", "it is in no security domain")
    # what matches nothing is not answered to a multicast
    host = Network(w)
    eventually(lambda: any(e.startswith("coap://192.0.2.1") for e in w.connect().property("/org/ocfd/device/0", "Device1", "Endpoints")), "the network is there")
    with Peer("224.0.1.187", network=host, timeout=3 * SLOW) as multicast:
        for path, query in (("/oic/res", "rt=x.none"), ("/.well-known/core", "rt=x.none"), ("/oic/res", "if=oic.if.unheard")):
            raises(TimeoutError, multicast.receive, 1.5 * SLOW, multicast.send(NON, GET, path, query))
        for path in ("/oic/res", "/.well-known/core"):
            m = multicast.receive(token=multicast.send(NON, GET, path, "rt=x.two"))
            equal(m.code, "2.05", path)


@test()
def etags_of_oic_res(w):
    w.start()
    app = w.connect()
    path = app.register({"/a": {"rt": ["x.one"], "value": {"v": 1}, "insecure": True}})
    peer = w.peer()
    tags = {}
    for where, query in (("/oic/res", ""), ("/oic/res", "if=oic.if.baseline"), ("/oic/res", "if=oic.if.b"), ("/oic/res", "rt=x.one"), ("/.well-known/core", ""), ("/oic/d", ""), ("/oic/p", "")):
        tag = peer.get(where, query).option(ETAG)
        assert tag and len(tag) == 8, (where, query, tag)
        m = peer.get(where, query, options=[(ETAG, tag)])
        equal((m.code, m.payload, m.option(ETAG)), ("2.03", b"", tag), f"{where}?{query}")
        tags[where, query] = tag
    # a value changes the batch and nothing else
    app.publish(path, "/a", {"v": 2})
    same = lambda: {key for key, tag in tags.items() if peer.get(*key, options=[(ETAG, tag)]).code == "2.03"}
    equal(set(tags) - same(), {("/oic/res", "if=oic.if.b")})
    # a resource more changes all lists that have it
    w.connect().register({"/b": {"rt": ["x.two"], "value": {"v": 1}, "insecure": True}})
    equal({key for key in same() if key[0] == "/oic/res"}, set())
    assert ("/.well-known/core", "") not in same()


@test()
def observers_of_oic_res_hear_of_resources(w):
    w.start()
    peer = w.peer()
    first = peer.observe("/oic/res", "rt=x.one")
    equal((first.code, first.value(), first.option(OBSERVE) is not None), ("2.05", [], True))
    app = w.connect()
    app.register({"/a": {"rt": ["x.one"], "value": {}, "insecure": True}})
    equal(hrefs(peer.receive(token=first.token).value()), {"/a"})
    app.close()
    equal(peer.receive(token=first.token).value(), [])


@test()
def the_batch_has_all_values(w):
    """Those that the daemon has, and those that apps are asked for."""
    w.start()
    app, other = w.connect(), w.connect()
    app.register({"/published": {"rt": ["x.one"], "value": {"v": 1}, "insecure": True}, "/secret": {"rt": ["x.one"], "value": {"v": 2}}})
    peer = w.peer()
    prefix = f"ocf://{peer.get('/oic/d').value()['di']}"

    def batch(m, query="if=oic.if.b"):
        body, last = m.payload, m
        while (last.number(BLOCK2) or 0) & 8:
            last = peer.get("/oic/res", query, options=[(BLOCK2, uint((len(body) // 1024) << 4 | 6))])
            body += last.payload
        return {item["href"].removeprefix(prefix): item for item in cbor_decode(body)}

    m = peer.get("/oic/res", "if=oic.if.b")
    items = batch(m)
    equal((m.code, m.number(CONTENT_FORMAT), set(items)), ("2.05", OCF_CBOR, {"/published", "/oic/d", "/oic/p"}))
    equal((items["/published"]["rep"], items["/published"]["rt"]), ({"v": 1}, ["x.one"]))
    equal(items["/oic/d"]["rep"]["n"], "Test gateway")
    equal(peer.get("/published", options=[(ETAG, items["/published"]["etag"])]).code, "2.03")
    equal(set(batch(peer.get("/oic/res", "if=oic.if.b&rt=x.one"))), {"/published"})

    # two apps more, one of which fails
    asked = []

    def handle(m):
        asked.append(m.args[1])
        return "a{sv}", [{"value": V("a{sv}", {"said": m.args[1]})}]

    other.handlers["Handle"] = handle
    other.register({f"/asked/{i}": {"rt": ["x.asked"], "if": ["oic.if.s"], "handler": "/h", "insecure": True} for i in range(12)})
    app.register({"/fails": {"rt": ["x.asked"], "handler": "/h", "insecure": True}})
    token = peer.send(CON, GET, "/oic/res", "if=oic.if.b&rt=x.asked")
    end = time.monotonic() + 5 * SLOW
    while len(asked) < 12 and time.monotonic() < end:
        app.pump(0.05)
        other.pump(0.05)
    app.pump(0.2)
    m = peer.receive(token=token)
    items = batch(m, "if=oic.if.b&rt=x.asked")
    equal({href: item["rep"] for href, item in items.items()}, {"/fails": {}} | {f"/asked/{i}": {"said": f"/asked/{i}"} for i in range(12)})
    assert "etag" not in items["/fails"], items

    # apps are told to ask one by one, since apps.d decides one by one
    from dbus_wire import BusError

    equal(raises(BusError, app.retrieve, "/oic/res", interface="oic.if.b").name, "org.ocfd.Error.Forbidden")


@test()
def no_batch_in_clear_without_allow_insecure(w):
    w.configure(Security={"AllowInsecure": "no"})
    w.start()
    peer = w.peer()
    equal(peer.get("/oic/res", "if=oic.if.b").code, "4.00")
    equal(hrefs(whole(peer, "/oic/res")), OURS)


@test()
def well_known_core(w):
    w.start()
    name = 'By the "window" \\ K\u00fcche'
    app = w.connect()
    app.register({"/lamp": {"rt": ["x.lamp", "x.lamp.blue"], "if": ["oic.if.a"], "n": name, "value": {"on": True}, "insecure": True}})
    app.register({"/large": {"rt": ["x.large"], "if": ["oic.if.s"], "value": {"text": "y" * 3000}, "insecure": True, "observable": False}})
    peer = w.peer()
    body, m = peer.get_whole("/.well-known/core")
    equal((m.code, m.number(CONTENT_FORMAT)), ("2.05", LINK_FORMAT))
    links = decoded(body.decode())
    equal(set(links), CORE | {"/lamp", "/large", "/oic/sec/doxm", "/oic/sec/pstat"}, "what is served in clear while nobody owns it")
    equal(links["/lamp"], {"rt": "x.lamp x.lamp.blue", "if": "oic.if.a oic.if.baseline", "ct": "10000 60 50", "title": name, "obs": True})
    assert 3000 < int(links["/large"]["sz"]) < 3100 and "obs" not in links["/large"], links["/large"]
    equal(links["/oic/res"]["rt"], "oic.wk.res")
    for query, wanted in {
        "rt=x.lamp.blue": {"/lamp"},
        "rt=x.l*": {"/lamp", "/large"},
        "if=oic.if.s": {"/large"},
        "href=/l*": {"/lamp", "/large"},
        "rt=x.large&href=/lamp": set(),
        "foo=bar": set(),
    }.items():
        m = peer.get("/.well-known/core", query, options=[(ACCEPT, uint(LINK_FORMAT))])
        equal((m.code, m.number(CONTENT_FORMAT), set(decoded(m.payload.decode()))), ("2.05", LINK_FORMAT if wanted else None, wanted), query)
    equal(peer.get("/.well-known/core", options=[(ACCEPT, uint(OCF_CBOR))]).code, "4.06")
    equal(peer.get("/.well-known/core", options=[(ACCEPT, b"")]).code, "4.06", "text")
    equal(peer.post("/.well-known/core", {"a": 1}).code, "4.01")
    # libcoap's client as it is used to look around
    text = w.coap("coap://127.0.0.1/.well-known/core")
    assert "</lamp>;" in text and "</oic/res>;" in text, text


def schemes(link):
    return [e["ep"].partition(":")[0] for e in link["eps"]]


BOTH, SECURE_ONLY = ["coap", "coaps", "coap+tcp", "coaps+tcp"], ["coaps", "coaps+tcp"]


@test()
def secure_resources_are_listed(w):
    """As the reference lists them: in its order, and what begins an ownership transfer in clear as well."""
    w.start()
    app = w.connect()
    app.register({"/open": {"rt": ["x.one"], "value": {}, "insecure": True}, "/closed": {"rt": ["x.one"], "value": {}}})
    equal(app.property(app.find("/oic/sec/doxm"), "Resource1", "Mode"), "core", "on the bus it is the daemon's own")
    peer = w.peer()
    links = whole(peer, "/oic/res")
    equal([link["href"] for link in links], ["/oic/p", "/oic/res", "/oic/d", *(f"/oic/{name}" for name in SECURE), "/open", "/closed"])
    di = peer.get("/oic/d").value()["di"]
    for link in links:
        href = link["href"]
        in_clear = href in CORE | {"/oic/sec/doxm", "/oic/sec/pstat", "/open"}
        equal(schemes(link)[: 4 if in_clear else 2], BOTH if in_clear else SECURE_ONLY, href)
        equal({scheme for scheme in schemes(link)}, {*(BOTH if in_clear else SECURE_ONLY)}, href)
        assert all("127.0.0.1:" in e["ep"] for e in link["eps"]), link
        equal(link["anchor"], f"ocf://{di}")
        if href.startswith("/oic/sec/"):
            equal((link["rt"], link["if"]), ([f"oic.r.{href.rpartition('/')[2]}"], ["oic.if.rw", "oic.if.baseline"]))
            equal(link["p"], {"bm": 3 if href == "/oic/sec/pstat" else 1}, href)
    equal(next(link for link in links if link["href"] == "/oic/mnt")["rt"], ["oic.wk.mnt"])
    # who asks for one of them gets it, and its own filters do not matter here
    for query in ("rt=oic.r.doxm", f"rt=oic.r.doxm&owned=TRUE&di={di}"):
        equal(hrefs(whole(peer, "/oic/res", query)), {"/oic/sec/doxm"}, query)
    # whatever they say is in no batch, nor is a value that is not for plain CoAP
    body, m = peer.get_whole("/oic/res", "if=oic.if.b")
    equal({item["href"].removeprefix(f"ocf://{di}") for item in cbor_decode(body)}, {"/oic/p", "/oic/d", "/open"})
    for i, code in {"oic.if.baseline": "2.05", "oic.if.rw": "2.05", "oic.if.r": "4.03", "oic.if.unheard": "4.03"}.items():
        equal(peer.get("/oic/sec/doxm", f"if={i}").code, code, i)


@test()
def what_onboarding_clients_ask(w):
    """The first steps of plgd's client and of the reference's tool, up to the handshake."""
    w.start()
    host = Network(w)
    eventually(lambda: any(e.startswith("coap://192.0.2.1") for e in w.connect().property("/org/ocfd/device/0", "Device1", "Endpoints")), "the network is there")
    with Peer("224.0.1.187", network=host, timeout=5 * SLOW) as multicast:
        m = multicast.receive(token=multicast.send(NON, GET, "/oic/sec/doxm", "Owned=FALSE"))
        doxm = m.value()
        equal((m.code, doxm["owned"], doxm["oxmsel"]), ("2.05", False, 4))
        m = multicast.receive(token=multicast.send(NON, GET, "/oic/res", f"rt=oic.wk.d&di={doxm['deviceuuid']}"))
        (link,) = m.value()
        equal((link["anchor"], schemes(link)), (f"ocf://{doxm['deviceuuid']}", BOTH))
        # a device that somebody owns, another device, another domain: nobody answers
        for path, query in (("/oic/sec/doxm", "owned=TRUE"), ("/oic/res", f"di={doxm['deviceuuid'][::-1]}"), ("/oic/res", "sduuid=00000000-0000-0000-0000-000000000000")):
            raises(TimeoutError, multicast.receive, 2.5 * SLOW, multicast.send(NON, GET, path, query))
    first = link["eps"][0]["ep"]
    equal(first, "coap://192.0.2.1:5683", "clients take the first one")
    with Peer("192.0.2.1", network=host) as peer:
        m = peer.get("/oic/sec/doxm", "if=oic.if.baseline")
        equal((m.code, m.value()["rt"], m.value()["deviceuuid"]), ("2.05", ["oic.r.doxm"], doxm["deviceuuid"]))
        by_href = {link["href"]: link for link in whole(peer, "/oic/res", f"di={doxm['deviceuuid']}")}
        for href in ("/oic/d", "/oic/sec/doxm", "/oic/sec/acl2"):
            assert any(e["ep"].startswith("coaps://192.0.2.1:") for e in by_href[href]["eps"]), by_href[href]
        equal(peer.get("/oic/d").value()["di"], doxm["deviceuuid"])
        equal([peer.get(f"/oic/{name}").code for name in SECURE], ["4.01", "2.05", "2.05"] + 7 * ["4.01"])
        equal(peer.post("/oic/sec/doxm", {"oxmsel": 0}).code, "2.04")
        equal(peer.get("/oic/sec/doxm").value()["oxmsel"], 0)


if __name__ == "__main__":
    main()
