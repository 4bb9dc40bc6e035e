"""A relay of datagrams that loses some of them: the network between two peers.

    secure_relay.py PORT TO-PORT PERCENT SEED        loses so many of a hundred in each direction

What befalls a datagram is drawn from SEED. Datagrams of one client never go to another. It prints a line for each:
when, where it goes, whether it is lost, and its records: type, epoch and number, length, type of the handshake message.
"""
import random
import selectors
import socket
import struct
import sys
import time

QUIET_SECONDS = 120


def records(data):
    out = []
    while len(data) >= 13:
        kind, _, epoch, high, low, size = struct.unpack("!BHHHIH", data[:13])
        message = f":{data[13]}" if kind == 22 and not epoch and size else ""
        out.append(f"{kind}/{epoch}.{(high << 32) + low}({size}){message}")
        data = data[13 + size :]
    return " ".join(out)


def relay(port, to_port, percent, seed):
    choice = random.Random(seed)
    selector = selectors.DefaultSelector()
    front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    front.bind(("127.0.0.1", port))
    selector.register(front, selectors.EVENT_READ)
    behind, client_of = {}, {}
    began = time.monotonic()
    print("ready", flush=True)
    while True:
        ready = selector.select(QUIET_SECONDS)
        if not ready:
            return
        for key, _ in ready:
            try:
                data, source = key.fileobj.recvfrom(65536)
            except ConnectionRefusedError:
                continue
            lost = choice.random() * 100 < percent
            print(f"{time.monotonic() - began:.3f} {'->' if key.fileobj is front else '<-'} {'LOST ' if lost else ''}{records(data)}", flush=True)
            if lost:
                continue
            if key.fileobj is not front:
                front.sendto(data, client_of[key.fileobj])
                continue
            if source not in behind:
                behind[source] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                behind[source].connect(("127.0.0.1", to_port))
                client_of[behind[source]] = source
                selector.register(behind[source], selectors.EVENT_READ)
            behind[source].send(data)


if __name__ == "__main__":
    relay(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))
