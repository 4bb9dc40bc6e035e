"""D-Bus by hand: a client that can say anything, also what no library would let it say.

Values go in with their signature; variants are V(signature, value), and come out as plain values. Whatever the other
side does not answer in time is a TimeoutError; an error reply is a BusError with its name.
"""
import os
import select
import socket
import struct
import time

METHOD_CALL, METHOD_RETURN, ERROR, SIGNAL = 1, 2, 3, 4
PATH, INTERFACE, MEMBER, ERROR_NAME, REPLY_SERIAL, DESTINATION, SENDER, SIGNATURE = range(1, 9)
ALIGN = {"y": 1, "b": 4, "n": 2, "q": 2, "i": 4, "u": 4, "x": 8, "t": 8, "d": 8, "s": 4, "o": 4, "g": 1, "a": 4, "(": 8, "{": 8, "v": 1}
FORMAT = {"y": "B", "b": "I", "n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q", "d": "d"}


class BusError(Exception):
    def __init__(self, name, message):
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


class V:
    """A variant: of this signature, or of the one that suits the value."""

    def __init__(self, signature, value):
        self.signature = signature
        self.value = value


def variant(value):
    if isinstance(value, V):
        return value
    if isinstance(value, bool):
        return V("b", value)
    if isinstance(value, int):
        return V("x", value) if value < 2**63 else V("t", value)
    if isinstance(value, float):
        return V("d", value)
    if isinstance(value, str):
        return V("s", value)
    if isinstance(value, bytes):
        return V("ay", value)
    if isinstance(value, dict):
        return V("a{sv}", value)
    return V("av", list(value))


def split(signature):
    """The complete types that a signature is made of."""
    out, i = [], 0
    while i < len(signature):
        j = i
        while signature[j] == "a":
            j += 1
        if signature[j] in "({":
            depth = 0
            while True:
                depth += (signature[j] in "({") - (signature[j] in ")}")
                if not depth:
                    break
                j += 1
        out.append(signature[i : j + 1])
        i = j + 1
    return out


class Writer:
    def __init__(self):
        self.out = bytearray()

    def pad(self, n):
        self.out += b"\0" * (-len(self.out) % n)

    def put(self, signature, value):
        kind = signature[0]
        self.pad(ALIGN[kind])
        if kind in FORMAT:
            self.out += struct.pack("<" + FORMAT[kind], int(value) if kind == "b" else value)
        elif kind in "so":
            data = value if isinstance(value, bytes) else value.encode()
            self.out += struct.pack("<I", len(data)) + data + b"\0"
        elif kind == "g":
            self.out += bytes([len(value)]) + value.encode() + b"\0"
        elif kind == "v":
            value = variant(value)
            self.put("g", value.signature)
            self.put(value.signature, value.value)
        elif kind == "a":
            self.array(signature[1:], value)
        else:
            for part, item in zip(split(signature[1:-1]), value):
                self.put(part, item)

    def array(self, inner, value):
        at = len(self.out)
        self.out += b"\0\0\0\0"
        self.pad(ALIGN[inner[0]])
        start = len(self.out)
        if inner == "y":
            self.out += bytes(value)
        else:
            for item in value.items() if isinstance(value, dict) else value:
                self.put(inner, item)
        struct.pack_into("<I", self.out, at, len(self.out) - start)


class Reader:
    def __init__(self, data, at=0):
        self.data = data
        self.at = at

    def pad(self, n):
        self.at += -self.at % n

    def take(self, n):
        self.at += n
        return self.data[self.at - n : self.at]

    def get(self, signature):
        kind = signature[0]
        self.pad(ALIGN[kind])
        if kind in FORMAT:
            value = struct.unpack("<" + FORMAT[kind], self.take(struct.calcsize(FORMAT[kind])))[0]
            return bool(value) if kind == "b" else value
        if kind in "so":
            value = self.take(self.get("u")).decode()
            self.at += 1
            return value
        if kind == "g":
            value = self.take(self.take(1)[0]).decode()
            self.at += 1
            return value
        if kind == "v":
            return self.get(self.get("g"))
        if kind == "a":
            return self.get_array(signature[1:])
        return tuple(self.get(part) for part in split(signature[1:-1]))

    def get_array(self, inner):
        n = self.get("u")
        self.pad(ALIGN[inner[0]])
        end = self.at + n
        if inner == "y":
            return bytes(self.take(n))
        items = []
        while self.at < end:
            items.append(self.get(inner))
        return dict(items) if inner[0] == "{" else items


