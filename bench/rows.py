"""The rows of the table: each sets up what it needs, measures in rounds, and says what came out.

A round measures the floor, ocfd and libcoap one after the other, and ratios are
taken within it, since machines are noisy. GROUPS at the end names them all.
"""
import contextlib
import dataclasses
import re
import subprocess
import time

import rows_secure
import worlds
from measure import if_clean, load, medians, run_tool
from row import NOT_CLEAN, Row, figures, no_figure


@dataclasses.dataclass
class Context:
    build: object
    rounds: int
    seconds: int
    clients: int = 16
    others: int = 10000

    def medians(self, what, measure):
        return medians(what, self.rounds, measure)


def maybe_libcoap(stack, body):
    """libcoap's server, if it is installed."""
    return stack.enter_context(worlds.Libcoap(body)) if worlds.Libcoap.binary() else None


NO_LIBCOAP = "no libcoap here (Debian: libcoap3-bin)"


# ---- GET of a published resource ----


def rows_get(c):
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(worlds.World(c.build))
        size = len(worlds.get_once(world.port, world.path))
        floor = stack.enter_context(worlds.Floor(c.build, size))
        libcoap = maybe_libcoap(stack, size)
        for outstanding in (8, 1):
            row = Row("get", "GET of a published resource", f"NON {c.clients} x {outstanding}")

            def once():
                least, ours = (load(c.build, s, c.clients, outstanding, c.seconds)["us"][0] for s in (floor, world))
                result = {"floor": least, "ours": ours, "ratio": ours / least}
                if libcoap:
                    result["libcoap"] = if_clean(lambda: load(c.build, libcoap, c.clients, outstanding, c.seconds)["us"][0] / least)
                return result

            m, why = c.medians(row.what, once)
            yield figures(row, m, 1.3) if m else no_figure(row, why)
            if not libcoap:
                row.remark = NO_LIBCOAP


class Crowd:
    """Others that asked and changed something, within the last four minutes."""

    def __init__(self, c, server, more=()):
        self.c, self.server, self.more, self.played_s = c, server, more, None

    def refresh(self):
        if self.played_s is None or time.monotonic() - self.played_s > 120:
            run_tool(self.c.build, "coap_crowd", "-n", self.c.others, *self.more, "127.0.0.1", self.server.port, self.server.path)
            self.played_s = time.monotonic()


def rows_others(c):
    with contextlib.ExitStack() as stack:
        calm, busy = (stack.enter_context(worlds.World(c.build)) for _ in range(2))
        size = len(worlds.get_once(calm.port, calm.path))
        floor = stack.enter_context(worlds.Floor(c.build, size))
        pairs = [(calm, busy, Crowd(c, busy))]
        if worlds.Libcoap.binary():
            calm_lib, busy_lib = (stack.enter_context(worlds.Libcoap(size)) for _ in range(2))
            pairs.append((calm_lib, busy_lib, Crowd(c, busy_lib, ("-u", "-b", size))))
        for outstanding in (8, 1):
            row = Row("others", f"the same, {c.others} other clients seen", f"NON {c.clients} x {outstanding}")

            def once():
                result = {"floor": load(c.build, floor, c.clients, outstanding, c.seconds)["us"][0]}
                for (quiet, full, crowd), names in zip(pairs, (("ours", "ratio"), ("libcoap us", "libcoap"))):
                    crowd.refresh()
                    alone, among = (load(c.build, s, c.clients, outstanding, c.seconds)["us"][0] for s in (quiet, full))
                    result |= {names[0]: among, names[1]: among / alone}
                result["of floor"] = result["ours"] / result["floor"]
                return result

            m, why = c.medians(row.what, once)
            if not m:
                yield no_figure(row, why)
                continue
            figures(row, m, 1.1, "1.1 of the row without")
            row.remark = f"ratio to a daemon that saw nobody else; {m['of floor']:.2f} of the floor"
            if len(pairs) == 1:
                row.remark += f"; {NO_LIBCOAP}"
            yield row


# ---- notifications ----


