#!/usr/bin/env python3
"""A lamp in Python, over plain D-Bus: lamp.py [BUS-ADDRESS]  (Debian: python3-dbus python3-gi; default: the system bus)

The recipe: export an object with org.ocfd.Handler1; call Register whenever org.ocfd has a (new) owner; when the bus
itself goes away, connect again. Nothing else is needed to survive restarts of ocfd and of the bus.
"""
import signal
import sys

import dbus.bus, dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

state = {"value": False, "brightness": 100}
resource = {
    "rt": ["oic.r.switch.binary", "oic.r.light.brightness"],
    "if": ["oic.if.a"],
    "handler": dbus.ObjectPath("/lamp"),
    "insecure": True,  # over plain CoAP too, where the administrator allows that
}


class Lamp(dbus.service.Object):
    owner = app = None  # unique name of ocfd; our Application1

    @dbus.service.method("org.ocfd.Handler1", in_signature="ssa{sv}", out_signature="a{sv}")
    def Handle(self, method, href, request):
        if method == "update":
            wanted = {**state, **request.get("value", {})}
            if not isinstance(wanted["value"], (bool, dbus.Boolean)) or wanted["brightness"] not in range(101):
                # the name says what a peer on the network is told (4.00), the sentence goes with it
                raise dbus.DBusException("brightness goes from 0 to 100", name="org.ocfd.Error.BadRepresentation")
            state.update(value=bool(wanted["value"]), brightness=int(wanted["brightness"]))
            print("the lamp is", "on" if state["value"] else "off", flush=True)  # ocfd tells observers
        elif method != "retrieve":
            raise dbus.DBusException("A lamp is not created or deleted", name="org.ocfd.Error.MethodNotAllowed")
        return {"value": dbus.Dictionary(state, signature="sv")}

    def call(self, path, interface, member, signature, args, done=lambda *_: None, failed=print):
        self.connection.call_async(self.owner, path, interface, member, signature, args, done, failed)

    def register(self, owner):
        self.owner, self.app = owner, None  # "" when ocfd is not there: we are called again when it is
        if owner:
            args = ("/", [("/lamp", resource)], {"name": "lamp.py"})
            self.call("/org/ocfd", "org.ocfd.Manager1", "Register", "oa(sa{sv})a{sv}", args, self.registered, self.refused)

    def switch(self):  # the one on the wall: ocfd hears of the change from us
        state["value"] = not state["value"]
        if self.app:
            self.call(self.app, "org.ocfd.Application1", "Changed", "s", ["/lamp"])

    def registered(self, app):
        self.app = app
        print("registered", flush=True)

    def refused(self, error):
        print(error.get_dbus_message(), flush=True)  # ocfd's own sentence; the reason may go away
        GLib.timeout_add_seconds(5, lambda owner=self.owner: owner == self.owner and self.register(owner))


def connect():
    global lamp
    try:
        bus = dbus.bus.BusConnection(sys.argv[1] if len(sys.argv) > 1 else dbus.bus.BusConnection.TYPE_SYSTEM)
    except dbus.DBusException:
        return True  # there is no bus now: the timer goes on
    lamp = Lamp(bus, "/lamp")
    bus.set_exit_on_disconnect(False)
    bus.call_on_disconnection(lambda _: (lamp.register(""), GLib.timeout_add(500, connect)))
    bus.watch_name_owner("org.ocfd", lamp.register)
    return False


lamp = None
DBusGMainLoop(set_as_default=True)
GLib.unix_signal_add(GLib.PRIORITY_DEFAULT, signal.SIGUSR2, lambda: lamp and lamp.switch() or True)
GLib.timeout_add(0, lambda: connect() and GLib.timeout_add(500, connect) and False)
GLib.MainLoop().run()
