#!/usr/bin/env python3
"""Real peers: our endpoint (coap_node) with the clients and servers of others, each operation, over UDP and TCP, IPv4 and IPv6.

    test_peers.py PEER ROLE [--family IPv4|IPv6] [--build DIRECTORY] [--only TEXT]

PEER is one of peers.py, ROLE what it plays: client or server; we play the other. Moves into namespaces of its own, and says
what happened in TAP, a line for each peer, operation, transport and family. A peer that cannot be had is a skip that says
why, and a failure where CI=true.
"""
import argparse
import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from harness import SANITIZER, SLOW, enter_namespaces, equal, eventually, shell
from peers import PEERS, Ours

MIB = 1 << 20
PATTERN = b"".join(i.to_bytes(4, "big") for i in range(MIB // 4))
HOSTS = {"IPv4": "127.0.0.1", "IPv6": "[::1]"}
FAR_HOSTS = {"IPv4": "192.0.2.1", "IPv6": "[2001:db8::1]"}  # ours as well, but no loopback
PORTS = {"plain": 5700, "lossy": 5701, "small": 5702, "far": 5703}
OPTIONS = {"plain": [], "lossy": ["-l", "7"], "small": ["-b", "2"], "far": ["-f"]}  # of our server
CASES = []


def case(*servers, schemes=("coap", "coap+tcp"), roles=("client", "server")):
    """Registers a case; servers: which of our servers it is done with, and which of the peer's."""

    def add(function):
        CASES.append((function, servers or ("plain",), schemes, roles))
        return function

    return add


class Table:
    """One case's view: who asks, whom, over what."""

    def __init__(self, test, server, scheme, family):
        self.test, self.server, self.family = test, server, family
        hosts = FAR_HOSTS if server == "far" else HOSTS
        self.base = f"{scheme}://{hosts[family]}:{PORTS[server]}"
        self.loss = 6 if server == "lossy" else None
        self.output = test.directory / "output"

    def path(self, name, default):
        """Where the peer's server has it, and what it says there."""
        there = self.test.peer.paths.get(name) if self.test.role == "server" else None
        return there or default

    def ask(self, method, path, payload=None, who=None, **more):
        """[(code, text)]; the body of the last answer is in self.body."""
        who = who or self.test.asker
        self.output.unlink(missing_ok=True)
        if payload is not None:
            more["file"] = self.test.directory / "payload"
            more["file"].write_bytes(payload)
        if self.loss and "coap:" in self.base:
            more["loss"] = self.loss
        argv = who.ask(self.base + path, method, output=self.output, **more)
        printed = self.test.run(argv, who)
        self.body = self.output.read_bytes() if self.output.exists() else b""
        answers = who.answers(printed, self.output)
        assert answers, f"no answer to {' '.join(argv)}: {printed[-600:]}"
        return answers

    def one(self, method, path, payload=None, **more):
        return self.ask(method, path, payload, **more)[-1][0]

    def ours_reads(self, path):
        """What is there, read by our own client: a measure for what others wrote."""
        code = self.one("get", path, who=self.test.ours)
        return code, self.body


class Test:
    def __init__(self, options, peer, directory):
        self.role, self.peer, self.directory = options.role, peer, directory
        build = pathlib.Path(options.build).resolve()
        self.ours = Ours(build / "tests/peers/coap_node")
        self.asker = peer if options.role == "client" else self.ours
        self.servers = []
        self.of_peer = ["plain", "lossy"]
        self.log = ""

    def run(self, argv, who, seconds=40):
        env = {**os.environ, **who.environment()}
        result = subprocess.run(argv, capture_output=True, timeout=seconds * SLOW, env=env, stdin=subprocess.DEVNULL, cwd=self.directory)
        printed = re.sub(" :: .*|<<.*", "", (result.stdout + result.stderr).decode("latin-1"))  # libcoap shows payloads
        self.log = f"{' '.join(argv)}\n{printed[-3000:]}"
        assert not SANITIZER.search(printed), printed
        return printed

    def start(self):
        for name, port in PORTS.items():
            if self.role == "client":
                self.spawn([*self.ours.command(), "serve", "-p", str(port), *OPTIONS[name]], self.ours, port)
            elif name in self.of_peer:
                self.spawn(self.peer.serve(port, loss=7 if name == "lossy" else None), self.peer, port)

    def spawn(self, argv, who, port):
        log = open(self.directory / f"server-{port}.log", "wb")
        process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env={**os.environ, **who.environment()})
        log.close()
        process.log, process.who = self.directory / f"server-{port}.log", who
        self.servers.append(process)

        def answers():
            assert process.poll() is None, f"{argv} ended: {process.log.read_text()}"
            return self.ours.answers(self.run(self.ours.ask(f"coap://[::1]:{port}/", "get"), self.ours), None)

        eventually(answers, f"{argv} answers", 20)

    def stop(self):
        for process in self.servers:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            process.kill()
            text = process.log.read_text(errors="replace")
            assert process.who is not self.ours or not SANITIZER.search(text), text


# ---- the operations


@case("plain", "far")
def get(t):
    path, text = t.path("get", ("/hello", "hello, peer"))
    [(code, body)] = t.ask("get", path)
    equal(code, "2.05")
    assert body.startswith(text), body


@case()
def get_what_is_not_there(t):
    equal(t.one("get", "/store/nothing"), "4.04")


@case("plain", "far")
def put_get_delete(t):
    equal(t.one("put", "/store/a", b"first"), "2.01")
    equal(t.ask("get", "/store/a"), [("2.05", "first")])
    equal(t.one("put", "/store/a", b"second"), "2.04")
    equal(t.ours_reads("/store/a"), ("2.05", b"second"))
    equal(t.one("delete", "/store/a"), "2.02")
    equal(t.one("get", "/store/a"), "4.04")


@case()
def post(t):
    equal(t.one("post", "/store/p", b"one "), "2.01")
    equal(t.one("post", "/store/p", b"two"), "2.04")
    equal(t.ours_reads("/store/p"), ("2.05", b"one two"))
    equal(t.one("delete", "/store/p"), "2.02")


@case()
def slow(t):
    path, text = t.path("slow", ("/slow", "at last"))
    began = time.monotonic()
    [(code, body)] = t.ask("get", path)
    assert (code, body[: len(text)]) == ("2.05", text), (code, body)
    assert time.monotonic() - began > 0.9


@case("plain", "small")
def echo(t):
    for n in (0, 1024, 1025, 5000):
        assert t.one("post", "/echo", PATTERN[:n]) in ("2.04", "2.05")
        assert t.body == PATTERN[:n], f"of {n} bytes, {len(t.body)} came back"


@case()
def fetch(t):
    assert t.one("fetch", "/echo", b"which") in ("2.05", "2.04")
    equal(t.body, b"which")


@case("plain", "lossy")
def observe(t):
    path, text = t.path("observe", ("/tick", r"\d+"))
    answers = t.ask("get", path, observe=4 if text else 2)
    assert len(answers) >= (4 if text else 2), answers
    equal({code for code, _ in answers}, {"2.05"})
    if text:
        numbers = [int(body) for _, body in answers]
        equal(numbers, sorted(set(numbers)))
    if t.test.role == "client" and not t.loss:
        eventually(lambda: "observers=0" in t.ours_reads("/counts")[1].decode(), "the observer is gone", 15)


@case("plain", "small", "far", roles=["client"])
def get_in_blocks(t):
    for n in (1024, 2048, 20000):
        equal(t.one("get", f"/big?n={n}"), "2.05")
        assert t.body == PATTERN[:n], f"of {n} bytes, {len(t.body)} came"


@case("far", roles=["client"])
def put_in_blocks(t):
    equal(t.one("put", "/store/b", PATTERN[:20000]), "2.01")
    equal(t.ours_reads("/store/b"), ("2.05", PATTERN[:20000]))
    equal(t.one("delete", "/store/b"), "2.02")


@case("lossy")
def blocks(t):
    """Both lose a datagram of six or seven, each of which costs two or three seconds."""
    equal(t.one("put", "/store/b", PATTERN[:5000]), "2.01")
    equal(t.one("get", "/store/b"), "2.05")
    assert t.body == PATTERN[:5000], f"{len(t.body)} bytes came"
    equal(t.one("delete", "/store/b"), "2.02")


@case()
def one_mib_up_and_down(t):
    equal(t.one("put", "/store/m", PATTERN), "2.01")
    code, body = t.ours_reads("/store/m")
    assert code == "2.05" and body == PATTERN, f"{len(body)} bytes arrived"
    equal(t.one("get", "/store/m"), "2.05")
    assert t.body == PATTERN, f"{len(t.body)} bytes came back"
    equal(t.one("delete", "/store/m"), "2.02")


@case(roles=["client"])
def if_match(t):
    equal(t.one("put", "/etag", b"mine", match="00112233"), "4.12")
    equal(t.one("put", "/etag", b"yours", match=""), "2.04")
    equal(t.ours_reads("/etag"), ("2.05", b"yours"))


# ---- what they are run by


def cases(test, only, families):
    for function, servers, schemes, roles in CASES:
        if test.role not in roles:
            continue
        for server in servers if test.role == "client" else [s for s in servers if s in test.of_peer]:
            for scheme in test.peer.schemes:
                if scheme not in schemes or (server == "lossy" and scheme != "coap"):
                    continue
                for family in families:
                    name = function.__name__.replace("_", " ") + {"plain": "", "lossy": " with loss", "small": ", our blocks 64 bytes", "far": " as a stranger"}[server]
                    name = f"{test.peer.name} {test.role}: {name}, {scheme} on {family}"
                    if not only or only in name:
                        yield name, function, Table(test, server, scheme, family)


def run(test, only, families):
    n = n_failed = 0
    for n, (name, function, table) in enumerate(cases(test, only, families), 1):
        why = (test.peer.cannot_as_client if test.role == "client" else test.peer.cannot_as_server).get(function.__name__)
        if why:
            print(f"ok {n} - {name} # SKIP {why}", flush=True)
            continue
        began = time.monotonic()
        try:
            function(table)
            print(f"ok {n} - {name} # {time.monotonic() - began:.1f} s", flush=True)
        except (AssertionError, subprocess.TimeoutExpired, ValueError, OSError) as error:
            n_failed += 1
            print(f"not ok {n} - {name}", flush=True)
            for line in f"{error}\n{test.log}".splitlines():
                print(f"#   {line[:400]}", flush=True)
            if n_failed == 8:
                print("Bail out! So many failures have one cause")
                return n_failed
    print(f"1..{n}")
    return n_failed


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=sorted(PEERS))
    parser.add_argument("role", choices=["client", "server"])
    parser.add_argument("--build", default=os.environ.get("MESON_BUILD_ROOT", "."))
    parser.add_argument("--only")
    parser.add_argument("--family", choices=sorted(HOSTS))
    options = parser.parse_args()
    peer = PEERS[options.peer]()
    why = peer.obtain()  # once more inside the namespaces, where it is there already
    if why and os.environ.get("CI") == "true":
        sys.exit(f"{peer.name} cannot be had: {why}")
    if why:
        print(f"1..0 # SKIP {peer.name} cannot be had: {why}")
        return 0
    enter_namespaces()
    shell("ip link set lo up; ip addr add 192.0.2.1/32 dev lo; ip addr add 2001:db8::1/128 dev lo nodad")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ocfd-peers-"))
    test = Test(options, peer, directory)
    try:
        test.start()
        return 1 if run(test, options.only, [options.family] if options.family else HOSTS) else 0
    finally:
        test.stop()
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
