"""CoAP over TCP (RFC 8323) by hand: a strict peer that shows each message as it is, and can send wrong ones.

What it reads must be right: the first message is a CSM, lengths are written as short as they can be, options have the
numbers of their signal. A Message has the code, token, options and payload as those of coap_wire have.
"""
import os
import socket
import struct
import time

from coap_wire import CONTENT_FORMAT, GET, OBSERVE, OCF_CBOR, POST, URI_PATH, URI_QUERY, Message, Peer, cbor_encode, encode, uint

CSM, PING, PONG, RELEASE, ABORT = (0xE0 | n for n in (1, 2, 3, 4, 5))
MAX_MESSAGE_SIZE, BLOCK_WISE = 2, 4  # of a CSM
CUSTODY = 2  # of Ping and Pong
BAD_CSM_OPTION = 2  # of Abort
BASE_SIZE = 1152  # until a CSM says otherwise


def encode_stream(method, token, options=(), payload=b""):
    """One message with its length in front (RFC 8323, 3.2)."""
    rest = encode(0, method, 0, b"", options, payload)[4:]
    n = len(rest)
    if n < 13:
        head = bytes([n << 4 | len(token)])
    elif n < 269:
        head = bytes([13 << 4 | len(token), n - 13])
    elif n < 65805:
        head = bytes([14 << 4 | len(token)]) + struct.pack(">H", n - 269)
    else:
        head = bytes([15 << 4 | len(token)]) + struct.pack(">I", n - 65805)
    return head + bytes([method]) + token + rest


def split(data):
    """The first message in data and how long it is; (None, 0) while it is not all there."""
    if not data:
        return None, 0
    n, n_token, at = data[0] >> 4, data[0] & 15, 1
    assert n_token <= 8, f"a token of {n_token} bytes"
    if n >= 13:
        size, base = {13: (1, 13), 14: (2, 269), 15: (4, 65805)}[n]
        if len(data) < 1 + size:
            return None, 0
        n, at = base + int.from_bytes(data[1 : 1 + size], "big"), 1 + size
    end = at + 1 + n_token + n
    if len(data) < end:
        return None, 0
    # as a datagram would have it, for the one that reads options
    m = Message(bytes([0x50 | n_token, data[at], 0, 0]) + data[at + 1 : end])
    m.size = end
    return m, end


class Closed(Exception):
    """The other end closed the connection; reset tells how."""

    def __init__(self, reset):
        super().__init__("reset" if reset else "closed")
        self.reset = reset


class StreamPeer:
    """A client with a connection of its own. csm: the first thing that it says; None: nothing."""

    def __init__(self, host="127.0.0.1", port=5683, network=None, timeout=6.0, csm=(), family=None):
        self.timeout = timeout
        family = family or (socket.AF_INET6 if ":" in host else socket.AF_INET)

        def connect():
            self.socket = socket.socket(family, socket.SOCK_STREAM)
            self.socket.settimeout(timeout)
            self.socket.connect(socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4])

        network.inside(connect) if network else connect()
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.data = b""
        self.theirs = None  # their CSM
        self.largest = BASE_SIZE  # that we said we take
        if csm is not None:
            self.signal(CSM, csm)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def raw(self, data):
        self.socket.sendall(data)

    def signal(self, number, options=(), payload=b"", token=b""):
        if number == CSM:
            self.largest = next((int.from_bytes(v, "big") for n, v in options if n == MAX_MESSAGE_SIZE), self.largest)
        self.raw(encode_stream(number, token, options, payload))

    def message(self, method, path, query="", options=(), payload=b"", token=None):
        """The bytes of a request, and its token."""
        token = os.urandom(4) if token is None else token
        options = [*options]
        if payload and not any(number == CONTENT_FORMAT for number, _ in options):
            options.append((CONTENT_FORMAT, uint(OCF_CBOR)))
        options += [(URI_PATH, part.encode()) for part in path.strip("/").split("/") if part]
        options += [(URI_QUERY, part.encode()) for part in query.split("&") if part]
        return encode_stream(method, token, options, payload), token

    def send(self, *args, **more):
        data, token = self.message(*args, **more)
        self.raw(data)
        return token

    def receive(self, timeout=None, token=None):
        """The next message; their CSM comes first, is kept, and not given. Closed; TimeoutError."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            m, n = split(self.data)
            if m is None:
                left = end - time.monotonic()
                if left <= 0:
                    raise TimeoutError("no CoAP message came in time")
                self.read(left)
                continue
            self.data = self.data[n:]
            assert n <= self.largest, f"{n} bytes, though we take {self.largest}"
            if self.theirs is None:
                assert m.code == "7.01", f"the first message is no CSM, but {m}"
                self.theirs = m
            elif token is None or m.token == token or m.code.startswith("7."):
                return m

    def read(self, seconds):
        self.socket.settimeout(seconds)
        try:
            data = self.socket.recv(65536)
        except socket.timeout:
            return
        except (ConnectionResetError, BrokenPipeError):
            raise Closed(True) from None
        if not data:
            assert not self.data, f"the connection ends within a message: {self.data!r}"
            raise Closed(False)
        self.data += data

    def is_closed(self, timeout=None):
        """Waits for the end; messages before it are given. AssertionError when it does not come."""
        said = []
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while time.monotonic() < end:
            try:
                said.append(self.receive(end - time.monotonic()))
            except Closed:
                return said
            except TimeoutError:
                break
        raise AssertionError(f"the connection still stands; it said {said}")

    def request(self, method, path, query="", timeout=None, **more):
        return self.receive(timeout, self.send(method, path, query, **more))

    def get(self, path, query="", **more):
        return self.request(GET, path, query, **more)

    get_whole, links = Peer.get_whole, Peer.links  # blocks are the same

    def post(self, path, value, query="", **more):
        return self.request(POST, path, query, payload=cbor_encode(value), **more)

    def observe(self, path, query="", options=(), **more):
        return self.request(GET, path, query, options=[(OBSERVE, b""), *options], **more)

    def ping(self, options=(), **more):
        token = os.urandom(8)
        self.signal(PING, options, token=token)
        m = self.receive(**more)
        assert (m.code, m.token) == ("7.03", token), m
        return m
