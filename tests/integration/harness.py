"""A world for a test: a network of its own, a private bus, the real ocfd, apps and strangers.

A test is a function with @test that gets a World. The file that holds it ends with main(), and is run as

    python3 test_apps.py NAME --build DIRECTORY [--bus dbus-broker]

which moves into namespaces of its own first (user, network, mounts and processes), so that a test needs no rights,
disturbs nobody, and leaves nothing behind: its processes end with it. What everybody wrote is shown when it fails.
Exit status: 0 passed, 77 skipped (the last line says why), 1 failed.
"""
import argparse
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from coap_wire import Peer
from dbus_wire import Ocfd

SOURCE = pathlib.Path(__file__).resolve().parent.parent.parent
MARK = "OCFD_TEST_IS_INSIDE"
SLOW = float(os.environ.get("OCFD_TEST_SLOW", "1"))  # everything waits this much longer
TESTS = {}
CLONE_NEWNET = 0x40000000
OTHER_UID = 65534  # nobody: dbus-daemon wants one that exists
SANITIZER = re.compile(r"(Address|Leak)Sanitizer:|LeakSanitizer has|runtime error:|Assertion .* failed|definitely lost: [1-9]")


class Skip(Exception):
    pass


def test(npm=False):
    """Registers a test; npm: it wants World.npm, the folder with the packages of package.json."""

    def add(function):
        function.npm = npm
        TESTS[function.__name__.replace("_", "-")] = function
        return function

    return add


def eventually(check, what, seconds=10.0):
    """The first true result of check(); it may raise OSError or TimeoutError while things come up."""
    end = time.monotonic() + seconds * SLOW
    last = None
    while True:
        try:
            result = check()
            if result:
                return result
        except (OSError, AssertionError) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds} s: {what}" + (f" ({last})" if last else ""))
        time.sleep(0.02)


def equal(got, wanted, what=""):
    assert got == wanted, f"{what + ': ' if what else ''}got {got!r}, wanted {wanted!r}"


def raises(kind, function, *args, **kwargs):
    try:
        result = function(*args, **kwargs)
    except kind as error:
        return error
    raise AssertionError(f"no {kind}, but {result!r}")


class Process:
    """A program of the test: its output goes to a file, input is a pipe when asked for."""

    def __init__(self, world, name, argv, env=None, stdin=False, network=None):
        self.name = name
        self.log = world.directory / f"{len(world.processes):02}-{name}.log"
        self.argv = [str(a) for a in argv]
        if network:
            self.argv = network.command(self.argv)
        with open(self.log, "wb") as out:
            self.popen = subprocess.Popen(
                self.argv,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
                cwd=world.directory,
            )
        self.pid = self.popen.pid
        self.expected = None
        world.processes.append(self)

    def output(self):
        return self.log.read_text(errors="replace")

    def says(self, text, seconds=10.0):
        """Waits until its output has a match of the regular expression, and gives it."""
        return eventually(lambda: re.search(text, self.output(), re.MULTILINE), f"{self.name} says {text!r}", seconds)

    def write(self, line):
        self.popen.stdin.write(line.encode() + b"\n")
        self.popen.stdin.flush()

    def runs(self):
        return self.popen.poll() is None

    def kill(self, number=signal.SIGKILL):
        self.expected = -number
        self.popen.send_signal(number)
        return self.wait()

    def wait(self, seconds=10.0):
        try:
            return self.popen.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} does not end") from None

    def rss(self):
        """Its resident memory, in bytes."""
        status = pathlib.Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)[1]) * 1024


