"""plgd's device library on the other host: its client takes our device, uses and gives it back; its bridge of many
devices behind one port is used by ours.

Unlike every other peer it may be missing under CI=true too: some registries of Go modules refuse this very module, and no
file of ours can change that. Then both tests are skipped and say why. Built, but wrong, is a failure everywhere; what CI
always has of an onboarding tool that is not ours is test_onboarding.py."""
import json
import os
import sys

from dbus_wire import V
from harness import MARK, SLOW, SOURCE, Network, Skip, equal, eventually, main, test
from test_onboarding import Tool as Factory
from test_onboarding import without
from tool_world import Tool, plain

sys.path.insert(0, str(SOURCE / "tests/peers"))
import plgd_packages

ABSENT = "OCFD_TEST_PLGD_ABSENT"


def programs():
    """The folder with them."""
    if os.environ.get(ABSENT):
        raise Skip(f"plgd's device library cannot be had here, so NOTHING of it was tested: {os.environ[ABSENT]}")
    folder, why = plgd_packages.plgd()
    if why:
        without(f"plgd's programs cannot be built: {why}")
    return folder


class Client:
    """plgd_client: a command a line, and what it says."""

    def __init__(self, w, host, *args):
        self.process = w.spawn("plgd_client", programs() / "plgd_client", *args, stdin=True, network=host)

    def said(self):
        whole = self.process.output().rpartition("\n")[0]
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def __call__(self, *words):
        before = len([line for line in self.said() if "did" in line])
        self.process.write(" ".join(map(str, words)))
        line = eventually(lambda: [s for s in self.said() if "did" in s][before:], " ".join(map(str, words)), 70)[0]
        assert "error" not in line, line
        return line

    def observed(self, href):
        return [line["value"] for line in self.said() if line.get("observed") == href and "value" in line]

    def unowned(self):
        found = self("discover", 2 * SLOW)["devices"]
        return [name for name, about in found.items() if about["secured"] and not about["owned"]]

    def end(self):
        self.process.popen.stdin.close()
        equal(self.process.wait(), 0, "plgd_client")


@test()
def owned_used_and_given_back_by_plgd(w):
    programs()
    host = Network(w)
    factory = w.directory / "factory"
    factory.mkdir()
    Factory(w)("factory", factory)
    w.configure(Security={"ManufacturerCertificate": factory / "device.pem", "ManufacturerKey": factory / "device.key"})
    w.start()
    w.serve("/switch", "value=false", rt="oic.r.switch.binary", interface="oic.if.a", insecure=False)  # it takes what is in clear where that is offered
    client = Client(w, host, "-manufacturer", factory)
    names = set()
    for way, transfer in (("just-works", "just-works"), ("manufacturer", "manufacturer-certificate")):
        [device] = eventually(client.unowned, "an unowned device is discovered", 20)
        device = client("own", device, way)["owned"]
        names.add(device)
        security = lambda name: w.connect().property("/org/ocfd/device/0", "Security1", name)
        equal((security("Owned"), security("State"), security("Transfer")), (True, "RFNOP", transfer))
        equal(client.unowned(), [], "unowned devices")
        assert {"/switch", "/oic/d", "/oic/sec/doxm"} <= set(client("links", device)["links"])
        before = client("get", device, "/switch")["value"]["value"]
        seen = len(client.observed("/switch"))
        client("observe", device, "/switch")
        eventually(lambda: len(client.observed("/switch")) > seen, "the first value")
        for value in (not before, before, not before):
            client("post", device, "/switch", json.dumps({"value": value}))
            eventually(lambda: client.observed("/switch")[-1]["value"] is value, f"it observes {value}")
            equal(client("get", device, "/switch")["value"]["value"], value)
        client("stop", "/switch")
        client("disown", device)
        eventually(lambda: not security("Owned") and security("State") == "RFOTM", "it has no owner", 20)
    equal(len(names), 2, "a device that was reset has another name")
    client.end()


BRIDGE = """apis: {{coap: {{id: 8f596b43-29c0-4147-8b40-e99268ab30f7, name: bridge, externalAddresses: ["{address}:35683"], maxMessageSize: 2097152}}}}
log: {{level: info}}
cloud: {{enabled: false}}
credential: {{enabled: false}}
thingDescription: {{enabled: false}}
numGeneratedBridgedDevices: 3
numResourcesPerDevice: 2
"""


@test()
def a_bridge_of_many_devices_behind_one_port(w):
    """It asks in each request which of them is meant, and sends values over and over."""
    program = programs() / "bridge-device"
    host = Network(w)
    w.configure(Network={"Interfaces": "eth*"})
    w.start()
    config = w.directory / "bridge.yaml"
    config.write_text(BRIDGE.format(address=f"{host.net}.2"))
    w.spawn("bridge", program, "-config", config, network=host)
    tool = Tool(w.connect())

    def named():
        found = {tool.property(path, "Name"): path for path in tool.discover()}
        return len(bridged := {name: path for name, path in found.items() if name.startswith("bridged-device-")}) == 3 and bridged

    devices = eventually(named, "three devices have names", 40)
    for name, path in devices.items():
        equal(plain(tool.retrieve(path, "/oic/d"))["di"], path.rsplit("/", 1)[1].replace("_", "-"))
        equal(plain(tool.retrieve(path, "/oic/d"))["n"], name)
    one, other, _ = devices.values()
    tool.update(one, "/test/1", {"name": V("s", "of one alone")})
    equal(plain(tool.retrieve(one, "/test/1"))["name"], "of one alone")
    equal(plain(tool.retrieve(other, "/test/1"))["name"], "test-1")
    resource = tool.resource(other, "/test/1")
    value, info = tool.call(resource, "RemoteResource1", "Observe", "a{sv}", {})
    equal((plain(value)["name"], plain(info)["mode"]), ("test-1", "push"))
    tool.update(other, "/test/1", {"name": V("s", "of the other")})
    eventually(lambda: plain(tool.bus.signal("Notified", resource, 10 * SLOW)[0])["name"] == "of the other", "the new value is told", 20)


if __name__ == "__main__":
    if not os.environ.get(MARK):  # while there is a network
        try:
            plgd_packages.plgd()
        except plgd_packages.Absent as absent:
            os.environ[ABSENT] = str(absent)
    main()
