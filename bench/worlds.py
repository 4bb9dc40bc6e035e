"""What is measured, set up: a private bus with ocfd and two apps, libcoap's server, the floors.

A world is a context manager; whatever it started is gone when it ends.
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

VALUE = ["state=true", "power=12", "name=bench lamp nr 1"]
CHILDREN = []


class NotUp(Exception):
    """Something that was started does not answer."""


def spawn(*argv, **more):
    more.setdefault("stdin", subprocess.DEVNULL)
    more.setdefault("stdout", subprocess.DEVNULL)
    process = subprocess.Popen([str(a) for a in argv], **more)
    CHILDREN.append(process)
    return process


def stop(processes):
    for process in reversed(processes):
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process in CHILDREN:
            CHILDREN.remove(process)


def wait_for(what, check, seconds=15.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            result = check()
        except OSError:
            result = None
        if result:
            return result
        time.sleep(0.01)
    raise NotUp(f"{what} did not come up in time")


def free_port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s, socket.socket() as t:
        s.bind(("127.0.0.1", 0))
        t.bind(("127.0.0.1", s.getsockname()[1]))
        return s.getsockname()[1]


def udp_port_is_free(port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def get_once(port, path, method=1, payload=b""):
    """The body of one GET (or what method says), or None. CON, so that nothing has to be guessed."""
    options, previous = b"", 0
    parts = [(11, p) for p in path.partition("?")[0].strip("/").split("/")]
    parts += [(12, b"\x3c")] if payload else []
    parts += [(15, q) for q in path.partition("?")[2].split("&") if q]
    for number, value in parts:
        value = value.encode() if isinstance(value, str) else value
        head = bytes([(number - previous) << 4 | min(len(value), 13)])
        options += head + (bytes([len(value) - 13]) if len(value) >= 13 else b"") + value
        previous = number
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3)
        mid = os.urandom(2)
        try:
            s.sendto(b"\x41" + bytes([method]) + mid + b"q" + options + (b"\xff" + payload if payload else b""), ("127.0.0.1", port))
            answer = s.recv(4096)
        except OSError:
            return None
    if answer[1] not in (0x41, 0x44, 0x45) or answer[2:4] != mid:
        return None
    return answer.partition(b"\xff")[2] or b"-"


def listens_on_tcp(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Floor:
    """bench/coap_floor, or its sibling for TCP."""

    def __init__(self, build, body=44, name="coap_floor"):
        self.port = free_port()
        self.process = spawn(build / "bench" / name, self.port, 3600, body)
        self.pids = [self.process.pid]
        self.path = "/bench"
        wait_for("the floor", lambda: listens_on_tcp(self.port) if "tcp" in name else get_once(self.port, "/bench"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop([self.process])


OPENSSL_CONF = """
[root]
basicConstraints=critical,CA:TRUE
keyUsage=critical,keyCertSign,cRLSign
[end]
basicConstraints=CA:FALSE
keyUsage=critical,digitalSignature,keyAgreement
extendedKeyUsage=serverAuth,clientAuth,1.3.6.1.4.1.44924.1.6
"""


class Pki:
    """An authority and two identities of OCF's kind: files(who) are the chain, the key, and whom it trusts."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ocfd-bench-"))
        (self.directory / "conf").write_text(OPENSSL_CONF)
        self.issue("root", "a root", "-signkey", "root.key", section="root")
        for n, who in enumerate(("server", "client")):
            self.issue(who, f"uuid:00000000-0000-4000-8000-00000000000{n + 1}", "-CA", "root.pem", "-CAkey", "root.key", "-set_serial", str(n + 1))

    def issue(self, who, name, *by, section="end"):
        run = lambda *argv: subprocess.run(["openssl", *argv], cwd=self.directory, check=True, capture_output=True)
        run("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", f"{who}.key")
        run("req", "-new", "-key", f"{who}.key", "-subj", f"/CN={name}", "-out", f"{who}.csr")
        run("x509", "-req", "-in", f"{who}.csr", *by, "-sha256", "-days", "2", "-extfile", "conf", "-extensions", section, "-out", f"{who}.pem")

    def files(self, who):
        return [self.directory / f"{who}.pem", self.directory / f"{who}.key", self.directory / "root.pem"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)