class Message:
    def __init__(self, kind, fields, body, serial):
        self.kind, self.fields, self.serial = kind, fields, serial
        self.reply_to = fields.get(REPLY_SERIAL)
        self.member, self.path, self.sender = fields.get(MEMBER), fields.get(PATH), fields.get(SENDER)
        reader = Reader(body)
        self.args = [reader.get(part) for part in split(fields.get(SIGNATURE, ""))]


def build(kind, serial, fields, signature="", args=(), body=None, flags=0):
    if body is None:
        writer = Writer()
        for part, value in zip(split(signature), args):
            writer.put(part, value)
        body = bytes(writer.out)
    types = {PATH: "o", INTERFACE: "s", MEMBER: "s", ERROR_NAME: "s", REPLY_SERIAL: "u", DESTINATION: "s", SIGNATURE: "g"}
    if signature:
        fields = {**fields, SIGNATURE: signature}
    head = Writer()
    head.out += struct.pack("<BBBBII", ord("l"), kind, flags, 1, len(body), serial)
    head.put("a(yv)", [(key, V(types[key], value)) for key, value in fields.items()])
    head.pad(8)
    return bytes(head.out) + body


class Bus:
    """A connection. With hello=False it has said nothing yet."""

    def __init__(self, address, hello=True, timeout=10.0, uid=None):
        self.timeout = timeout
        self.serial = 0
        self.waiting = bytearray()
        self.messages = []
        self.handlers = {}
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout)
        self.socket.connect(dict(p.split("=", 1) for p in address.split(":", 1)[1].split(","))["path"])
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid() if uid is None else uid).encode().hex().encode() + b"\r\n")
        self.line()
        self.socket.sendall(b"BEGIN\r\n")
        self.name = self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello")[0] if hello else None

    def line(self):
        while b"\r\n" not in self.waiting:
            data = self.socket.recv(4096)
            if not data:
                raise ConnectionError("the bus hung up while we said who we are")
            self.waiting += data
        line, _, rest = bytes(self.waiting).partition(b"\r\n")
        self.waiting = bytearray(rest)
        if not line.startswith(b"OK"):
            raise ConnectionError(line.decode())

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- out

    def send(self, destination, path, interface, member, signature="", args=(), body=None, flags=0):
        self.serial += 1
        fields = {PATH: path, INTERFACE: interface, MEMBER: member, DESTINATION: destination}
        self.socket.sendall(build(METHOD_CALL, self.serial, fields, signature, args, body, flags))
        return self.serial

    def call(self, destination, path, interface, member, signature="", *args, body=None, timeout=None):
        serial = self.send(destination, path, interface, member, signature, args, body)
        return self.reply(serial, timeout)

    def reply(self, serial, timeout=None):
        m = self.wait(lambda m: m.kind in (METHOD_RETURN, ERROR) and m.reply_to == serial, timeout)
        if m.kind == ERROR:
            raise BusError(m.fields[ERROR_NAME], m.args[0] if m.args else "")
        return m.args

    def match(self, rule):
        self.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "AddMatch", "s", rule)

    # -- in

    def pump(self, seconds):
        """Reads what there is, waiting for it that long at most; answers calls for which there is a handler."""
        readable, _, _ = select.select([self.socket], [], [], max(seconds, 0))
        if not readable:
            return False
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the bus hung up")
        self.waiting += data
        while self.take_message():
            pass
        return True

    def take_message(self):
        if len(self.waiting) < 16:
            return False
        n_body, serial, n_fields = struct.unpack_from("<III", self.waiting, 4)
        n_head = 16 + n_fields + (-n_fields % 8)
        if len(self.waiting) < n_head + n_body:
            return False
        data = bytes(self.waiting[: n_head + n_body])
        del self.waiting[: n_head + n_body]
        fields = dict(Reader(data, 12).get("a(yv)"))
        m = Message(data[1], fields, data[n_head:], serial)
        if m.kind == METHOD_CALL:
            self.answer(m)
        else:
            self.messages.append(m)
        return True

    def answer(self, m):
        """handlers[member] is called with the arguments; gives signature and values, or raises BusError."""
        self.serial += 1
        reply = {REPLY_SERIAL: m.serial, DESTINATION: m.sender}
        handler = self.handlers.get(m.member)
        try:
            if not handler:
                raise BusError("org.freedesktop.DBus.Error.UnknownMethod", m.member)
            answer = handler(m)
            if answer is not None:
                self.socket.sendall(build(METHOD_RETURN, self.serial, reply, *answer))
        except BusError as error:
            fields = {**reply, ERROR_NAME: error.name}
            self.socket.sendall(build(ERROR, self.serial, fields, "s", (error.message,)))

    def wait(self, wanted, timeout=None):
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            for i, m in enumerate(self.messages):
                if wanted(m):
                    return self.messages.pop(i)
            left = end - time.monotonic()
            if left <= 0 or not self.pump(left) and time.monotonic() >= end:
                raise TimeoutError("nothing like that came from the bus in time")

    def signal(self, member, path=None, timeout=None):
        """The next signal of that name; its arguments."""
        return self.wait(lambda m: m.kind == SIGNAL and m.member == member and path in (None, m.path), timeout).args


