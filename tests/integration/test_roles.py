"""Roles: a device that was given a role certificate shows it to another one, whose entry for the role lets it in."""
from dbus_wire import BusError
from harness import Network, equal, main, raises, test
from tool_world import Device, Tool, plain


@test()
def a_role_opens_what_it_is_for(w):
    w.configure(Network={"Interfaces": "eth*"})
    host = Network(w)
    w.start()
    device = Device(w, host, "kitchen-light")
    tool, gateway = Tool(device.connect()), Tool(w.connect())  # the tool lives in the lamp, the gateway is its client
    tool.initialize()
    tool.seen("kitchen-light")
    tool.seen("Test gateway")
    lamp, client = tool.own("kitchen-light"), tool.own("Test gateway")
    device.lamp()
    device.lamp("/fan")
    for path in (lamp, client):
        tool.do("IssueIdentity", "o", path)
    path = gateway.seen("kitchen-light")
    error = raises(BusError, gateway.retrieve, path, "/lamp")
    assert "access entry" in error.message, error
    tool.do("AddAccess", "osass", lamp, "role:guest", ["/lamp"], "r")
    raises(BusError, gateway.retrieve, path, "/lamp")
    tool.do("IssueRole", "oas", client, ["guest", "technician@home"])  # shown over the session that stands
    equal(plain(gateway.retrieve(path, "/lamp")), {"value": False})
    raises(BusError, gateway.update, path, "/lamp", {"value": True})
    raises(BusError, gateway.retrieve, path, "/fan")
    tool.do("AddAccess", "osass", lamp, "role:technician@home", ["/fan"], "r")
    equal(plain(gateway.retrieve(path, "/fan")), {"value": False}, "the second role is as good as the first")


if __name__ == "__main__":
    main()