def observe(c, server, n, *more):
    pids = [a for pid in server.pids for a in ("-p", pid)]
    return run_tool(c.build, "coap_observe", "-n", n, "-t", c.seconds, *more, *pids, "127.0.0.1", server.port, server.path, seconds=c.seconds)


def observe_libcoap(c, n, size):
    """A new server each time: it need not survive what ten thousand do when they leave."""
    with worlds.Libcoap(size) as libcoap:
        return observe(c, libcoap, n, "-u", "-k", "-b", size)


def rows_notify(c):
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(worlds.World(c.build))
        worlds.get_once(world.port, world.path, 2, b"\xa1\x65power\x1a\x00\x01\x86\xa0")
        size = len(worlds.get_once(world.port, world.path))
        floor = stack.enter_context(worlds.Floor(c.build, size))
        for n in (100, c.others):
            row = Row("notify", f"a notification to each of {n} observers", "one change at a time")

            def once():
                least, ours = observe(c, floor, n, "-b", size), observe(c, world, n)
                result = {"floor": least["us"][0], "ours": ours["us"][0], "ratio": ours["us"][0] / least["us"][0]}
                result["con"] = ours["confirmable"] / ours["requests"]
                if worlds.Libcoap.binary():
                    theirs = if_clean(lambda: observe_libcoap(c, n, size))
                    result["libcoap"] = theirs and theirs["us"][0] / least["us"][0]
                    result["libcoap con"] = theirs and theirs["confirmable"] / theirs["requests"]
                return result

            m, why = c.medians(row.what, once)
            if not m:
                yield no_figure(row, why)
                continue
            figures(row, m, 1.3)
            row.remark = f"{1 - m['con']:.0%} NON, {m['con']:.0%} CON; the floor sends NON only"
            if m.get("libcoap con") is not None:
                row.remark += f"; libcoap {m['libcoap con']:.0%} CON"
            elif "libcoap" not in m:
                row.remark += f"; {NO_LIBCOAP}"
            yield row


# ---- TCP ----


def rows_tcp(c):
    row = Row("tcp", "GET of a published resource, TCP", f"{c.clients} connections x 8", target="2.5 of the UDP floor")
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(worlds.World(c.build))
        port = world.find_tcp_port()
        if not port:
            row.skipped = "this ocfd does not listen on TCP"
            yield row
            return
        size = len(worlds.get_once(world.port, world.path))
        udp = stack.enter_context(worlds.Floor(c.build, size))
        tcp = stack.enter_context(worlds.Floor(c.build, size, "coap_tcp_floor"))
        libcoap = maybe_libcoap(stack, size)
        world.port = port

        def once():
            least = load(c.build, udp, c.clients, 8, c.seconds)["us"][0]
            result = {"floor": least}
            for name, server in (("tcp floor", tcp), ("ours", world), ("libcoap", libcoap)):
                if server is libcoap:
                    theirs = server and if_clean(lambda: load(c.build, server, c.clients, 8, c.seconds, tool="coap_tcp_load")["us"][0])
                    result[name] = theirs and theirs / least
                else:
                    result[name] = load(c.build, server, c.clients, 8, c.seconds, tool="coap_tcp_load")["us"][0]
            result["ratio"] = result["ours"] / least
            result["tcp floor"] /= least
            return result

        m, why = c.medians(row.what, once)
        if not m:
            yield no_figure(row, why)
            return
        figures(row, m, 2.5, row.target)
        row.remark = f"a minimal server over TCP: {m['tcp floor']:.2f}" + ("" if libcoap else f"; {NO_LIBCOAP}")
        yield row


# ---- discovery ----


def rows_discovery(c):
    row = Row("discovery", "/oic/res of 50 resources, first block", f"NON {c.clients} x 8", target="15 us")
    with worlds.World(c.build, resources=50) as world, worlds.Floor(c.build) as floor:
        bytes_seen = []

        def once():
            least = load(c.build, floor, c.clients, 8, c.seconds)["us"][0]
            ours = load(c.build, world, c.clients, 8, c.seconds, path="/oic/res")
            bytes_seen.append(int(ours["bytes"]))
            return {"floor": least, "ours": ours["us"][0], "ratio": ours["us"][0] / least}

        m, why = c.medians(row.what, once)
        if not m:
            yield no_figure(row, why)
            return
        figures(row, m)
        row.met = row.us <= 15
        row.remark = f"{bytes_seen[-1]} bytes; the floor's answer is 44"
        yield row