class Ocfd(Bus):
    """A local app: the calls of org.ocfd, as short as they go."""

    def manager(self, member, signature="", *args, timeout=None):
        return self.call("org.ocfd", "/org/ocfd", "org.ocfd.Manager1", member, signature, *args, timeout=timeout)

    def register(self, resources, device="/", timeout=None, **options):
        """resources: href -> properties."""
        types = {"rt": "as", "if": "as", "value": "a{sv}", "handler": "o", "n": "s", "linger_ms": "t", "name": "s"}

        def typed(properties):
            return {k: V(types.get(k, "b"), v) if not isinstance(v, V) else v for k, v in properties.items()}

        specs = [(href, typed(properties)) for href, properties in resources.items()]
        return self.manager("Register", "oa(sa{sv})a{sv}", device, specs, typed(options), timeout=timeout)[0]

    def publish(self, app, href, value, replace=False):
        options = {"replace": True} if replace else {}
        return self.call("org.ocfd", app, "org.ocfd.Application1", "Publish", "sa{sv}a{sv}", href, value, options)

    def unregister(self, app, hrefs=()):
        return self.call("org.ocfd", app, "org.ocfd.Application1", "Unregister", "as", list(hrefs))

    def find(self, href, device="/"):
        return self.manager("GetResource", "os", device, href)[0]

    def resource(self, path, member, signature="", *args, timeout=None):
        return self.call("org.ocfd", path, "org.ocfd.Resource1", member, signature, *args, timeout=timeout)

    def retrieve(self, href, **options):
        return self.resource(self.find(href), "Retrieve", "a{sv}", options)

    def update(self, href, value, **options):
        return self.resource(self.find(href), "Update", "va{sv}", V("a{sv}", value), options)

    def property(self, path, interface, name):
        return self.call("org.ocfd", path, "org.freedesktop.DBus.Properties", "Get", "ss", f"org.ocfd.{interface}", name)[0]

    def managed(self):
        return self.call("org.ocfd", "/org/ocfd", "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]

    def statistics(self):
        return self.manager("GetStatistics")[0]
