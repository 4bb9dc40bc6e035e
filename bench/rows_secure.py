"""The rows of secured CoAP: what libssl makes of the least server is the floor there.

`secure_node` is our table of sessions and our engine on the same socket, with the same answer, so that nothing but
the security differs; ocfd is all of it.
"""
import contextlib
import re
import shutil
import subprocess

import worlds
from measure import load, run_tool
from row import Row, figures, no_figure

EITHER_WAY = (("encrypt-then-MAC", [], 0.9), ("MAC-then-encrypt, as OCF's peers speak", ["-m"], 1.25))


def secured(c, server, *more, clients=None, outstanding=8):
    argv = [*more, "-n", clients or c.clients, "-w", outstanding, "-t", c.seconds]
    for pid in server.pids:
        argv += ["-p", pid]
    return run_tool(c.build, "dtls_load", *argv, "127.0.0.1", server.port, server.path, seconds=c.seconds + 60)


class Owned:
    """ocfd, owned, as its owner comes to it over DTLS."""

    def __init__(self, stack, build):
        world = stack.enter_context(worlds.World(build))
        self.key = world.own(world.path)
        self.port, self.path, self.pids = world.port_secure, world.path, world.pids


def servers(stack, c):
    """libssl, our sessions alone, and ocfd."""
    return *(stack.enter_context(worlds.Secured(c.build, name)) for name in ("dtls_floor", "secure_node")), Owned(stack, c.build)


def rows_psk(c):
    with contextlib.ExitStack() as stack:
        floor, node, ocfd = servers(stack, c)
        for what, more, target in EITHER_WAY:
            row = Row("psk", f"GET over 0xC037, {what}", f"NON {c.clients} x 8")

            def once():
                least, same = secured(c, floor)["us"][0], secured(c, floor, *more)["us"][0]
                alone, ours = secured(c, node, *more)["us"][0], secured(c, ocfd, *more, *ocfd.key)["us"][0]
                return {"floor": least, "ours": ours, "ratio": ours / least, "alone": alone / least, "same": ours / same}

            m, why = c.medians(row.what, once)
            if not m:
                yield no_figure(row, why)
                continue
            figures(row, m, target)
            row.remark = f"{m['alone']:.2f} without CoAP and the daemon" + (f"; {m['same']:.2f} of libssl in the same mode" if more else "")
            yield row


def rows_handshake(c):
    row = Row("handshake", "PSK handshake, 0xC037, with its cookie", f"{c.clients} at once")
    with contextlib.ExitStack() as stack:
        floor, node, ocfd = servers(stack, c)

        def once():
            least, alone = (secured(c, s, "-H")["us"][0] for s in (floor, node))
            ours = secured(c, ocfd, "-H", *ocfd.key)["us"][0]
            return {"floor": least, "ours": ours, "ratio": ours / least, "alone": alone / least}

        m, why = c.medians(row.what, once)
        if m:
            figures(row, m, 0.75)
            row.remark = f"{m['alone']:.2f} without CoAP and the daemon"
        yield row if m else no_figure(row, why)


def rows_mutual(c):
    row = Row("mutual", "handshake with certificates on both sides, 0xC0AE", f"{c.clients} at once")
    if not shutil.which("openssl"):
        row.skipped = "no openssl here to make certificates"
        yield row
        return
    with contextlib.ExitStack() as stack:
        pki = stack.enter_context(worlds.Pki())
        floor, node = (stack.enter_context(worlds.Secured(c.build, name, *pki.files("server"))) for name in ("dtls_floor", "secure_node"))
        shown = [argument for file in pki.files("client") for argument in ("-c", file)]

        def once():
            least, ours = (secured(c, s, "-H", *shown)["us"][0] for s in (floor, node))
            return {"floor": least, "ours": ours, "ratio": ours / least}

        m, why = c.medians(row.what, once)
        if m:
            figures(row, m, 1.1)
            row.remark = "libssl in both, without CoAP and the daemon; ours checks OCF's profiles as well"
        yield row if m else no_figure(row, why)


def rows_idle(c):
    sessions = min(c.others, 4000)

    def grown(server, *more):
        return secured(c, server, "-I", *more, clients=sessions, outstanding=1)["grown_kib"] * 1024 / sessions

    with contextlib.ExitStack() as stack:
        floor, node, ocfd = servers(stack, c)
        ours, alone, least = grown(ocfd, *ocfd.key), grown(node), grown(floor)
    yield Row(
        "idle", "a PSK session that is idle", f"{sessions} of them", value=f"{ours:.0f} bytes", target="8192 bytes", met=ours <= 8192,
        remark=f"by the growth of the daemon's memory, with CoAP's state for the peer; {alone:.0f} without; libssl {least:.0f}",
    )  # fmt: skip


def rows_crowd(c):
    row = Row("crowd", f"GET over {c.clients} of {c.others} PSK sessions", f"NON {c.clients} x 8")
    with contextlib.ExitStack() as stack:
        calm, busy = (Owned(stack, c.build) for _ in range(2))

        def once():
            alone = secured(c, calm, *calm.key)["us"][0]
            among = secured(c, busy, *busy.key, "-a", c.clients, clients=c.others)["us"][0]
            return {"ours": among, "ratio": among / alone}

        m, why = c.medians(row.what, once)
        yield figures(row, m, 1.15, f"1.15 of {c.clients} sessions") if m else no_figure(row, why)


def rows_hello(c):
    said = subprocess.run([c.build / "bench/hello"], capture_output=True, text=True, check=True).stdout
    alone = {k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)", said)}
    yield Row(
        "hello", "ClientHello without a cookie, no socket", "each from another address", us=alone["us"], target="2 us, no allocation",
        met=alone["us"] <= 2 and not alone["allocations"], remark=f"{alone['allocations']:.0f} allocations in {alone['hellos']:.0f}",
    )  # fmt: skip
    row = Row("hello", "the same over a socket", f"{4 * c.clients} at once")
    with contextlib.ExitStack() as stack:
        node, plain = stack.enter_context(worlds.Secured(c.build, "secure_node")), stack.enter_context(worlds.Floor(c.build))

        def once():
            least = load(c.build, plain, 4 * c.clients, 1, c.seconds)["us"][0]
            ours = secured(c, node, "-C", clients=4 * c.clients)["us"][0]
            return {"floor": least, "ours": ours, "ratio": ours / least}

        m, why = c.medians(row.what, once)
        yield figures(row, m) if m else no_figure(row, why)
        row.remark = "floor: a GET of the plain floor"


def rows_timing(c):
    """Whether padding and MAC faults take equally long to refuse."""

    def once():
        said = subprocess.run([c.build / "bench/fault_timing"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True).stdout
        return {k: float(v) for k, v in re.findall(r"(\w+)=([\d.]+)", said)}

    m, _ = c.medians("timing", once)
    yield Row(
        "timing", "faults of padding and MAC told apart by time", "3 pairs, 40,000 each", value=f"t {m['t']:.1f}", target="4.5", met=m["t"] < 4.5,
        rounds=int(m["rounds"]), remark=f"the worst pair; a check that stops at the first fault: {m['naive']:.0f}",
    )  # fmt: skip


GROUPS = {"psk": rows_psk, "handshake": rows_handshake, "mutual": rows_mutual, "idle": rows_idle, "crowd": rows_crowd, "hello": rows_hello, "timing": rows_timing}
