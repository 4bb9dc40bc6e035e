"""The manufacturer's key in a TPM: swtpm, tpm2-openssl and the real daemon. Between daemon and TPM stands a relay that makes
it as slow, as broken or as dead as the test wants."""
import os
import pathlib
import re
import shutil
import socket
import struct
import sys
import threading
import time

from harness import SLOW, SOURCE, Network, equal, eventually, main, raises, shell, test

sys.path.insert(0, str(SOURCE / "tests/integration"))
from test_onboarding import Refused, Tool, secure_packages, start, without

HANDLE = "0x81000001"
PARENT = "0x81000000"
TPM_PORT, RELAY_PORT = 2321, 3321  # and the one after each, for control
FAILURE = struct.pack(">HII", 0x8001, 10, 0x101)  # TPM_RC_FAILURE
SIGN = 0x15D


class Relay:
    """Commands of the TPM, one after the other: held up for a while, refused, or never answered."""

    def __init__(self):
        self.delay, self.fails, self.hangs = 0.0, False, False
        self.n_signatures = self.n_commands = 0
        for port in (RELAY_PORT, RELAY_PORT + 1):
            listener = socket.create_server(("127.0.0.1", port))
            threading.Thread(target=self.listen, args=(listener, port - RELAY_PORT + TPM_PORT), daemon=True).start()
        self.tcti = f"swtpm:host=127.0.0.1,port={RELAY_PORT}"

    def listen(self, listener, port):
        while True:
            ours, _ = listener.accept()
            threading.Thread(target=self.serve, args=(ours, port), daemon=True).start()

    def serve(self, ours, port):
        try:
            with ours, socket.create_connection(("127.0.0.1", port)) as tpm:
                (self.commands if port == TPM_PORT else self.control)(ours, tpm)
        except OSError:
            pass

    def control(self, ours, tpm):
        while data := ours.recv(4096):
            tpm.sendall(data)
            ours.sendall(tpm.recv(4096))

    def whole(self, end):
        data = b""
        while len(data) < 10 or len(data) < struct.unpack_from(">I", data, 2)[0]:
            more = end.recv(4096)
            if not more:
                raise OSError("it is gone")
            data += more
        return data

    def commands(self, ours, tpm):
        while True:
            command = self.whole(ours)
            signs = struct.unpack_from(">I", command, 6)[0] == SIGN
            self.n_commands += 1
            self.n_signatures += signs
            while self.hangs:
                time.sleep(0.01)
            time.sleep(self.delay)
            if self.fails and signs:
                ours.sendall(FAILURE)
                continue
            tpm.sendall(command)
            ours.sendall(self.whole(tpm))


class Factory:
    """What a manufacturer does: a chain, and its key in the TPM under a handle and in a file that only this TPM can read."""

    def __init__(self, w):
        self.w = w
        for program, package in (("swtpm", "swtpm"), ("tpm2_import", "tpm2-tools")):
            if not shutil.which(program):
                without(f"{program} is not installed ({package})")
        modules = shell(["openssl", "version", "-m"]).split('"')[1]
        if not (pathlib.Path(modules) / "tpm2.so").exists():
            without("OpenSSL has no provider tpm2 (tpm2-openssl)")
        self.files = w.directory / "factory"
        self.files.mkdir()
        Tool(w)("factory", self.files)
        self.state = w.directory / "tpm"
        self.state.mkdir()
        self.swtpm = self.start()
        os.environ["TPM2TOOLS_TCTI"] = f"swtpm:host=127.0.0.1,port={TPM_PORT}"
        for line in (
            "tpm2_createprimary -Q -C o -G ecc -c primary",
            f"tpm2_evictcontrol -Q -C o -c primary {PARENT}; tpm2_flushcontext -t",
            f"tpm2_import -Q -C {PARENT} -G ecc -i factory/device.key -u public -r private; tpm2_flushcontext -t",
            f"tpm2_load -Q -C {PARENT} -u public -r private -c key; tpm2_evictcontrol -Q -C o -c key {HANDLE}; tpm2_flushcontext -t",
            f"tpm2_encodeobject -Q -C {PARENT} -u public -r private -o key.pem; tpm2_flushcontext -t",
        ):
            shell(f"set -e; cd {w.directory}; {line}")
        self.key_file = w.directory / "key.pem"
        (self.files / "device.key").unlink()  # now only the TPM has it
        self.relay = Relay()
        os.environ["TPM2OPENSSL_TCTI"] = self.relay.tcti

    def start(self):
        ports = ("--server", f"type=tcp,port={TPM_PORT}", "--ctrl", f"type=tcp,port={TPM_PORT + 1}")
        swtpm = self.w.spawn("swtpm", "swtpm", "socket", "--tpm2", *ports, "--tpmstate", f"dir={self.state}", "--flags", "not-need-init,startup-clear")
        eventually(lambda: socket.create_connection(("127.0.0.1", TPM_PORT + 1)).close() is None, "swtpm listens")
        return swtpm

    def settings(self, key=f"handle:{HANDLE}", **more):
        return {"ManufacturerCertificate": self.files / "device.pem", "ManufacturerKey": key, "ManufacturerKeyProvider": "tpm2", **more}

    def own(self, tool, device, **options):
        return tool.own(device, self.files / "tool.pem", self.files / "tool.key", self.files / "root.pem", **options)


