#!/usr/bin/env python3
"""Our engine of DTLS against other implementations, without a daemon: suites 0xC037 and 0xFF00, both roles, with losses.

    secure_peers.py client|server [--build DIRECTORY] [--only TEXT]

client: clients of others ask secure_serve, which is our engine. server: secure_engine, our client, asks others. Moves into
namespaces of its own and says what happened in TAP. A library that is not here is a skip, and a failure where CI=true.
"""
import argparse
import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "integration"))
from harness import SANITIZER, SLOW, enter_namespaces, shell
from secure_packages import go

KEY = "000102030405060708090a0b0c0d0e0f"
HELLO = "hello, peer"
IDENTITIES = {
    "zero bytes": "00112200445566770099aabbccddee00",
    "nothing but zeros": "00" * 16,
    "text, then a UUID": b"oic.sec.doxm.rdp:".hex() + "cebfb2e9f50d42565947cf6a4e1c9950",
    "text": b"oic.sec.doxm.rdp".hex(),
}
PSK, ANONYMOUS = "c037", "ff00"
PORT, RELAY = 5810, 5811


def in_c(name, suites=(PSK,)):
    """A program of secure_client.h."""

    def argv(build, port, suite, identity, key, encrypt_then_mac):
        keys = ["-i", identity, "-k", key] if suite == PSK else []
        return [str(build / f"tests/peers/secure_{name}"), *([] if encrypt_then_mac else ["-m"]), "-s", suite, *keys, "127.0.0.1", str(port), "/a"]

    return argv, suites


def in_go(build, port, suite, identity, key, encrypt_then_mac):
    program, _ = go()
    return [str(program), "-state", "go.json", "ask", f"coaps://127.0.0.1:{port}", identity, key if suite == PSK else "-", "/a"]


# How each is asked, its suites, whether it can encrypt before the MAC, what identities it can carry, and how many of a
# hundred datagrams are lost: more patience is needed with who waits twice as long each time.
CLIENTS = {
    "GnuTLS": (*in_c("gnutls"), "both", IDENTITIES, (0, 3)),
    "mbedTLS": (*in_c("mbedtls"), "both", IDENTITIES, (0, 3, 10)),
    "libssl": (*in_c("libssl"), "both", ["text"], (0, 3, 10, 25)),
    "pion": (in_go, (PSK, ANONYMOUS), "mac first", IDENTITIES, (0, 3, 10)),
    "ours": (*in_c("engine", (PSK, ANONYMOUS)), "both", IDENTITIES, (0, 25)),
}


class Failure(Exception):
    pass


@contextlib.contextmanager
def running(argv, ready, cwd, stdin=subprocess.DEVNULL):
    log = open(pathlib.Path(cwd) / f"{pathlib.Path(argv[0]).name}.log", "w+b")
    process = subprocess.Popen(argv, stdin=stdin, stdout=log, stderr=subprocess.STDOUT, cwd=cwd)

    def text():
        return (pathlib.Path(cwd) / log.name).read_text(errors="replace")

    try:
        end = time.monotonic() + 10 * SLOW
        while ready not in text():
            if process.poll() is not None or time.monotonic() > end:
                raise Failure(f"{argv} does not come up: {text()}")
            time.sleep(0.02)
        yield process, text
    finally:
        process.terminate()
        process.wait()
        log.close()
        if SANITIZER.search(text()):
            raise Failure(text())


def ask(argv, cwd):
    """Its lines."""
    result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * SLOW, cwd=cwd)
    if SANITIZER.search(result.stderr):
        raise Failure(result.stderr)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    if not lines:
        raise Failure(f"{argv}: status {result.returncode}, {result.stderr}")
    return lines


def answered(lines):
    if lines[-1].get("payload") != HELLO.encode().hex():
        raise Failure(f"no answer: {lines}")


def refused(lines):
    if "error" not in lines[-1] or any("code" in line for line in lines):
        raise Failure(f"let in: {lines}")


def relayed(loss, seed, directory):
    if not loss:
        return contextlib.nullcontext()
    return running([sys.executable, str(HERE / "secure_relay.py"), str(RELAY), str(PORT), str(loss), str(seed)], "ready", directory)