class Network:
    """A host of its own on the other end of a cable: its eth0 is connected to ours."""

    def __init__(self, world, name="eth0", number=2):
        self.holder = Process(world, f"host-on-{name}", ["unshare", "--net", "sleep", "3600"])
        eventually(lambda: os.readlink(f"/proc/{self.holder.pid}/ns/net") != os.readlink("/proc/self/ns/net"), "a second network")
        self.name = name
        self.net = f"192.0.{number}"
        quiet = "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad; "
        self.run("sh", "-c", quiet)
        shell(quiet + f"ip link add {name} type veth peer name eth0 netns {self.holder.pid}")
        shell(f"ip addr add {self.net}.1/24 dev {name}; ip addr add fd00:{number}::1/64 dev {name} nodad; ip link set {name} up")
        self.run("sh", "-c", f"ip link set lo up; ip addr add {self.net}.2/24 dev eth0; ip addr add fd00:{number}::2/64 dev eth0 nodad; ip link set eth0 up")
        self.run("ip", "route", "add", "224.0.0.0/4", "dev", "eth0")
        eventually(lambda: "tentative" not in shell(f"ip -6 addr show dev {name}") and "fe80" in shell(f"ip -6 addr show dev {name}"), "a link-local address")
        self.ours, self.ours6 = f"{self.net}.1", f"fd00:{number}::1"

    def command(self, argv):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--", *argv]

    def run(self, *argv):
        return shell(self.command(argv))

    def inside(self, function):
        """Calls it in that network; a socket made there stays there."""
        libc = ctypes.CDLL(None, use_errno=True)
        home, away = os.open("/proc/self/ns/net", os.O_RDONLY), os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY)
        try:
            if libc.setns(away, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")
            try:
                return function()
            finally:
                libc.setns(home, CLONE_NEWNET)
        finally:
            os.close(home)
            os.close(away)


def shell(command, seconds=20, check=True):
    """Runs a shell line or an argument list; its output. A failure is a failure of the test."""
    result = subprocess.run(command, shell=isinstance(command, str), capture_output=True, text=True, timeout=seconds * SLOW, stdin=subprocess.DEVNULL)
    if check and result.returncode:
        raise AssertionError(f"{command}: status {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def own_mounts():
    """What is mounted from here on is seen by nobody outside; it is gone with us."""
    if subprocess.run(["mount", "--make-rprivate", "/"], capture_output=True).returncode:
        if " shared:" in pathlib.Path("/proc/self/mountinfo").read_text():
            raise Skip("mounts of a test would be seen outside of it")


class World:
    def __init__(self, options, npm):
        self.build = pathlib.Path(options.build).resolve()
        self.bus_kind = options.bus
        self.npm = npm
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="ocfd-test-"))
        self.directory.chmod(0o711)  # the bus is for other users too
        self.processes = []
        self.connections = []
        self.bus = None
        self.ocfd = None
        self.config = {
            "Daemon": {
                "StateDirectory": self.directory / "state",
                "RuntimeDirectory": self.directory / "run",
                "Bus": f"unix:path={self.directory}/bus",
                "LogLevel": "debug",
            },
            "Network": {"Interfaces": "lo eth*"},
            "Device": {"Name": "Test gateway"},
            "Security": {"AllowInsecure": "yes"},
        }
        self.address = f"unix:path={self.directory}/bus"
        self.notify = None
        shell("ip link set lo multicast on up && ip route add 224.0.0.0/4 dev lo")
        self.programs = {
            "ocfd": self.build / "src/daemon/ocfd",
            "ocfctl": self.build / "tools/ocfctl/ocfctl",
            "lamp": self.build / "examples/lamp",
        }

    # -- the bus

    def start_bus(self):
        path = self.directory / "bus"
        path.unlink(missing_ok=True)
        if self.bus_kind == "dbus-broker":
            if not shutil.which("dbus-broker"):
                raise Skip("dbus-broker is not installed")
            argv = [self.build / "tests/integration/broker_controller", path]
        else:
            config = self.directory / "bus.conf"
            config.write_text(BUS_CONFIG.format(path=path))
            argv = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile"]
        self.bus = self.spawn("bus", *argv)
        eventually(lambda: Ocfd(self.address).close() is None, "the bus answers")

    def stop_bus(self):
        self.bus.kill()
        (self.directory / "bus").unlink(missing_ok=True)

    def connect(self, **more):
        """A local app's connection."""
        bus = Ocfd(self.address, timeout=10 * SLOW, **more)
        self.connections.append(bus)
        return bus

    def connect_as_other_user(self, **more):
        """The same as somebody else where we may be that (root may, without a user namespace) and he can get at the bus."""
        try:
            os.seteuid(OTHER_UID)
        except OSError:
            return self.connect(**more)
        try:
            return self.connect(uid=OTHER_UID, **more)
        except PermissionError:
            os.seteuid(0)
            return self.connect(**more)
        finally:
            os.seteuid(0)

    # -- the daemon

    def configure(self, **sections):
        """Lays keys over the configuration; None takes one away. A section such as "Device 1" is a key of a dict given with **."""
        for section, keys in sections.items():
            self.config.setdefault(section, {}).update(keys)
        lines = []
        for section, keys in self.config.items():
            lines.append(f"[{section}]")
            lines += [f"{key}={value}" for key, value in keys.items() if value is not None]
        path = self.directory / "ocfd.conf"
        path.write_text("\n".join(lines) + "\n")
        return path

    def start_ocfd(self, wait=True, wrapper=(), env=None, on_bus=True):
        config = self.configure()
        self.notify = self.notify or Notify(self.directory / "notify")
        self.ocfd = self.spawn("ocfd", *wrapper, self.programs["ocfd"], "--config", config, env={"NOTIFY_SOCKET": str(self.notify.path), **(env or {})})
        if wait:
            self.notify.wait("READY=1", self.ocfd)
        if wait and on_bus and self.bus and self.bus.runs():
            self.await_name()
        return self.ocfd

    def await_name(self):
        def has_owner():
            with Ocfd(self.address) as bus:
                return bus.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", "org.ocfd")[0]

        eventually(has_owner, "ocfd has its name on the bus", 20)

    def start(self, **more):
        self.start_bus()
        return self.start_ocfd(**more)

    def stop_ocfd(self):
        """As systemd would; a clean end is part of every test."""
        self.ocfd.popen.send_signal(signal.SIGTERM)
        equal(self.ocfd.wait(), 0, "exit status of ocfd after SIGTERM")

    # -- programs

    def spawn(self, name, *argv, **more):
        return Process(self, name, argv, **more)

    def ocfctl(self, *args, status=0, seconds=15):
        result = subprocess.run(
            [str(self.programs["ocfctl"]), "--bus", self.address, *map(str, args)],
            capture_output=True,
            text=True,
            timeout=seconds * SLOW,
            stdin=subprocess.DEVNULL,
        )
        assert result.returncode == status, f"ocfctl {args}: status {result.returncode}, wanted {status}\n{result.stdout}{result.stderr}"
        return result.stdout if not status else result.stdout + result.stderr

    def ocfctl_json(self, *args):
        return json.loads(self.ocfctl(*args, "--json"))

    def serve(self, href, *values, rt="x.test", interface="oic.if.a", insecure=True, options=()):
        """ocfctl serve: a process whose stdin takes key=value lines."""
        insecure = ["--insecure"] if insecure else []
        process = self.spawn(
            f"serve{href.replace('/', '-')}",
            self.programs["ocfctl"], "--bus", self.address, "serve", href, "--rt", rt, "--if", interface, *insecure, *options, *values,
            stdin=True,
        )  # fmt: skip
        eventually(lambda: process.runs() and self.is_registered(href), f"{href} is registered\n{process.output()}")
        return process

    def is_registered(self, href):
        from dbus_wire import BusError

        with Ocfd(self.address) as bus:
            try:
                return bus.property(bus.find(href), "Resource1", "Available")
            except BusError:
                return False

    def lamp(self):
        process = self.spawn("lamp", self.programs["lamp"], self.address)
        eventually(lambda: self.is_registered("/lamp"), "/lamp is registered")
        return process

    # -- peers

    def peer(self, *args, **more):
        peer = Peer(*args, **{"timeout": 6 * SLOW, **more})
        self.connections.append(peer)
        return peer

    def coap(self, uri, *options, network=None, seconds=10):
        """libcoap's client: what it printed, standard output and error together."""
        program = shutil.which("coap-client-notls") or shutil.which("coap-client")
        if not program:
            raise Skip("libcoap's coap-client is not installed (libcoap3-bin)")
        argv = [program, "-B", str(seconds - 2), "-w", *map(str, options), uri]
        if network:
            argv = network.command(argv)
        result = subprocess.run(argv, capture_output=True, text=True, timeout=seconds * SLOW + 5, stdin=subprocess.DEVNULL)
        return result.stdout + result.stderr

    def coap_json(self, uri, *options, **more):
        text = self.coap(uri, "-A", "50", *options, **more)
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            raise AssertionError(f"coap-client {uri} {options} printed {text!r}") from None

    def coap_observe(self, uri, seconds=60, network=None):
        """libcoap's client, observing in the background; its output has a line for each notification."""
        program = shutil.which("coap-client-notls") or shutil.which("coap-client")
        if not program:
            raise Skip("libcoap's coap-client is not installed (libcoap3-bin)")
        return self.spawn("coap-observer", "stdbuf", "-oL", program, "-w", "-A", "50", "-s", seconds, "-B", seconds, uri, network=network)

    # -- the end

    def close(self):
        for connection in self.connections:
            connection.close()
        ended = []
        for process in reversed(self.processes):
            if process.runs():
                process.popen.terminate()
                ended.append(process)
        for process in ended:
            try:
                process.popen.wait(20 * SLOW)
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()
                if process.name == "ocfd":
                    raise AssertionError("ocfd does not end after SIGTERM") from None
        for process in self.processes:
            found = SANITIZER.search(process.output())
            assert not found, f"{process.name}: {found[0]}"
            if process.name == "ocfd" and process.expected is None:
                equal(process.popen.returncode, 0, "exit status of ocfd")

    def show(self):
        for process in self.processes:
            print(f"---- {process.name}: {' '.join(process.argv)} (status {process.popen.poll()})")
            print(process.output()[-6000:].rstrip())
        print("----", flush=True)

    def remove(self):
        shutil.rmtree(self.directory, ignore_errors=True)


