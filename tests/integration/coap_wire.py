"""CoAP and CBOR by hand: a peer that shows each message as it is, and can send wrong ones.

The tests use libcoap's and npm's clients for what ordinary clients do, and this one for what they hide: codes of
notifications, options that nobody should send, and the address an answer came from.
"""
import os
import socket
import struct
import time

CON, NON, ACK, RST = range(4)
GET, POST, PUT, DELETE = 1, 2, 3, 4
OBSERVE, URI_PATH, CONTENT_FORMAT, MAX_AGE, URI_QUERY, ACCEPT, BLOCK2, SIZE2, ETAG = 6, 11, 12, 14, 15, 17, 23, 28, 4
VERSION_ACCEPT, VERSION_CONTENT = 2049, 2053
OCF_CBOR, CBOR, JSON = 10000, 60, 50


def uint(n):
    return n.to_bytes((n.bit_length() + 7) // 8, "big")


def code(text):
    """ "4.04" -> 0x84"""
    major, minor = text.split(".")
    return int(major) << 5 | int(minor)


def encode(kind, method, mid, token, options, payload=b""):
    out = bytearray([0x40 | kind << 4 | len(token), method]) + struct.pack(">H", mid) + token
    last = 0
    for number, value in sorted(options, key=lambda o: o[0]):
        nibbles, extra = 0, b""
        for n, shift in ((number - last, 4), (len(value), 0)):
            if n < 13:
                nibbles |= n << shift
            elif n < 269:
                nibbles |= 13 << shift
                extra += bytes([n - 13])
            else:
                nibbles |= 14 << shift
                extra += struct.pack(">H", n - 269)
        out += bytes([nibbles]) + extra + value
        last = number
    return bytes(out + (b"\xff" + payload if payload else b""))


class Message:
    def __init__(self, data, source=None):
        self.source = source
        self.kind, n_token = data[0] >> 4 & 3, data[0] & 15
        self.code = f"{data[1] >> 5}.{data[1] & 31:02}"
        self.mid = struct.unpack_from(">H", data, 2)[0]
        self.token = data[4 : 4 + n_token]
        self.options = []
        self.payload = b""
        i, number = 4 + n_token, 0
        while i < len(data):
            if data[i] == 0xFF:
                self.payload = data[i + 1 :]
                break
            delta, n = data[i] >> 4, data[i] & 15
            i += 1
            sizes = []
            for value in (delta, n):
                if value == 13:
                    value, i = 13 + data[i], i + 1
                elif value == 14:
                    value, i = 269 + struct.unpack_from(">H", data, i)[0], i + 2
                sizes.append(value)
            number += sizes[0]
            self.options.append((number, data[i : i + sizes[1]]))
            i += sizes[1]

    def option(self, number):
        """The first one of that number; None when there is none."""
        return next((value for n, value in self.options if n == number), None)

    def number(self, number):
        value = self.option(number)
        return None if value is None else int.from_bytes(value, "big")

    def value(self):
        return cbor_decode(self.payload) if self.payload else None

    def __repr__(self):
        return f"<{('CON', 'NON', 'ACK', 'RST')[self.kind]} {self.code} {self.options} {len(self.payload)} bytes>"


class Peer:
    """A client with a socket of its own: of the stranger's network when world.stranger is given as network."""

    def __init__(self, host="127.0.0.1", port=5683, network=None, timeout=6.0):
        self.timeout = timeout
        family, _, _, _, self.address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0] if "%" not in host else self.scoped(host, port, network)
        make = lambda: socket.socket(family, socket.SOCK_DGRAM)
        self.socket = network.inside(make) if network else make()
        self.mid = int.from_bytes(os.urandom(2), "big")

    @staticmethod
    def scoped(host, port, network):
        host, _, name = host.partition("%")
        find = lambda: socket.if_nametoindex(name)
        index = network.inside(find) if network else find()
        return socket.AF_INET6, None, None, None, (host, port, 0, index)

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, kind, method, path, query="", options=(), payload=b"", token=None, to=None):
        self.mid = (self.mid + 1) & 0xFFFF
        token = os.urandom(4) if token is None else token
        all_options = [(URI_PATH, part.encode()) for part in path.strip("/").split("/") if part]
        all_options += [(URI_QUERY, part.encode()) for part in query.split("&") if part]
        all_options += list(options)
        self.socket.sendto(encode(kind, method, self.mid, token, all_options, payload), to or self.address)
        return token

    def receive(self, timeout=None, token=None):
        """The next message; an acknowledgement goes out for a CON. Empty ones are skipped. TimeoutError."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError("no CoAP message came in time")
            self.socket.settimeout(left)
            try:
                data, source = self.socket.recvfrom(65536)
            except socket.timeout:
                continue
            m = Message(data, source)
            if m.kind == CON:  # an empty one is a ping: its answer is RST (RFC 7252, 4.3)
                self.socket.sendto(encode(RST if m.code == "0.00" else ACK, 0, m.mid, b"", []), source)
            if m.code == "0.00" and m.kind != RST:
                continue
            if token is None or m.token == token or m.kind == RST:
                return m

    def request(self, method, path, query="", options=(), payload=b"", kind=CON, timeout=None):
        """One exchange; sends again as RFC 7252 would if there is silence."""
        if payload and not any(number == CONTENT_FORMAT for number, _ in options):
            options = [*options, (CONTENT_FORMAT, uint(OCF_CBOR))]
        token = os.urandom(4)
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        wait = 2.0
        self.send(kind, method, path, query, options, payload, token)
        mid = self.mid
        while True:
            try:
                return self.receive(min(wait, max(end - time.monotonic(), 0)), token)
            except TimeoutError:
                if time.monotonic() >= end or kind != CON:
                    raise
                wait *= 2
                self.mid = mid - 1 & 0xFFFF
                self.send(kind, method, path, query, options, payload, token)

    def get(self, path, query="", **more):
        return self.request(GET, path, query, **more)

    def post(self, path, value, query="", **more):
        return self.request(POST, path, query, payload=cbor_encode(value), **more)

    def observe(self, path, query="", options=()):
        """Registers; the first answer. Notifications come with receive(token=answer.token)."""
        return self.request(GET, path, query, options=[(OBSERVE, b""), *options])

    def links(self, query=""):
        """What /oic/res lists: several blocks of it."""
        body, last = self.get_whole("/oic/res", query)
        assert last.code == "2.05", last
        return cbor_decode(body)

    def rest_of(self, first, path, query=""):
        """The value of which a multicast brought the first block: the others come from who sent it."""
        if not (first.number(BLOCK2) or 0) & 8:
            return first.value()
        self.address = first.source
        body, last = self.get_whole(path, query, begun=first.payload)
        assert last.option(ETAG) == first.option(ETAG), "it is another representation"
        return cbor_decode(body)

    def get_whole(self, path, query="", szx=6, options=(), begun=b""):
        """All blocks of a representation, and the last message."""
        body, i = begun, len(begun) >> 4 + szx
        while True:
            m = self.request(GET, path, query, options=[(BLOCK2, uint(i << 4 | szx)), *options])
            if m.code != "2.05":
                return body, m
            body += m.payload
            block = m.number(BLOCK2) or 0
            assert block >> 4 == (i if m.option(BLOCK2) is not None else 0), f"asked for block {i}, got {block >> 4}"
            if not block & 8:
                return body, m
            i += 1


# ---- CBOR (RFC 8949), what representations need ----


def cbor_decode(data):
    value, at = decode_item(data, 0)
    if at != len(data):
        raise ValueError(f"{len(data) - at} bytes after the end of the CBOR item")
    return value


def decode_item(data, at):
    major, low = data[at] >> 5, data[at] & 31
    at += 1
    if low in (24, 25, 26, 27):
        n = 1 << low - 24
        argument = int.from_bytes(data[at : at + n], "big")
        raw, at = data[at : at + n], at + n
    elif low < 24:
        argument = low
    else:
        raise ValueError("an indefinite length: ocfd never sends these")
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major in (2, 3):
        chunk = data[at : at + argument]
        if len(chunk) < argument:
            raise ValueError("CBOR ends early")
        return (chunk if major == 2 else chunk.decode()), at + argument
    if major == 4:
        items = []
        for _ in range(argument):
            item, at = decode_item(data, at)
            items.append(item)
        return items, at
    if major == 5:
        items = {}
        for _ in range(argument):
            key, at = decode_item(data, at)
            items[key], at = decode_item(data, at)
        return items, at
    if major == 7 and low in (25, 26, 27):
        return struct.unpack({25: ">e", 26: ">f", 27: ">d"}[low], raw)[0], at
    if major == 7:
        return {20: False, 21: True, 22: None, 23: None}[low], at
    return decode_item(data, at)


def cbor_head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    for low, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if n < 1 << 8 * size:
            return bytes([major << 5 | low]) + n.to_bytes(size, "big")
    raise ValueError(n)


def cbor_encode(value):
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return cbor_head(0, value) if value >= 0 else cbor_head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return cbor_head(2, len(value)) + value
    if isinstance(value, str):
        return cbor_head(3, len(value.encode())) + value.encode()
    if isinstance(value, dict):
        return cbor_head(5, len(value)) + b"".join(cbor_encode(k) + cbor_encode(v) for k, v in value.items())
    return cbor_head(4, len(value)) + b"".join(cbor_encode(v) for v in value)