def client_cases(build, directory):
    """(name, function) of each."""
    for name, (command, suites, macs, identities, losses) in CLIENTS.items():
        for suite in suites:
            for what in identities if suite == PSK else [None]:
                for encrypt_then_mac in (False, True) if macs == "both" else (False,):
                    for loss in losses if what in (None, next(iter(identities))) and not encrypt_then_mac else (0,):
                        identity = IDENTITIES.get(what, "")

                        def one(command=command, suite=suite, identity=identity, encrypt_then_mac=encrypt_then_mac, loss=loss):
                            serve = [str(build / "tests/peers/secure_serve"), str(PORT), suite, KEY, identity]
                            with running(serve, "ready", directory) as (_, said), relayed(loss, 7, directory):
                                for _ in range(3 if loss else 1):
                                    answered(ask(command(build, RELAY if loss else PORT, suite, identity, KEY, encrypt_then_mac), directory))
                                opened = [json.loads(line) for line in said().splitlines() if "opened" in line]
                                if not opened or any(o != {"opened": suite, "identity": identity} for o in opened):
                                    raise Failure(f"the server saw {opened}")

                        yield f"{name}, {suite}{f', {what}' if what else ''}{', encrypt then MAC' if encrypt_then_mac else ''}{f', {loss} % lost' if loss else ''}", one
        if PSK in suites:

            def wrong(command=command):
                serve = [str(build / "tests/peers/secure_serve"), str(PORT), PSK, KEY, IDENTITIES["text"]]
                with running(serve, "ready", directory) as (_, said):
                    refused(ask(command(build, PORT, PSK, IDENTITIES["text"], "ff" + KEY[2:], False), directory))
                    refused(ask(command(build, PORT, PSK, IDENTITIES["text"] + "41", KEY, False), directory))
                    if "opened" in said():
                        raise Failure("the server let it in")

            yield f"{name}, not our key and not our name", wrong


def libssl_serves(directory, key):
    """openssl's server; what it says when a session is up is what it is told here: our answer to the only request."""
    argv = ["openssl", "s_server", "-dtls1_2", "-mtu", "1280", "-accept", str(PORT), "-nocert", "-psk", key, "-cipher", "ECDHE-PSK-AES128-CBC-SHA256"]
    return running(argv, "ACCEPT", directory, stdin=subprocess.PIPE)


def server_cases(build, directory):
    answer = bytes.fromhex("624512345ec0ff") + HELLO.encode()

    def openssl(encrypt_then_mac, loss, key=KEY, seed=0):
        command = CLIENTS["ours"][0]
        with libssl_serves(directory, key) as (server, said), relayed(loss, seed, directory):
            argv = command(build, RELAY if loss else PORT, PSK, IDENTITIES["text"], KEY, encrypt_then_mac)
            client = subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd=directory)
            end = time.monotonic() + 40 * SLOW
            while client.poll() is None and "CIPHER is" not in said() and time.monotonic() < end:
                time.sleep(0.02)
            for _ in range(40):  # some get lost
                with contextlib.suppress(BrokenPipeError):
                    server.stdin.write(answer)
                    server.stdin.flush()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    client.wait(0.3)
                    break
            client.terminate()
            return [json.loads(line) for line in client.communicate()[0].splitlines()]

    for loss in (0, 3, 10, 25):
        for encrypt_then_mac in (False, True):
            yield (
                f"openssl's server{', encrypt then MAC' if encrypt_then_mac else ''}{f', {loss} % lost' if loss else ''}",
                lambda encrypt_then_mac=encrypt_then_mac, loss=loss: [answered(openssl(encrypt_then_mac, loss, seed=seed)) for seed in range(5 if loss else 1)],
            )
    yield "openssl's server with another key", lambda: refused(openssl(False, 0, "ff" + KEY[2:]))


def why_not(name, build):
    if name.startswith("pion"):
        return go()[1]
    if name.startswith("openssl"):
        return None if shutil.which("openssl") else "openssl is not installed"
    program = {"GnuTLS": "gnutls", "mbedTLS": "mbedtls"}.get(name.split(",")[0])
    return f"{name.split(',')[0]} was not there when this was built" if program and not (build / f"tests/peers/secure_{program}").exists() else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("role", choices=["client", "server"])
    parser.add_argument("--build", default=os.environ.get("MESON_BUILD_ROOT", "."))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    build = pathlib.Path(options.build).resolve()
    go()  # while there is a network
    enter_namespaces()
    shell("ip link set lo up")
    directory = pathlib.Path(tempfile.mkdtemp(prefix="ocfd-secure-"))
    failed = n = 0
    try:
        for name, function in (client_cases if options.role == "client" else server_cases)(build, directory):
            if options.only not in name:
                continue
            n += 1
            why = why_not(name, build)
            if why and os.environ.get("CI") != "true":
                print(f"ok {n} - {name} # SKIP {why}", flush=True)
                continue
            began = time.monotonic()
            try:
                if why:
                    raise Failure(why)
                function()
                print(f"ok {n} - {name} # {time.monotonic() - began:.1f} s", flush=True)
            except (Failure, OSError, ValueError, subprocess.TimeoutExpired) as error:
                failed += 1
                print(f"not ok {n} - {name}", *str(error)[:1500].splitlines(), sep="\n#   ", flush=True)
        print(f"1..{n}")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