# ---- an app answers ----


def rows_app(c):
    for kind in ("dbus-broker", "dbus-daemon"):
        missing = worlds.why_no_bus(kind, c.build)
        if missing:
            yield Row("app", f"GET answered by an app, {kind}", skipped=missing)
            continue
        with worlds.World(c.build, kind) as world:
            for clients, outstanding in ((c.clients, 4), (1, 1)):
                row = Row("app", f"GET answered by an app, {kind}", f"NON {clients} x {outstanding}")
                pids = [world.ocfd.pid, world.handler.pid, *world.bus_pids[:1]]

                def once():
                    least = sum(run_tool(c.build, "bus_floor", world.address, c.seconds, clients * outstanding)["us"])
                    plain = load(c.build, world, clients, outstanding, c.seconds)["us"][0]
                    daemon, app, bus = load(c.build, world, clients, outstanding, c.seconds, path="/lamp", pids=pids)["us"]
                    beyond = daemon + app - plain
                    return {"floor": least, "ours": beyond, "ratio": beyond / least, "daemon": daemon, "app": app, "bus": bus, "plain": plain}

                m, why = c.medians(row.what, once)
                if not m:
                    yield no_figure(row, why)
                    continue
                figures(row, m)
                row.remark = f"daemon {m['daemon']:.1f} + app {m['app']:.1f} - plain GET {m['plain']:.1f}, without the bus's {m['bus']:.1f}"
                row.remark += "; floor: a call between two programs on sd-bus"
                if kind == "dbus-broker" and clients * outstanding == 64:
                    row.target, row.met = "25 us", row.us <= 25
                yield row


# ---- memory ----


def rows_memory(c):
    said = subprocess.run([c.build / "bench/sizes"], capture_output=True, text=True, check=True).stdout
    sizes = {k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)", said)}
    with worlds.World(c.build) as world:
        grown = run_tool(c.build, "coap_crowd", "-n", c.others, "-p", world.ocfd.pid, "127.0.0.1", world.port, world.path)["grown_kib"]
    remembered = grown * 1024 / c.others
    with worlds.World(c.build) as world:
        grown = observe(dataclasses.replace(c, seconds=0), world, c.others)["grown_kib"]
    observer = grown * 1024 / c.others
    others = f"{c.others}, each an address of its own"
    yield Row(
        "memory", "state of an observer", others, value=f"{sizes['observer']:.0f} bytes", target="256 bytes", met=sizes["observer"] <= 256,
        remark=f"and {sizes['peer']:.0f} once for its address, {sizes['unacknowledged']:.0f} while a CON waits; the daemon grew by {observer:.0f} for each",
    )  # fmt: skip
    yield Row(
        "memory", "state of a remembered exchange", others, value=f"{sizes['exchange']:.0f} bytes", target="192 bytes", met=sizes["exchange"] <= 192,
        remark=f"and {sizes['peer']:.0f} once for its address, its answer in pages of {sizes['page']:.0f}; the daemon grew by {remembered:.0f} for each",
    )  # fmt: skip
    with worlds.World(c.build) as world:
        yield Row("memory", "resident memory, idle, two apps", value=f"{world.memory_kib('VmRSS')} KiB", remark=f"{world.memory_kib('RssAnon')} KiB of it not shared")
        yield Row("memory", "start-up to the first answer", value=f"{world.start_ms:.0f} ms")


GROUPS = {
    "get": rows_get,
    "others": rows_others,
    "notify": rows_notify,
    "tcp": rows_tcp,
    "discovery": rows_discovery,
    "app": rows_app,
    "memory": rows_memory,
    **rows_secure.GROUPS,
}