class Notify:
    """The service manager's end of sd_notify()."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.lines = []

    def pump(self, seconds):
        self.socket.settimeout(max(seconds, 0.01))
        try:
            self.lines += self.socket.recv(65536).decode().splitlines()
        except socket.timeout:
            pass

    def wait(self, wanted, process, seconds=20.0):
        end = time.monotonic() + seconds * SLOW
        while wanted not in self.lines:
            assert process.runs(), f"{process.name} ended with {process.popen.returncode} before it said {wanted}"
            assert time.monotonic() < end, f"{process.name} did not say {wanted}"
            self.pump(0.1)
        self.lines = self.lines[self.lines.index(wanted) + 1 :]


BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-BUS Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <keep_umask/>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="false"/>
    <allow receive_sender="*"/>
    <allow own="*"/>
    <allow user="*"/>
  </policy>
  <limit name="max_connections_per_user">4096</limit>
  <limit name="max_completed_connections">4096</limit>
</busconfig>
"""


def npm_packages():
    """The folder with the packages of package.json, fetched once; beside the build, never in the source tree."""
    from npm_packages import fetch

    folder, why = fetch(os.environ.get("OCFD_NPM_DIR") or None)
    if folder:
        return str(folder)
    if os.environ.get("CI") == "true":
        sys.exit(f"the npm packages cannot be fetched: {why}")
    print(f"SKIP: the npm packages cannot be fetched: {why}")
    sys.exit(77)


