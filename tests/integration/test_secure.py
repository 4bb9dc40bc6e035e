"""What a stop does to a device: one that nobody had begun to take over keeps its name, and one that is owned its owner.
What is told of who was refused."""
import hashlib
import pathlib
import select
import socket
import struct
import threading
import time

from harness import SLOW, equal, eventually, main, own_mounts, shell, test
from test_onboarding import KEY, PEER, secure_packages, start

IP_PKTINFO = 8
ENTRY = "94ab0e6d3c5f47289f1d3b5d7e9a024c"


@test()
def a_stop_before_any_transfer_keeps_the_name(w):
    tool, device = start(w)
    for _ in range(3):
        w.stop_ocfd()
        w.start_ocfd()
        equal(eventually(tool.unowned, "it is unowned", 20), [device])
    tool.own(device)
    w.stop_ocfd()
    w.start_ocfd()
    eventually(lambda: w.is_registered("/lamp"), "the lamp is back")
    equal(tool.ask("get", device, "/oic/sec/doxm")["body"]["deviceuuid"], device)
    equal(tool.unowned(), [], "unowned devices")


class Journal:
    """A journal of the test's, where systemd has its own."""

    def __init__(self):
        place = pathlib.Path("/run")
        own_mounts()
        shell(f"mount -t tmpfs journal {place}")
        place.joinpath("systemd/journal").mkdir(parents=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(place / "systemd/journal/socket"))
        self.socket.settimeout(5)
        # ocfd believes that its stderr is the journal's where this says so
        self.wrapper = ["sh", "-c", 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"', "sh"]

    def denial(self):
        """The fields of the next one; no value here has a line break."""
        while True:
            lines = [line.partition("=") for line in self.socket.recv(65536).decode().splitlines()]
            fields = {name: value for name, _, value in lines}
            if fields.get("MESSAGE_ID") == ENTRY:
                return {name[5:]: value for name, value in fields.items() if name.startswith("OCFD_")}


@test()
def a_denial_is_one_entry_of_the_journal_with_its_fields(w):
    tool, device = start(w)
    w.stop_ocfd()
    journal = Journal()
    w.start_ocfd(wrapper=journal.wrapper)
    device = tool.derive(device)
    equal(w.peer().get("/lamp").code, "4.01")
    told = journal.denial()
    told.pop("PEER").index("127.0.0.1:")
    plain = {"CONNECTION": "anon-clear", "RESOURCE": "/lamp", "METHOD": "GET", "STATE": "RFNOP", "REASON": "no entry grants it"}
    equal(told, {"DEVICE": device, **plain})
    tool("ace", device, tool.owner, 2, "/lamp")
    [entry] = [ace for ace in tool.ask("get", device, "/oic/sec/acl2")["body"]["aclist2"] if "/lamp" in str(ace["resources"])]
    equal(tool.ask("post", device, "/lamp", '{"value": true}')["answer"], "4.01")
    told = journal.denial()
    told.pop("PEER").index(tool.host.net)
    why = {"REASON": "an entry fits, but does not permit this method", "ACE": str(entry["aceid"])}
    equal(told, {"DEVICE": device, **plain, "CONNECTION": "auth-crypt", "SUBJECT": tool.owner, "METHOD": "POST", **why})


class Crowd:
    """Strangers of ten thousand addresses, behind a host: each begins a handshake, and some return their cookie."""

    def __init__(self, host, port):
        host.run("ip", "route", "add", "local", "198.18.0.0/15", "dev", "lo")
        shell(f"ip route add 198.18.0.0/15 via {host.net}.2")
        self.to = (host.ours, port)
        self.socket = host.inside(lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.socket.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.suite = b"\xc0\x37"
        self.n_cookies = self.n_flights = 0

    def say(self, address, cookie=b"", number=0):
        """A ClientHello for one suite, SHA-256 with ECDSA and P-256, from that address."""
        random = hashlib.sha256(address).digest()
        body = b"\xfe\xfd" + random + b"\0" + bytes([len(cookie)]) + cookie + b"\0\2" + self.suite + b"\1\0"
        body += bytes.fromhex("0016" "000d000400020403" "000a000400020017" "000b00020100")
        length = len(body).to_bytes(3, "big")
        message = b"\1" + length + number.to_bytes(2, "big") + b"\0\0\0" + length + body
        record = b"\x16\xfe\xfd\0\0" + number.to_bytes(6, "big") + len(message).to_bytes(2, "big") + message
        source = struct.pack("=I4s4s", 0, address, b"\0\0\0\0")
        self.socket.sendmsg([record], [(socket.IPPROTO_IP, IP_PKTINFO, source)], 0, self.to)

    def hear(self, answers, seconds):
        """Returns cookies where answers says so."""
        end = time.monotonic() + seconds
        while select.select([self.socket], [], [], max(end - time.monotonic(), 0))[0]:
            data, ancillary, _, _ = self.socket.recvmsg(4096, 256)
            address = ancillary[0][2][8:12]
            if data[0] != 22 or data[13] != 3:
                self.n_flights += 1
                continue
            self.n_cookies += 1
            if answers:
                self.say(address, data[28 : 28 + data[27]], 1)

    def come(self, n, answers, per_second):
        begun = time.monotonic()
        for i in range(n):
            self.say(bytes([198, 18 + (i >> 16), i >> 8 & 255, i & 255]))
            ahead = begun + i / per_second - time.monotonic()
            self.hear(answers, max(ahead, 0) if i % 8 == 0 else 0)
        self.hear(answers, 0.5)


@test()
def ten_thousand_half_open_handshakes(w):
    """The owner's session goes on, he comes in anew, somebody else who has a key does so too, and nothing is kept of who went
    silent."""
    tool, device = start(w)
    tool.own(device)
    tool("psk", device, PEER, KEY)
    tool("ace", device, PEER, 2, "/lamp")
    port = int(tool.ends(device)[0])
    crowd = Crowd(tool.host, port)
    observer = w.spawn("observer", tool.program, "-state", tool.state, "-seconds", "120", "observe", device, "/lamp", 10, network=tool.host)
    observer.says('"value":')
    before, value, failures = w.ocfd.rss(), False, []

    def come(answers):
        try:
            crowd.come(10000, answers, 1000)
        except Exception as error:
            failures.append(error)

    # without cookies; with them, and our engine; with them, and libssl, which wants more for each
    for number, (answers, crowd.suite, mib) in enumerate(((False, b"\xc0\x37", 4), (True, b"\xc0\x37", 4), (True, b"\xc0\xac", 16))):
        most, n_flights = 0, crowd.n_flights
        coming = threading.Thread(target=come, args=(answers,))
        coming.start()
        time.sleep(1)
        for i in range(3):
            value = not value
            w.ocfctl("set", "/lamp", f"value={str(value).lower()}")
            eventually(lambda: observer.output().count('"observed"') == 2 + i + 3 * number, f"notification {i + 1}, crowd {number}", 10)
            equal(tool.ask("get", device, "/lamp")["body"]["value"], value, f"from where the owner is known, crowd {number}")
            # from an address where nobody has proven anything
            equal(tool("ask", f"coaps://[{tool.host.ours6}]:{port}", PEER, KEY, "/lamp")[-1]["code"], "2.05", f"from elsewhere, crowd {number}")
            most = max(most, w.ocfd.rss())
        assert coming.is_alive(), "it was over before the crowd was"
        while coming.is_alive():
            most = max(most, w.ocfd.rss())
            time.sleep(0.05)
        # a sanitizer keeps what is freed
        assert SLOW > 1 or most < before + (mib << 20), f"crowd {number}: {before} bytes before, {most} meanwhile"
        assert not answers or crowd.n_flights - n_flights > 1000, f"crowd {number}: {crowd.n_flights - n_flights} were answered"
    equal(failures, [], "the crowd")
    equal(observer.wait(), 0, "the observer")
    assert crowd.n_cookies > 25000, crowd.n_cookies
    sessions = w.ocfctl_json("sessions")["sessions"]
    assert len(sessions) < 20 and {s["id"] for s in sessions} <= {tool.owner, PEER}, sessions


if __name__ == "__main__":
    secure_packages.go()  # while there is a network
    main()