class Secured:
    """A server of DTLS with the least answer: dtls_floor on libssl, secure_node on our engine."""

    path = "/bench"

    def __init__(self, build, name, *files):
        self.port = free_port()
        self.process = spawn(build / "bench" / name, self.port, 3600, 44, *files)
        self.pids = [self.process.pid]
        wait_for(name, lambda: not udp_port_is_free(self.port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop([self.process])


class Libcoap:
    """Debian's coap-server; /example_data holds a body as large as ours and may be observed."""

    path = "/example_data"

    @staticmethod
    def binary():
        # With TLS where there is one: the other build serves no TCP in some releases.
        return next(filter(None, map(shutil.which, ("coap-server-openssl", "coap-server", "coap-server-notls"))), None)

    def __init__(self, body):
        self.port = free_port()
        self.process = spawn(self.binary(), "-A", "127.0.0.1", "-p", self.port, "-N", "-v", "0", stderr=subprocess.DEVNULL)
        self.pids = [self.process.pid]
        wait_for("libcoap's server", lambda: get_once(self.port, "/"))
        get_once(self.port, self.path, 3, b"x" * body)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop([self.process])


def start_dbus_daemon(directory, build):
    config = directory / "bus.conf"
    config.write_text(
        "<busconfig><type>session</type><keep_umask/>"
        f"<listen>unix:path={directory}/bus</listen><auth>EXTERNAL</auth>"
        '<policy context="default"><allow send_destination="*"/><allow own="*"/>'
        '<allow receive_sender="*" eavesdrop="true"/></policy></busconfig>'
    )
    bus = spawn("dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", stderr=subprocess.DEVNULL)
    return bus, [bus.pid]


def start_dbus_broker(directory, build):
    bus = spawn(build / "tests" / "integration" / "broker_controller", f"{directory}/bus")
    children = pathlib.Path(f"/proc/{bus.pid}/task/{bus.pid}/children")
    return bus, [int(p) for p in wait_for("dbus-broker", lambda: children.read_text().split())]


def why_no_bus(kind, build):
    if not shutil.which(kind):
        return f"no {kind} here"
    if kind == "dbus-broker" and not (build / "tests/integration/broker_controller").exists():
        return "the tests are not built, which bring the controller of dbus-broker"
    return None


class World:
    """A private bus, ocfd, and two apps: one publishes, one answers itself."""

    path = "/bench"

    def __init__(self, build, bus="dbus-daemon", resources=0):
        self.build = build
        self.processes = []
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ocfd-bench-"))
        try:
            self.start(bus, resources)
        except BaseException:
            self.__exit__()
            raise

    def start(self, kind, resources):
        bus, self.bus_pids = (start_dbus_broker if kind == "dbus-broker" else start_dbus_daemon)(self.directory, self.build)
        self.processes.append(bus)
        wait_for("the bus", lambda: self.bus_answers())
        self.address = f"unix:path={self.directory}/bus"
        config = self.directory / "ocfd.conf"
        config.write_text(
            f"[Daemon]\nStateDirectory={self.directory}/state\nRuntimeDirectory={self.directory}/run\n"
            f"Bus={self.address}\nLogLevel=warning\n[Network]\nInterfaces=lo\nPort=auto\nSecurePort=auto\n"
            "[Security]\nAllowInsecure=yes\nMaxSessions=20000\n"
        )
        begun = time.monotonic()
        self.ocfd = self.spawn(self.build / "src/daemon/ocfd", "--config", config)
        self.pids = [self.ocfd.pid]
        self.port = wait_for("ocfd's port", self.find_port)
        wait_for("ocfd", lambda: get_once(self.port, "/oic/d"))
        self.start_ms = (time.monotonic() - begun) * 1000
        if resources:
            self.publisher = self.spawn(self.build / "bench/many", self.address, resources)
            wait_for("the resources", lambda: get_once(self.port, f"/many/{resources - 1}"))
            return
        serve = [self.build / "tools/ocfctl/ocfctl", "--quiet", "--bus", self.address, "serve", "/bench"]
        self.publisher = self.spawn(*serve, "--rt", "x.bench", "--if", "oic.if.a", "--insecure", *VALUE, stdin=subprocess.PIPE)
        self.handler = self.spawn(self.build / "examples/lamp", self.address)
        wait_for("the apps", lambda: get_once(self.port, "/bench") and get_once(self.port, "/lamp"))

    def spawn(self, *argv, **more):
        process = spawn(*argv, **more)
        self.processes.append(process)
        return process

    def bus_answers(self):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{self.directory}/bus")
            s.settimeout(1)
            s.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
            return s.recv(64).startswith(b"OK")

    def ports(self, table, state):
        fds = [os.readlink(f"/proc/{self.ocfd.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{self.ocfd.pid}/fd")]
        inodes = {fd[8:-1] for fd in fds if fd.startswith("socket:[")}
        rows = [r.split() for r in pathlib.Path(f"/proc/net/{table}").read_text().splitlines()[1:]]
        return [int(r[1].split(":")[1], 16) for r in rows if r[9] in inodes and r[3] == state]

    def find_port(self):
        return next((p for p in self.ports("udp", "07") if p != 5683 and get_once(p, "/oic/d")), None)

    def own(self, path):
        """Takes ownership, and opens path to the owner: the options with which dtls_load comes as the owner."""
        self.port_secure = next(p for p in self.ports("udp", "07") if p not in (5683, self.port))
        argv = [self.build / "bench/own", self.port, self.port_secure, path]
        said = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=60)
        if said.returncode:
            raise NotUp(f"a device that can be owned: {said.stderr.strip()}")
        said = dict(line.split("=") for line in said.stdout.split())
        return ["-k", said["key"], "-i", said["identity"]]

    def find_tcp_port(self):
        return next(iter(self.ports("tcp", "0A")), None)

    def memory_kib(self, key):
        return int(re.search(rf"^{key}:\s+(\d+)", pathlib.Path(f"/proc/{self.ocfd.pid}/status").read_text(), re.M)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        stop(self.processes)
        shutil.rmtree(self.directory, ignore_errors=True)
