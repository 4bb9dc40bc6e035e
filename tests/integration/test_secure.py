"""What a stop does to a device: one that nobody had begun to take over keeps its name, and one that is owned its owner.
What is told of who was refused."""
import pathlib
import socket

from harness import equal, eventually, main, own_mounts, shell, test
from test_onboarding import secure_packages, start

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


if __name__ == "__main__":
    secure_packages.go()  # while there is a network
    main()