# As root without a user namespace, so that there can be a second user, and without touching mounts that others share;
# as an ordinary user with one.
NAMESPACES = [
    ["unshare", "--net", "--mount", "--propagation", "unchanged", "--pid", "--fork", "--kill-child"]
    + ["sh", "-c", 'mount --make-private /proc && mount -t proc proc /proc && exec "$@"', "sh"],
    ["unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"],
]


def enter_namespaces():
    """Runs this program again inside namespaces; comes back only there."""
    if os.environ.get(MARK):
        return
    for way in NAMESPACES:
        probe = subprocess.run([*way, "ip", "link", "set", "lo", "up"], capture_output=True, text=True)
        if probe.returncode == 0:
            os.environ[MARK] = "1"
            os.execvp("unshare", [*way, sys.executable, *sys.argv])
    print(f"SKIP: no namespaces of my own here: {probe.stderr.strip()}")
    sys.exit(77)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name", choices=sorted(TESTS))
    parser.add_argument("--build", default=os.environ.get("MESON_BUILD_ROOT", "."))
    parser.add_argument("--bus", choices=["dbus-daemon", "dbus-broker"], default="dbus-daemon")
    parser.add_argument("--npm", help=argparse.SUPPRESS)
    options = parser.parse_args()
    function = TESTS[options.name]
    if function.npm and not options.npm:
        sys.argv += ["--npm", npm_packages()]
    enter_namespaces()
    sys.exit(run(function, options))


def run(function, options):
    world = World(options, options.npm)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped from outside, most likely it took too long"))
    failed = False
    try:
        try:
            function(world)
        finally:
            world.close()
    except Skip as skip:
        print(f"SKIP: {skip}")
        return 77
    except (Exception, SystemExit):
        failed = True
        world.show()
        traceback.print_exc()
    finally:
        world.remove()
    return 1 if failed else 0
