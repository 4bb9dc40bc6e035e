"""The peers: how each is had, asked and started, and what it cannot do.

A peer that is a program of ours around a library (go/, peer_npm.mjs, peer_aiocoap.py) takes the same command line:

    PEER ask [-f PAYLOAD-FILE] [-o OUTPUT-FILE] [-s N] [-M HEX] METHOD URI
    PEER serve PORT

METHOD is get, post, put, delete, fetch or ipatch; -s observes until N representations came, -M is If-Match. ask prints a
line for each answer, 2.05 bytes 3 "abc", and serve prints "ready" and offers what node_serve.c does, /etag aside.
"""
import os
import pathlib
import re
import shutil
import sys

from peer_packages import fetch

HERE = pathlib.Path(__file__).resolve().parent
LINE = re.compile(r'^(\d\.\d\d) .*?bytes (\d+)(?: [a-z]+)? "(.*)"$', re.MULTILINE)


class Peer:
    """cannot: names of cases that this peer has no way to do, and why; its wording goes into the report."""

    name = None
    package = None  # of peer_packages.py
    schemes = ["coap", "coap+tcp"]
    cannot_as_client = {}
    cannot_as_server = {}
    paths = {}  # where its server has another path or text: case -> (path, text)

    def obtain(self):
        """Return: None; or why it cannot be had. Called where there still is a network."""
        self.folder, why = fetch(self.package) if self.package else (None, None)
        return why

    def environment(self):
        return {}

    def command(self):
        raise NotImplementedError

    def ask(self, uri, method, file=None, output=None, observe=0, match=None, loss=None):
        argv = [*self.command(), "ask"]
        for option, value in (("-f", file), ("-o", output), ("-s", observe or None), ("-M", match)):
            if value is not None:
                argv += [option, str(value)]
        return [*argv, method, uri]

    def answers(self, printed, output):
        """[(code, text)] of what ask printed; the whole body of the last is in output."""
        return [(m[1], m[3]) for m in LINE.finditer(printed)]

    def serve(self, port, loss=None):
        return [*self.command(), "serve", str(port)]


class Ours(Peer):
    name = "ours"

    def __init__(self, program):
        self.program = program

    def command(self):
        return [str(self.program)]

    def ask(self, uri, method, loss=None, **more):
        argv = super().ask(uri, method, **more)
        if loss:
            argv[2:2] = ["-l", str(loss)]
        if method == "fetch":
            argv[2:2] = ["-t", "0"]  # npm's server wants it (RFC 8132, 2.1)
        return argv


class Libcoap(Peer):
    """Its own two programs. The client says codes only in its debug output, and observes for a time, not a number."""

    name = "libcoap"
    cannot_as_server = {
        "post": "its dynamic resources have no POST",
        "echo": "its server has no such resource",
        "fetch": "its server has no FETCH of what is sent",
    }
    paths = {
        "get": ("/", "This is a test server made with libcoap"),
        "slow": ("/async?1", "done"),
        "observe": ("/time", None),
    }

    def obtain(self):
        self.client = shutil.which("coap-client-notls") or shutil.which("coap-client")
        self.server = shutil.which("coap-server-notls") or shutil.which("coap-server")
        return None if self.client and self.server else "libcoap3-bin is not installed"

    def ask(self, uri, method, file=None, output=None, observe=0, match=None, loss=None):
        argv = ["stdbuf", "-oL", self.client, "-v", "7", "-B", "20", "-m", method]
        if loss:
            argv += ["-l", loss_list(loss)]
        if file:
            argv += ["-f", str(file)]
        if output:
            argv += ["-o", str(output)]
        if observe:
            argv += ["-s", "2", "-w"]
        if match is not None:
            argv += ["-O", f"1,0x{match}" if match else "1,"]
        return [*argv, uri]

    def answers(self, printed, output):
        codes = re.findall(r"process incoming (\d\.\d\d) response", printed)
        texts = pathlib.Path(output).read_bytes().decode("latin-1") if output and os.path.exists(output) else ""
        if len(codes) > 1:
            lines = texts.split("\n")
            return [(code, lines[i] if i < len(lines) else "") for i, code in enumerate(codes)]
        return [(code, texts[:100]) for code in codes]

    def serve(self, port, loss=None):
        return [self.server, "-v", "6", "-d", "20", "-p", str(port), *(["-l", loss_list(loss)] if loss else [])]


def loss_list(every):
    """For libcoap's -l: which of its datagrams get lost."""
    return ",".join(str(every * i) for i in range(1, 9))  # it takes no more than ten


class Npm(Peer):
    name = "npm"
    package = "npm"
    schemes = ["coap"]

    def environment(self):
        return {"NODE_PACKAGES": str(self.folder)}

    def command(self):
        return ["node", str(HERE / "peer_npm.mjs")]


class Aiocoap(Peer):
    name = "aiocoap"
    package = "aiocoap"

    def environment(self):
        return {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1"}

    def command(self):
        return [sys.executable, str(HERE / "peer_aiocoap.py")]


class Go(Peer):
    name = "go"
    package = "go"
    cannot_as_client = {"blocks": "it does not repeat a confirmable request for a further block"}

    def command(self):
        return [str(self.folder / "peer_go")]


PEERS = {peer.name: peer for peer in (Libcoap, Npm, Aiocoap, Go)}
