"""Other ocfds, each on a host of its own, and the onboarding tool of ours that takes them: what test_tool.py plays with."""
import array
import ctypes
import fcntl
import random
import select
import signal
import socket
import struct
import sys

from dbus_wire import BusError, Ocfd, V
from harness import BUS_CONFIG, SLOW, Network, Notify, Process, eventually, shell

SIOCETHTOOL, ETHTOOL_STXCSUM = 0x8946, 0x17


def checksum_in_software(interface):
    """Who forwards frames by hand needs their checksums."""
    value = array.array("B", struct.pack("II", ETHTOOL_STXCSUM, 0))
    request = struct.pack("16sP", interface.encode(), value.buffer_info()[0])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        fcntl.ioctl(s, SIOCETHTOOL, request)


def is_spared(frame, port):
    """Does this datagram come from the port, or go to it?"""
    begin = 14 + (frame[14] & 15) * 4 if frame[12:14] == b"\x08\x00" else 54
    return port in struct.unpack(">HH", frame[begin : begin + 4])


def forward(one, other, percent, seed, spared):
    """A cable that loses frames; not those that find out who is where. Ends with its parent."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    dice = random.Random(seed)
    ends = []
    for name in (one, other):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        s.bind((name, 3))  # every kind of frame
        ends.append(s)
    print("ready", flush=True)
    while True:
        for s in select.select(ends, [], [])[0]:
            frame, address = s.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            is_udp = (frame[12:14] == b"\x08\x00" and frame[23] == 17) or (frame[12:14] == b"\x86\xdd" and frame[20] == 17)
            if is_udp and not is_spared(frame, spared) and dice.random() * 100 < percent:
                continue
            ends[s is ends[0]].send(frame)


class LossyNetwork(Network):
    """The same host at the end of a cable that loses so many of a hundred datagrams, but none of the spared port."""

    def __init__(self, world, percent, seed=1, spared=0, **more):
        super().__init__(world, **more)
        self.run("ip", "link", "del", "eth0")
        quiet = "echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; "
        shell(
            f"ip link add {self.name} type veth peer name m0-{self.name}; ip link add m1-{self.name} type veth peer name eth0 netns {self.holder.pid};"
            f"{quiet} ip addr add {self.net}.1/24 dev {self.name}; ip link set {self.name} up; ip link set m0-{self.name} up; ip link set m1-{self.name} up"
        )
        self.run("sh", "-c", f"ip addr add {self.net}.2/24 dev eth0; ip link set eth0 up")
        self.run("ip", "route", "add", "224.0.0.0/4", "dev", "eth0")
        for end in (self.name, f"m0-{self.name}", f"m1-{self.name}"):
            checksum_in_software(end)
        self.inside(lambda: checksum_in_software("eth0"))
        relay = world.spawn("cable", sys.executable, __file__, f"m0-{self.name}", f"m1-{self.name}", percent, seed, spared)
        relay.says("ready")


class Device:
    """An ocfd on a host of its own, with a bus of its own."""

    def __init__(self, w, host, name, **sections):
        self.w, self.host, self.name = w, host, name
        self.directory = w.directory / name
        self.directory.mkdir()
        self.address = f"unix:path={self.directory}/bus"
        config = self.directory / "bus.conf"
        config.write_text(BUS_CONFIG.format(path=self.directory / "bus"))
        self.bus = w.spawn(f"bus-{name}", "dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile")
        eventually(lambda: Ocfd(self.address).close() is None, f"the bus of {name} answers")
        keys = {
            "Daemon": {"StateDirectory": self.directory / "state", "RuntimeDirectory": self.directory / "run", "Bus": self.address, "LogLevel": "debug"},
            "Network": {"Interfaces": "eth*"},
            "Device": {"Name": name, "Type": "oic.d.light"},
            "Security": {},
        }
        for section, more in sections.items():
            keys.setdefault(section, {}).update(more)
        lines = [line for section, pairs in keys.items() for line in (f"[{section}]", *(f"{k}={v}" for k, v in pairs.items()))]
        self.config = self.directory / "ocfd.conf"
        self.config.write_text("\n".join(lines) + "\n")
        self.notify = Notify(self.directory / "notify")
        self.start()
        self.serve = None

    def start(self):
        env = {"NOTIFY_SOCKET": str(self.notify.path)}
        self.ocfd = Process(self.w, self.name, [self.w.programs["ocfd"], "--config", self.config], env=env, network=self.host)
        self.notify.wait("READY=1", self.ocfd)

        def is_there():
            with Ocfd(self.address) as bus:
                return bus.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", "org.ocfd")[0]

        eventually(is_there, f"{self.name} has its name on its bus", 20)

    def connect(self):
        bus = Ocfd(self.address, timeout=20 * SLOW)
        self.w.connections.append(bus)
        return bus

    def lamp(self, href="/lamp"):
        """A lamp that its own connection keeps registered. Return: how to set it."""
        app = self.connect()
        path = app.register({href: {"rt": ["oic.r.switch.binary"], "if": ["oic.if.a"], "value": {"value": False}}}, name="lamp", linger_ms=V("t", 60000))
        return lambda value: app.publish(path, href, {"value": value})

    def security(self, name):
        with Ocfd(self.address) as bus:
            return bus.property("/org/ocfd/device/0", "Security1", name)


class Tool:
    """The onboarding tool of the ocfd behind this bus, and its client."""

    def __init__(self, bus):
        self.bus = bus

    def call(self, path, interface, member, signature="", *args, seconds=60):
        return self.bus.call("org.ocfd", path, f"org.ocfd.{interface}", member, signature, *args, timeout=seconds * SLOW)

    def initialize(self, domain="home"):
        self.call("/org/ocfd", "OnboardingTool1", "Initialize", "a{sv}", {"name": domain})
        eventually(lambda: self.bus.property("/org/ocfd", "OnboardingTool1", "Initialized"), "there is an onboarding tool")

    def discover(self, seconds=4):
        return self.call("/org/ocfd", "Client1", "Discover", "a{sv}", {"timeout_ms": V("u", int(seconds * 1000 * SLOW))})[0]

    def find(self, name):
        return self.call("/org/ocfd", "Client1", "FindDevice", "s", name)[0]

    def seen(self, *names, seconds=30):
        """Looks until they are there. Return: the last one's object."""

        def look():
            self.discover()
            try:
                return [self.find(name) for name in names][-1]
            except BusError:
                return None

        return eventually(look, f"{names} are discovered", seconds)

    def property(self, path, name, interface="RemoteDevice1"):
        return self.bus.property(path, interface, name)

    def begin(self, member, signature, *args):
        return self.call("/org/ocfd", "OnboardingTool1", member, signature, *args)[0]

    def wait(self, job, seconds=60):
        """Return: (succeeded, message)."""
        state = eventually(lambda: (s := self.bus.property(job, "Job1", "State")) in ("done", "failed", "cancelled") and s, f"{job} is over", seconds)
        return state == "done", self.bus.property(job, "Job1", "Message")

    def do(self, member, signature, *args, seconds=60):
        good, message = self.wait(self.begin(member, signature, *args), seconds)
        assert good, f"{member}: {message}"
        return message

    def own(self, name, seconds=60, **options):
        """Return: its object, which is another one than before."""
        types = {"methods": "as", "pin": "s", "certificate": "b"}
        self.do("Own", "oa{sv}", self.find(name), {k: V(types[k], v) for k, v in options.items()}, seconds=seconds)
        return self.find(name)

    def retrieve(self, path, href, **options):
        return self.call(path, "RemoteDevice1", "Retrieve", "sa{sv}", href, options)[0]

    def update(self, path, href, value, **options):
        return self.call(path, "RemoteDevice1", "Update", "sva{sv}", href, V("a{sv}", value), options)[0]

    def resource(self, device, href):
        """The object of a resource that discovery has listed."""

        def look():
            for path, interfaces in self.bus.managed().items():
                if path.startswith(device + "/") and plain(interfaces["org.ocfd.RemoteResource1"]["Href"]) == href:
                    return path
            self.call(device, "RemoteDevice1", "Refresh")
            return None

        return eventually(look, f"{href} is known", 20)


def plain(value):
    """Values without their types."""
    if isinstance(value, V):
        return plain(value.value)
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list) else value


if __name__ == "__main__":
    forward(sys.argv[1], sys.argv[2], float(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
