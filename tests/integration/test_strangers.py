"""What an address gets that has shown nothing: the spoofed source of an attack by amplification.

The stranger writes from an address beyond our network (a router would have let it through), or from one of our own
network. Its victim would neither answer pings nor return Echo values, so this one does not either, until it does.
"""
import os
import socket
import subprocess
import time

from coap_wire import ACK, BLOCK2, CON, GET, NON, RST, URI_PATH, Message, Peer, encode, uint
from harness import Network, equal, main, test

ECHO = 252
FAR = "198.51.100.7"


class Victim:
    """A plain socket: it counts what comes, and answers nothing by itself."""

    def __init__(self, host, source):
        def make():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((source, 0))
            return s

        self.socket = host.inside(make)
        self.ours = host.ours
        self.n_out = self.n_in = 0
        self.mid = 0

    def ask(self, path, kind=NON, method=GET, options=(), to=None):
        self.mid += 1
        segments = [(URI_PATH, part.encode()) for part in path.strip("/").split("/")]
        datagram = encode(kind, method, self.mid, os.urandom(4), [*segments, *options])
        self.n_out += len(datagram)
        self.socket.sendto(datagram, (to or self.ours, 5683))

    def hear(self, seconds=0.3):
        """All that comes until it is quiet for so long."""
        messages = []
        self.socket.settimeout(seconds)
        while True:
            try:
                data, self.source = self.socket.recvfrom(65536)
            except socket.timeout:
                return messages
            self.n_in += len(data)
            messages.append(Message(data))


def beyond(host):
    """An address that is reached through the host on the other end, and is in no network of ours."""
    host.run("ip", "addr", "add", f"{FAR}/32", "dev", "lo")
    subprocess.run(["ip", "route", "add", "198.51.100.0/24", "via", f"{host.net}.2"], check=True)


def serve(w):
    w.connect().register({f"/room/{i}": {"rt": ["x.test.room"], "if": ["oic.if.s"], "value": {"text": "x" * 300}, "insecure": True} for i in range(30)})


@test()
def a_stranger_gets_three_bytes_for_one(w):
    host = Network(w)
    beyond(host)
    w.start()
    serve(w)
    victim = Victim(host, FAR)
    for path in ("/oic/res", "/room/3", "/oic/d", "/.well-known/core", "/nothing", "/oic/res"):
        for kind in (NON, CON):
            before = victim.n_in, victim.n_out
            victim.ask(path, kind)
            victim.ask(path, kind, options=[(BLOCK2, uint(0 << 4 | 6))])
            victim.ask(path, kind, options=[(BLOCK2, uint(3 << 4 | 6))])
            pings = [m for m in victim.hear() if m.code == "0.00" and m.kind == CON]
            got, sent = victim.n_in - before[0], victim.n_out - before[1]
            assert got <= 3 * sent + 4 * len(pings), f"{path}: {got} bytes for {sent}"
            assert len(pings) <= 3, pings
    for group in ("224.0.1.187",):
        before = victim.n_in, victim.n_out
        victim.ask("/oic/res", to=group)
        victim.hear(3.0)
        assert victim.n_in - before[0] <= 3 * (victim.n_out - before[1]), "by multicast"


@test()
def who_answers_the_ping_gets_it_whole(w):
    host = Network(w)
    beyond(host)
    w.start()
    serve(w)
    victim = Victim(host, FAR)
    victim.ask("/room/3", CON)
    answers = victim.hear()
    ping = next(m for m in answers if m.code == "0.00" and m.kind == CON)
    (first,) = [m for m in answers if m.kind == ACK]
    equal(first.code, "2.05", "a small block: any client goes on from there")
    assert first.number(BLOCK2) & 8 and len(first.payload) < 256, first
    victim.socket.sendto(encode(RST, 0, ping.mid, b"", []), victim.source)
    victim.ask("/room/3", CON)
    (whole,) = victim.hear()
    assert len(whole.payload) > 300 and whole.option(BLOCK2) is None, whole


@test()
def who_returns_an_echo_gets_it_whole(w):
    host = Network(w)
    beyond(host)
    w.start()
    serve(w)
    w.connect().register({"/r": {"rt": ["x.test.room"], "if": ["oic.if.s"], "value": {"text": "x" * 300}, "insecure": True}})
    victim = Victim(host, FAR)

    def ask(mid, options=()):  # six bytes: not even the smallest block fits into 18
        victim.socket.sendto(encode(CON, GET, mid, b"", [(URI_PATH, b"r"), *options]), (host.ours, 5683))
        (answer,) = [m for m in victim.hear() if m.kind == ACK]
        return answer

    challenge = ask(100)
    equal((challenge.code, len(challenge.payload)), ("4.01", 0))
    forged = bytes([challenge.option(ECHO)[0] ^ 1]) + challenge.option(ECHO)[1:]
    equal(len(ask(101, [(ECHO, forged)]).payload) > 300, False, "a forged value")
    whole = ask(102, [(ECHO, challenge.option(ECHO))])
    equal(whole.code, "2.05")
    assert len(whole.payload) > 300 and whole.option(BLOCK2) is None, whole
    equal(ask(103).code, "2.05", "once is enough")


@test()
def our_own_network_may_ask_at_length_for_a_while(w):
    host = Network(w)
    w.start()
    serve(w)
    neighbour = Victim(host, f"{host.net}.2")
    neighbour.ask("/room/3", CON)
    (whole,) = neighbour.hear()
    assert len(whole.payload) > 300 and whole.option(BLOCK2) is None, whole
    end = time.monotonic() + 20
    while time.monotonic() < end:  # whoever it is goes on without ever showing that it is there
        for _ in range(200):
            neighbour.ask("/room/3")
        answers = neighbour.hear(0.02)
        if any(len(m.payload) < 300 for m in answers if m.code == "2.05"):
            break
    else:
        raise AssertionError("the bucket has no bottom")
    rate = neighbour.n_in
    assert rate <= 3 * neighbour.n_out + 128 * 1024 + 32 * 1024 * 25, rate


@test()
def an_honest_client_beyond_our_network_reads_all(w):
    """It answers pings, as all of CoAP does; nothing else is asked of it."""
    host = Network(w)
    beyond(host)
    w.start()
    serve(w)
    with Peer(host.ours, network=host) as peer:
        peer.socket.close()

        def make():
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((FAR, 0))
            return s

        peer.socket = host.inside(make)
        first = peer.get("/oic/res")
        equal(first.code, "2.05")
        size = 16 << (first.number(BLOCK2) & 7)
        body, last = peer.get_whole("/oic/res", szx=(size.bit_length() - 5))
        equal(last.code, "2.05")
        assert len(body) > 3000, len(body)


if __name__ == "__main__":
    main()