class Meanwhile:
    """Asks over and over, as somebody else does, until the block ends; how long the longest answer took."""

    def __init__(self, w):
        self.peer = w.peer()
        self.times, self.error, self.ends = [], None, False
        self.thread = threading.Thread(target=self.run)

    def run(self):
        try:
            while not self.ends:
                began = time.monotonic()
                answer = self.peer.get("/oic/d")
                self.times.append(time.monotonic() - began)
                assert answer.code in ("2.05", "4.01"), answer  # the latter while ownership is being taken
                time.sleep(0.01)
        except Exception as error:
            self.error = error

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ends = True
        self.thread.join()
        if self.error:
            raise self.error

    @property
    def longest(self):
        return max(self.times)


def notices(w):
    return {n["id"]: n["text"] for n in w.ocfctl_json("status")["notices"]}


def is_offered(w):
    return "manufacturer-certificate" in w.ocfctl_json("status")["devices"][0]["security"]["transfers"]


@test()
def owned_with_a_key_in_a_tpm(w):
    """Over DTLS and over TLS; while the TPM takes its time others are answered at once."""
    factory = Factory(w)
    tool, device = start(w, **factory.settings())
    relay = factory.relay
    equal(relay.n_signatures, 1, "signatures at the start, which show that the key works")
    equal(notices(w), {})
    assert is_offered(w)
    steps = factory.own(tool, device)
    equal({over for over, _, _ in steps}, {"none", "certificate", "psk"})
    equal(relay.n_signatures, 2, "signatures; what is not the manufacturer's does not go to the TPM")
    n_commands = relay.n_commands
    for how in ("psk", "certificate"):
        equal(tool.ask("get", device, "/lamp", **{"with": how})["answer"], "2.05", how)
    equal(relay.n_commands, n_commands, "commands")
    for scheme in ("coaps", "coaps+tcp"):
        tool("disown", device)
        [device] = eventually(tool.unowned, "it is unowned again", 20)
        relay.delay = 0.5
        n_before, began = relay.n_signatures, time.monotonic()
        with Meanwhile(w) as meanwhile:
            factory.own(tool, device, scheme=scheme)
        relay.delay = 0
        assert relay.n_signatures > n_before and time.monotonic() - began > 0.5
        print(f"{scheme}: {len(meanwhile.times)} answers, the longest took {meanwhile.longest * 1000:.0f} ms")
        assert len(meanwhile.times) > 20 and meanwhile.longest < 0.2 * SLOW, meanwhile.times
    equal(notices(w), {})
    w.stop_ocfd()


@test()
def owned_with_a_key_that_only_the_tpm_can_read(w):
    """A file of TSS2."""
    factory = Factory(w)
    assert "TSS2" in factory.key_file.read_text()
    tool, device = start(w, **factory.settings(factory.key_file))
    factory.own(tool, device)
    equal(tool.ask("get", device, "/lamp")["answer"], "2.05")
    equal(factory.relay.n_signatures, 2)


