#!/usr/bin/env python3
"""The tools against each other, and against servers that do wrong: strictness that never fires is none.

    bench/test_tools.py BUILD_DIRECTORY
"""
import pathlib
import select
import socket
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import worlds  # noqa: E402

OK, WRONG, LOST = 0, 1, 3


class Liar(threading.Thread):
    """Answers GETs like a server; each hundredth answer goes through lie(), which says what is sent instead."""

    def __init__(self, lie):
        super().__init__(daemon=True)
        self.lie, self.n = lie, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        while True:
            m, peer = self.socket.recvfrom(2048)
            n_token = m[0] & 15
            answer = bytes([0x60 | n_token, 0x45]) + m[2 : 4 + n_token] + b"\xc1\x3c\xffbody"
            self.n += 1
            for datagram in self.lie(answer) if self.n % 100 == 0 else [answer]:
                self.socket.sendto(datagram, peer)


class ObservedLiar(threading.Thread):
    """Tells observers of what is POSTed; of the third change one observer hears what lie() makes of it."""

    def __init__(self, lie):
        super().__init__(daemon=True)
        self.lie, self.observers, self.n = lie, {}, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        before = b"\xa0"
        while True:
            m, peer = self.socket.recvfrom(2048)
            end = 4 + (m[0] & 15)
            if m[1] == 1:
                self.observers[peer] = m[4:end]
                self.socket.sendto(bytes([0x60 | m[0] & 15, 0x45]) + m[2:end] + (b"\x61\x02" if m[end] == 0x60 else b"") + b"\xffx", peer)
                continue
            self.n += 1
            body = m.partition(b"\xff")[2]
            self.socket.sendto(bytes([0x60 | m[0] & 15, 0x44]) + m[2:end], peer)
            for i, (observer, token) in enumerate(self.observers.items()):
                said = [(self.n + 2, body)]
                if self.n == 3 and i == 0:
                    said = self.lie(self.n + 2, body, before)
                for sequence, value in said:
                    head = bytes([0x50 | len(token), 0x45]) + self.n.to_bytes(2, "big") + token
                    self.socket.sendto(head + b"\x63" + sequence.to_bytes(3, "big") + b"\xff" + value, observer)
            before = body


OBSERVED_LIES = {
    "an older number": (lambda n, new, old: [(n - 1, new)], WRONG),
    "the value before": (lambda n, new, old: [(n, old)], WRONG),
    "told twice": (lambda n, new, old: [(n, new), (n, new)], LOST),
    "not told": (lambda n, new, old: [], LOST),
}


class Meddler(threading.Thread):
    """Between dtls_load and a server: each fiftieth datagram to the clients goes through do()."""

    def __init__(self, port, do):
        super().__init__(daemon=True)
        self.server, self.do, self.n = ("127.0.0.1", port), do, 0
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.start()

    def run(self):
        behind = {}
        while True:
            for s in select.select([self.socket, *behind.values()], [], [])[0]:
                datagram, peer = s.recvfrom(4096)
                if s is self.socket:
                    if peer not in behind:
                        behind[peer] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    behind[peer].sendto(datagram, self.server)
                    continue
                client = next(c for c, its in behind.items() if its is s)
                self.n += datagram[0] == 23  # data, so that the handshakes are left alone
                for d in self.do(datagram) if datagram[0] == 23 and self.n % 50 == 0 else [datagram]:
                    self.socket.sendto(d, client)


MEDDLING = {
    "a record is lost": (lambda d: [], LOST),
    "a record is altered": (lambda d: [d[:40] + bytes([d[40] ^ 1]) + d[41:]], LOST),
    "a record comes twice, and is heard once": (lambda d: [d, d], OK),
}


LIES = {
    "another token": (lambda a: [a[:4] + bytes([a[4] ^ 1]) + a[5:]], LOST),
    "another message id": (lambda a: [a[:3] + bytes([a[3] ^ 1]) + a[4:]], WRONG),
    "another body": (lambda a: [a[:-1] + b"x"], WRONG),
    "another code": (lambda a: [a[:1] + b"\x84" + a[2:]], WRONG),
    "cut short": (lambda a: [a[:8]], WRONG),
    "a critical option": (lambda a: [a[:12] + b"\xc1\x3c\xd1\x90x\xffbody"], WRONG),
    "twice": (lambda a: [a, a], LOST),
    "not at all": (lambda a: [], LOST),
}


def run(build, name, *argv):
    command = [str(build / "bench" / name), *map(str, argv)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=90)
    return result.returncode, result.stdout.strip() + result.stderr.strip()


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    failures = []

    def expect(what, wanted, *argv):
        for attempt in range(3):  # a machine that is very busy loses things by itself
            code, said = run(build, *argv)
            if code == wanted:
                break
        print("ok  " if code == wanted else "FAIL", f"{what}: {code}, {said}", flush=True)
        if code != wanted:
            failures.append(what)

    with worlds.Floor(build) as floor, worlds.Floor(build, name="coap_tcp_floor") as tcp:
        there = ["127.0.0.1", floor.port, "/bench"]
        expect("load", OK, "coap_load", "-t", 1, "-n", 4, "-p", floor.pids[0], *there)
        expect("load, CON", OK, "coap_load", "-c", "-t", 1, "-n", 4, *there)
        expect("load over TCP", OK, "coap_tcp_load", "-t", 1, "-n", 4, "127.0.0.1", tcp.port, "/bench")
        expect("observers", OK, "coap_observe", "-t", 1, "-n", 200, "-b", 44, *there)
        expect("a crowd", OK, "coap_crowd", "-n", 2000, *there)
    for name in ("dtls_floor", "secure_node"):
        with worlds.Secured(build, name) as server:
            there = ["127.0.0.1", server.port, server.path]
            expect(f"{name}, GETs", OK, "dtls_load", "-t", 1, "-n", 4, "-p", server.pids[0], *there)
            expect(f"{name}, MAC-then-encrypt", OK, "dtls_load", "-m", "-t", 1, "-n", 4, *there)
            expect(f"{name}, 4 of 300 sessions", OK, "dtls_load", "-t", 1, "-n", 300, "-a", 4, *there)
            expect(f"{name}, handshakes", OK, "dtls_load", "-H", "-t", 1, "-n", 4, "-p", server.pids[0], *there)
            expect(f"{name}, idle sessions", OK, "dtls_load", "-I", "-n", 300, "-p", server.pids[0], *there)
            expect(f"{name}, another key", WRONG, "dtls_load", "-t", 1, "-n", 1, "-k", "00" * 16, *there)
    with worlds.Secured(build, "secure_node") as server:
        expect("hellos", OK, "dtls_load", "-C", "-t", 1, "-n", 8, "-p", server.pids[0], "127.0.0.1", server.port, server.path)
        for what, (do, wanted) in MEDDLING.items():
            meddler = Meddler(server.port, do)
            expect(what, wanted, "dtls_load", "-t", 2, "-n", 2, "-w", 1, "127.0.0.1", meddler.port, server.path)
    for what, (lie, wanted) in LIES.items():
        liar = Liar(lie)
        expect(what, wanted, "coap_load", "-c", "-t", 1, "-n", 2, "-w", 2, "127.0.0.1", liar.port, "/bench")
    for what, (lie, wanted) in OBSERVED_LIES.items():
        liar = ObservedLiar(lie)
        expect(what, wanted, "coap_observe", "-k", "-t", 1, "-n", 5, "127.0.0.1", liar.port, "/bench")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
