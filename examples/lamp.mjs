#!/usr/bin/env node
/*
 * A lamp in Node, over plain D-Bus: node lamp.mjs [BUS-ADDRESS]      (npm install dbus-next; default: the system bus)
 *
 * The recipe: export an object with org.ocfd.Handler1; call Register whenever org.ocfd has a (new) owner; when the bus
 * itself goes away, connect again. Nothing else is needed to survive restarts of ocfd and of the bus.
 */
import dbus from "dbus-next";
const { Variant, DBusError, Message } = dbus;

const state = { value: false, brightness: 100 };
let changed = () => {}; // tells ocfd that the lamp has changed by itself, so that observers hear of it
const resource = {
    rt: new Variant("as", ["oic.r.switch.binary", "oic.r.light.brightness"]),
    if: new Variant("as", ["oic.if.a"]),
    handler: new Variant("o", "/lamp"),
    insecure: new Variant("b", true), // over plain CoAP too, where the administrator allows that
};

class Lamp extends dbus.interface.Interface {
    Handle(method, href, request) {
        if (method === "update") {
            const { value = state.value, brightness = state.brightness } = plain(request.value?.value ?? {});
            // the name says what a peer on the network is told (4.00), the sentence goes with it
            if (typeof value !== "boolean" || !Number.isInteger(brightness) || brightness < 0 || brightness > 100)
                throw new DBusError("org.ocfd.Error.BadRepresentation", "brightness goes from 0 to 100");
            Object.assign(state, { value, brightness });
            console.log(`the lamp is ${value ? "on" : "off"}`); // ocfd tells observers
        } else if (method !== "retrieve") {
            throw new DBusError("org.ocfd.Error.MethodNotAllowed", "A lamp is not created or deleted");
        }
        const now = { value: new Variant("b", state.value), brightness: new Variant("i", state.brightness) };
        return { value: new Variant("a{sv}", now) };
    }
}
Lamp.configureMembers({ methods: { Handle: { inSignature: "ssa{sv}", outSignature: "a{sv}" } } });

// {brightness: Variant("x", 40n)} as {brightness: 40}
const number = (v) => (typeof v === "bigint" ? Number(v) : v);
const plain = (map) => Object.fromEntries(Object.entries(map).map(([key, v]) => [key, number(v.value)]));

function connect() {
    const bus = process.argv[2] ? dbus.sessionBus({ busAddress: process.argv[2] }) : dbus.systemBus();
    const call = (destination, path, iface, member, signature, ...body) =>
        bus.call(new Message({ destination, path, interface: iface, member, signature, body })).then((reply) => reply.body[0]);
    const callBus = (member, ...args) => call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", member, "s", ...args);

    const register = async (owner) => {
        bus.owner = owner; // "" when ocfd is not there: we are called again when it is
        if (!owner) return;
        try {
            const options = { name: new Variant("s", "lamp.mjs") };
            const app = await call(owner, "/org/ocfd", "org.ocfd.Manager1", "Register", "oa(sa{sv})a{sv}", "/", [["/lamp", resource]], options);
            changed = () => call(owner, app, "org.ocfd.Application1", "Changed", "s", "/lamp").catch(console.error);
            console.log("registered");
        } catch (error) {
            console.log(error.text ?? error.message); // ocfd's own sentence; the reason may go away
            setTimeout(() => bus.owner === owner && register(owner), 5000);
        }
    };

    bus.export("/lamp", new Lamp("org.ocfd.Handler1"));
    const isOwnerChanged = (m) => m.sender === "org.freedesktop.DBus" && m.member === "NameOwnerChanged" && m.body[0] === "org.ocfd";
    bus.on("message", (m) => isOwnerChanged(m) && register(m.body[2]));
    bus.on("connect", () => {
        const ask = callBus("AddMatch", "type='signal',sender='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.ocfd'");
        ask.then(() => callBus("GetNameOwner", "org.ocfd")).then(register, () => console.log("ocfd is not there yet"));
    });
    const again = () => {
        if (bus.owner !== null) setTimeout(connect, 500); // once
        bus.owner = null;
    };
    bus.on("error", again); // there is no bus now
    bus._connection.on("end", again); // it went away
}

// The switch on the wall: kill -USR2 PID
process.on("SIGUSR2", () => changed((state.value = !state.value)));
connect();