@test()
def a_key_that_cannot_be_opened(w):
    """The device starts, serves, can be owned in other ways, and says what is wrong and what to do."""
    factory = Factory(w)
    other = w.directory / "other"
    other.mkdir()
    Tool(w)("factory", other)
    w.start_bus()
    rows = (
        ({"ManufacturerKey": "handle:0x81000077"}, r"handle:0x81000077 .* no private key of this name .*Put the key there"),
        ({"ManufacturerKey": "/nothing/there"}, r"ManufacturerKey=/nothing/there "),
        ({"ManufacturerKeyProvider": "pkcs11"}, r"ManufacturerKeyProvider=pkcs11: OpenSSL has no such provider .*Install it"),
        ({"ManufacturerCertificate": other / "device.pem"}, r"ManufacturerCertificate=.*device.pem .*whose first certificate"),
        ({"ManufacturerCertificate": "/nothing/there"}, r"/nothing/there cannot be used: No such file"),
        ({"ManufacturerKey": None}, "go together"),
        ({"ManufacturerKey": other / "device.pem", "ManufacturerKeyProvider": None}, "device.pem cannot be used: it is no private key on P-256"),
        ({"ManufacturerKey": "/nothing/there", "ManufacturerKeyProvider": None}, "/nothing/there cannot be used: No such file"),
        ({"ManufacturerKey": other / "device.key", "ManufacturerKeyProvider": None}, "whose first certificate"),
    )
    for changed, wanted in rows:
        w.configure(Security={**factory.settings(), **changed})
        w.start_ocfd()
        text = notices(w)["ManufacturerKey"]
        assert re.search(wanted, text), text
        assert "all else is served" in text and "restart ocfd" in text, text
        assert text in w.ocfd.output(), "it stands in the journal, too"
        assert not is_offered(w)
        equal(w.peer().get("/oic/d").code, "2.05")
        w.stop_ocfd()
    factory.swtpm.kill()
    tool, device = start_again(w, **factory.settings())
    text = notices(w)["ManufacturerKey"]
    assert re.search(r"the provider does not start .*See that its device is there", text), text
    tool.own(device)
    equal(tool.ask("get", device, "/lamp")["answer"], "2.05")


def start_again(w, **security):
    """As start(), on the bus that is there."""
    host = Network(w)
    w.configure(Security=security)
    w.start_ocfd()
    w.lamp()
    tool = Tool(w, host)
    [device] = eventually(tool.unowned, "an unowned device is discovered", 20)
    return tool, device


@test()
def a_tpm_that_fails_and_comes_back(w):
    factory = Factory(w)
    tool, device = start(w, **factory.settings())
    factory.relay.fails = True
    raises(Refused, factory.own, tool, device)
    text = eventually(lambda: notices(w).get("ManufacturerKey"), "it is told")
    assert "did not sign" in text, text
    eventually(lambda: tool.unowned() == [device], "still unowned")
    factory.relay.fails = False
    factory.own(tool, device)
    equal(notices(w), {}, "it is over")


@test()
def a_tpm_that_hangs(w):
    """Who waits for it gives up; everybody else is served, and so is the administrator who stops the daemon."""
    factory = Factory(w)
    tool, device = start(w, **factory.settings())
    factory.relay.hangs = True
    with Meanwhile(w) as meanwhile:
        raises(Refused, factory.own, tool, device)
    assert meanwhile.longest < 0.2 * SLOW, meanwhile.times
    n_commands = factory.relay.n_commands
    began = time.monotonic()
    w.stop_ocfd()
    assert time.monotonic() - began < 9 * SLOW
    assert "is still at work" in w.ocfd.output()
    equal(factory.relay.n_commands, n_commands, "one command that hangs")
    began = time.monotonic()
    w.start_ocfd()
    assert time.monotonic() - began < 15 * SLOW
    assert "its device does not answer" in notices(w)["ManufacturerKey"]
    equal(w.peer().get("/oic/d").code, "2.05")
    w.stop_ocfd()
    factory.relay.hangs = False
    w.start_ocfd()
    [again] = eventually(tool.unowned, "it is there again", 20)
    equal(again, device, "its name")
    factory.own(tool, device)


if __name__ == "__main__":
    secure_packages.go()  # while there is a network
    main()
