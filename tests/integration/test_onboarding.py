"""The secure device in the hands of strangers: owned, used and given back by an onboarding tool on another host, and asked
by clients of other libraries. Nobody here but ocfd is of this project's engine: the tool is tests/peers/secure_go (go-coap
and pion), the clients stand behind GnuTLS, mbedTLS and libssl."""
import json
import os
import re
import subprocess
import sys

from harness import SANITIZER, SLOW, SOURCE, Network, Skip, equal, eventually, main, raises, test

sys.path.insert(0, str(SOURCE / "tests/peers"))
import secure_packages

KEY = "000102030405060708090a0b0c0d0e0f"
PEER = "00112200-4455-4677-8099-aabbccddee00"  # its bytes begin and end with a zero, and there are more between
FULL = "11223344-5566-4777-8899-aabbccddeeff"  # and one without any
SUITES = ["c0ae", "c0ac", "c0af", "c0ad", "c02b", "c02c", "c023", "c024"]


def without(what):
    if os.environ.get("CI") == "true":
        raise AssertionError(what)
    raise Skip(what)


class Refused(AssertionError):
    pass


class Tool:
    """The onboarding tool, on the other host, or on ours where it needs no network."""

    def __init__(self, w, host=None, name="tool"):
        self.w, self.host = w, host
        self.program, why = secure_packages.go()
        if why:
            without(f"the onboarding tool cannot be built: {why}")
        self.state = w.directory / f"{name}.json"

    def __call__(self, *args, **options):
        """Its lines; an error is an exception."""
        options = [part for key, value in {"state": self.state, "family": "IPv4", **options}.items() for part in (f"-{key}", str(value))]
        argv = [str(self.program), *options, *map(str, args)]
        if self.host:
            argv = self.host.command(argv)
        result = subprocess.run(argv, capture_output=True, text=True, timeout=90 * SLOW, stdin=subprocess.DEVNULL)
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        if result.returncode or not lines and args[0] not in ("discover", "factory", "delete"):
            raise Refused("\n".join([" ".join(map(str, args)), result.stdout, result.stderr]))
        return lines

    def unowned(self, **more):
        return [line["device"] for line in self("discover", "false", seconds=3 * SLOW, **more)]  # answers take up to 2

    def own(self, device, *more, **options):
        """Return: the steps as they were answered."""
        lines = self("own", device, *more, seconds=5 * SLOW, **options)
        equal(lines[-1]["owned"], device)
        return [(line["over"], line["step"], line["code"]) for line in lines if "step" in line]

    def derive(self, device):
        """Takes it over in the reference's order. Return: its new name."""
        return self("derive", device, seconds=5 * SLOW)[-1]["owned"]

    def ask(self, verb, device, *args, **options):
        return self(verb, device, *args, **options)[-1]

    def ends(self, device):
        """(port of DTLS, port of TLS)."""
        known = json.loads(self.state.read_text())["Devices"][device]
        return [end.rpartition(":")[2] for end in (known["Secured"], known["SecuredTCP"])]

    @property
    def owner(self):
        return self("identity")[0]["owner"]


def start(w, **security):
    host = Network(w)
    w.configure(Security=security)
    w.start()
    w.lamp()
    tool = Tool(w, host)
    [device] = eventually(tool.unowned, "an unowned device is discovered", 20)
    return tool, device


def client(tool, library, *args):
    """A client of tests/peers/secure_client.h on the other host: what was agreed, and the answer."""
    program = tool.w.build / f"tests/peers/secure_{library}"
    if not program.exists():
        without(f"{library} was not there when this was built")
    argv = tool.host.command([str(program), *map(str, args)])
    result = subprocess.run(argv, capture_output=True, text=True, timeout=60 * SLOW, stdin=subprocess.DEVNULL)
    assert not SANITIZER.search(result.stderr), result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    if result.returncode:
        raise Refused(f"{argv}: {lines} {result.stderr}")
    return lines


def used(w, tool, device):
    """Reads, sets and observes the lamp, which is an app's, by the owner's key. Return: what it is left at."""
    before = tool.ask("get", device, "/lamp")["body"]["value"]
    equal(tool.ask("post", device, "/lamp", json.dumps({"value": not before}))["answer"], "2.04")
    equal(tool.ask("get", device, "/lamp")["body"]["value"], not before)
    observer = w.spawn("observer", tool.program, "-state", tool.state, "-seconds", "30", "observe", device, "/lamp", 3, network=tool.host)
    observer.says(r'"value":' + str(not before).lower())
    for i, value in enumerate((before, not before)):
        equal(tool.ask("post", device, "/lamp", json.dumps({"value": value}))["answer"], "2.04")
        eventually(lambda: observer.output().count('"observed"') == i + 2, f"notification {i + 1}")
    equal(observer.wait(), 0, "the observer")
    return not before


@test()
def owned_by_just_works_used_and_given_back(w):
    tool, device = start(w)
    steps = tool.own(device)
    equal({code for _, step, code in steps if step.startswith("POST")}, {"2.04"}, str(steps))
    equal({over for over, _, _ in steps}, {"none", "anonymous", "psk"})
    equal(tool.unowned(), [], "unowned devices")
    for how in ("psk", "certificate"):
        equal(tool.ask("get", device, "/lamp", **{"with": how})["answer"], "2.05", how)
    pstat = tool.ask("get", device, "/oic/sec/pstat")["body"]
    equal((pstat["dos"]["s"], pstat["isop"], pstat["rowneruuid"]), (3, True, tool.owner))
    equal(tool.ask("get", device, "/oic/sec/doxm")["body"]["devowneruuid"], tool.owner)
    value = used(w, tool, device)
    # what it is given outlives the daemon
    w.stop_ocfd()
    w.start_ocfd()
    eventually(lambda: w.is_registered("/lamp"), "the lamp is back")
    equal(tool.ask("get", device, "/lamp")["body"]["value"], value)
    equal(tool.unowned(), [], "unowned devices after a restart")
    tool("disown", device)
    [again] = eventually(tool.unowned, "it is unowned again", 20)
    assert again != device, "a device that was reset has another name"
    tool.own(again)
    equal(tool.ask("get", again, "/lamp")["answer"], "2.05")


@test()
def owned_in_the_order_of_the_reference(w):
    """No key is sent: both sides derive the owner's out of the session. Its owner may do nothing with an app's resource but
    what an entry says."""
    tool, before = start(w)
    device = tool.derive(before)
    assert device != before, "it took the name that it was given"
    equal(tool.unowned(), [], "unowned devices")
    pstat = tool.ask("get", device, "/oic/sec/pstat")["body"]
    equal((pstat["dos"]["s"], pstat["isop"], pstat["rowneruuid"]), (3, True, tool.owner))
    [cred] = tool.ask("get", device, "/oic/sec/cred")["body"]["creds"]
    equal((cred["subjectuuid"], cred["credtype"], cred["privatedata"]["data"]), (tool.owner, 1, {"hex": ""}))
    equal(tool.ask("get", device, "/lamp")["answer"], "4.01")
    tool("ace", device, "auth-crypt", 2, "/lamp")
    equal(tool.ask("get", device, "/lamp")["answer"], "2.05")
    equal(tool.ask("post", device, "/lamp", '{"value": true}')["answer"], "4.01")
    tool("ace", device, tool.owner, 22, "/lamp")
    value = used(w, tool, device)
    w.stop_ocfd()
    w.start_ocfd()
    eventually(lambda: w.is_registered("/lamp"), "the lamp is back")
    equal(tool.ask("get", device, "/lamp")["body"]["value"], value, "after a restart")
    w.ocfd.kill()
    w.start_ocfd()
    eventually(lambda: w.is_registered("/lamp"), "the lamp is back")
    equal(tool.ask("get", device, "/lamp")["body"]["value"], value, "after its sudden end")
    equal(tool.unowned(), [], "unowned devices")
    tool("disown", device)
    [again] = eventually(tool.unowned, "it is unowned again", 20)
    assert again not in (before, device), "a device that was reset has another name"
    raises(Refused, tool, "ask", f"coaps://{tool.host.ours}:5684", tool.owner, KEY, "/oic/d")
    equal(tool.ask("get", tool.derive(again), "/oic/d")["answer"], "2.05")


@test()
def owned_and_observed_over_ipv6(w):
    tool, device = start(w)
    eventually(lambda: tool.unowned(family="IPv6"), "it is discovered over IPv6", 20)
    steps = tool.own(device, family="IPv6")
    equal({over for over, _, _ in steps}, {"none", "anonymous", "psk"})
    known = json.loads(tool.state.read_text())["Devices"][device]
    assert "://[fd00" in known["Secured"] and "://[fd00" in known["SecuredTCP"], known
    value = used(w, tool, device)
    for scheme in ("coaps", "coaps+tcp"):
        equal(tool.ask("get", device, "/lamp", scheme=scheme, **{"with": "certificate"})["body"]["value"], value, scheme)
    tool("disown", device)
    eventually(lambda: tool.unowned(family="IPv6"), "it is unowned again", 20)


@test()
def observed_over_tls(w):
    tool, device = start(w)
    tool.own(device)
    options = ["-state", tool.state, "-seconds", "30", "-scheme", "coaps+tcp", "-with", "certificate"]
    observer = w.spawn("observer", tool.program, *options, "observe", device, "/lamp", 4, network=tool.host)
    observer.says('"value":')
    for i, value in enumerate((True, False, True)):
        equal(tool.ask("post", device, "/lamp", json.dumps({"value": value}))["answer"], "2.04")
        eventually(lambda: observer.output().count('"observed"') == i + 2, f"notification {i + 1}")
    equal(re.findall('"value":([a-z]+)', observer.output())[-3:], ["true", "false", "true"])
    equal(observer.wait(), 0, "the observer")
    # who may no more is told that it is over, over TLS as well
    observer = w.spawn("observer", tool.program, *options, "observe", device, "/lamp", 4, network=tool.host)
    observer.says('"value":')
    tool("disown", device)
    assert observer.wait() != 0, observer.output()
    assert "ended" in observer.output() or "5.03" in observer.output(), observer.output()


@test()
def a_role_of_another_library(w):
    """A peer that nothing is granted to shows a certificate of its role, over DTLS and TLS; then it may, until it takes the
    role back. What is wrong with a certificate makes it nothing."""
    tool, device = start(w)
    tool.own(device)
    keeper = Tool(w, tool.host, "keeper")
    keeper("identity")
    theirs, ours = (json.loads(t.state.read_text()) for t in (keeper, tool))
    keeper.state.write_text(json.dumps({**ours, "Owner": theirs["Owner"], "Key": theirs["Key"]}))
    tool("trust", device, "*")
    tool("ace", device, "role:keeper@house", 22, "/lamp")
    tool("ace", device, "role:guest", 2, "/lamp")
    for scheme in ("coaps", "coaps+tcp"):
        for role, forgery, wanted in (
            ("keeper@house", "-", ["4.01", "2.04", "2.05", "2.04", "2.02", "4.01"]),
            ("keeper@garden", "-", ["4.01", "2.04", "2.05", "4.01", "2.02", "4.01"]),  # not of that authority
            ("keeper", "-", ["4.01", "2.04", "2.05", "4.01", "2.02", "4.01"]),
            ("guest@anywhere", "-", ["4.01", "2.04", "2.05", "4.01", "2.02", "4.01"]),  # it may read
            ("keeper@house", "authority", ["4.01", "4.00", "2.05", "4.01", "2.02", "4.01"]),
            ("keeper@house", "key", ["4.01", "4.00", "2.05", "4.01", "2.02", "4.01"]),
            ("keeper@house", "name", ["4.01", "4.00", "2.05", "4.01", "2.02", "4.01"]),
            ("keeper@house", "usage", ["4.01", "4.00", "2.05", "4.01", "2.02", "4.01"]),
        ):
            lines = keeper("role", device, role, forgery, "/lamp", '{"value": true}', scheme=scheme, **{"with": "certificate"})
            answers = [line for line in lines if "answer" in line]
            equal([line["answer"] for line in answers], wanted, f"{scheme} {role} {forgery}")
            shown = answers[2]["body"]["roles"]
            equal(len(shown), int(wanted[1] == "2.04"), f"roles of {role} {forgery}")
    # a role is of the session that has shown it
    equal(keeper.ask("get", device, "/lamp", **{"with": "certificate"})["answer"], "4.01")


@test()
def owned_by_manufacturer_certificate(w):
    files = w.directory / "factory"
    files.mkdir()
    Tool(w)("factory", files)
    tool, device = start(w, ManufacturerCertificate=files / "device.pem", ManufacturerKey=files / "device.key")
    other = w.directory / "other"
    other.mkdir()
    tool("factory", other)
    raises(Refused, tool.own, device, files / "tool.pem", files / "tool.key", other / "root.pem")
    equal(tool.unowned(), [device], "still unowned")
    steps = tool.own(device, files / "tool.pem", files / "tool.key", files / "root.pem")
    equal({over for over, _, _ in steps}, {"none", "certificate", "psk"})
    for how in ("psk", "certificate"):
        equal(tool.ask("get", device, "/lamp", **{"with": how})["answer"], "2.05", how)
    tool("disown", device)
    [again] = eventually(tool.unowned, "it is unowned again", 20)
    # the manufacturer's certificate is not of this owner, and stays; now over TLS
    tool.own(again, files / "tool.pem", files / "tool.key", files / "root.pem", scheme="coaps+tcp")
    equal(tool.ask("get", again, "/lamp", scheme="coaps+tcp", **{"with": "certificate"})["answer"], "2.05")


@test()
def owned_by_pin(w):
    """The PIN is shown by a command of the device's; who has it not, stays outside, and the device stays as it is."""
    shown, show = w.directory / "shown", w.directory / "show"
    show.write_text(f"#!/bin/sh\ncat >{shown}.new && mv {shown}.new {shown}\n")
    show.chmod(0o755)
    tool, device = start(w, PinCommand=show)
    guess = w.directory / "guess"
    guess.write_text("00000000")
    raises(Refused, tool.own, device, guess)
    equal(tool.unowned(), [device], "still unowned")
    shown.unlink()  # of the attempt before: each has its own
    steps = tool.own(device, shown)
    equal({over for over, _, _ in steps}, {"none", "psk"})
    assert len(shown.read_text().strip()) == 8, shown.read_text()
    equal(tool.ask("get", device, "/lamp")["answer"], "2.05")


@test()
def keys_and_names_of_any_bytes(w):
    """A peer whose name has zero bytes, over DTLS and TLS, with each library that can say such a name."""
    tool, device = start(w)
    device = tool.derive(device)
    tool("psk", device, PEER, KEY)
    tool("ace", device, PEER, 2, "/lamp")
    dtls, tls = tool.ends(device)
    name = PEER.replace("-", "")
    for library in ("gnutls", "mbedtls"):
        for over, port in (((), dtls), (("-t",), tls)):
            for encrypt_then_mac in ((), ("-m",)):
                asked = (*over, *encrypt_then_mac, "-s", "c037", "-i", name, "-k", KEY, tool.host.ours, port)
                agreed, answer = client(tool, library, *asked, "/lamp")
                equal((agreed["suite"], answer["code"]), ("c037", "2.05"), f"{library} {asked}")
                equal(client(tool, library, *asked, "/oic/sec/cred")[-1]["code"], "4.01", "what it may not read")
        for wrong in (("-i", name, "-k", "ff" + KEY[2:]), ("-i", "ff" + name[2:], "-k", KEY), ("-i", "00", "-k", KEY)):
            raises(Refused, client, tool, library, "-s", "c037", *wrong, tool.host.ours, dtls, "/lamp")
    # to libssl a name is text, and a zero byte its end: one without any, over both
    tool("psk", device, FULL, KEY)
    tool("ace", device, FULL, 2, "/lamp")
    for over, port in (((), dtls), (("-t",), tls)):
        for encrypt_then_mac in ((), ("-m",)):
            asked = (*over, *encrypt_then_mac, "-s", "c037", "-i", FULL.replace("-", ""), "-k", KEY, tool.host.ours, port)
            agreed, answer = client(tool, "libssl", *asked, "/lamp")
            equal((agreed["suite"], answer["code"]), ("c037", "2.05"), f"libssl {asked}")
        raises(Refused, client, tool, "libssl", *over, "-s", "c037", "-i", FULL.replace("-", ""), "-k", "ff" + KEY[2:], tool.host.ours, port, "/lamp")
    # a name that is text to who has no others
    raises(Refused, client, tool, "libssl", "-s", "c037", "-i", PEER.encode().hex(), "-k", KEY, tool.host.ours, dtls, "/lamp")
    # a key that goes takes its peer's sessions with it, and opens none
    tool("psk", device, PEER, "ff" + KEY[2:])
    raises(Refused, client, tool, "gnutls", "-s", "c037", "-i", name, "-k", KEY, tool.host.ours, dtls, "/lamp")


@test()
def certificates_with_each_suite(w):
    tool, device = start(w)
    tool.own(device)
    files = w.directory / "files"
    files.mkdir()
    tool("identity", files)
    ours = ("-c", files / "chain.pem", "-y", files / "key.pem", "-a", files / "root.pem")
    dtls, tls = tool.ends(device)
    for library in ("gnutls", "libssl"):
        for over, port in (((), dtls), (("-t",), tls)):
            for suite in SUITES:
                agreed, answer = client(tool, library, *over, "-s", suite, *ours, tool.host.ours, port, "/lamp")
                equal((agreed["suite"], agreed["peer"], answer["code"]), (suite, f"uuid:{device}", "2.05"), f"{library} {over} {suite}")
            raises(Refused, client, tool, library, *over, "-s", "c0ae", "-a", files / "root.pem", tool.host.ours, port, "/lamp")
    # 64 KiB of a chain whose beginning would do
    (files / "long.pem").write_bytes((files / "chain.pem").read_bytes() + (files / "root.pem").read_bytes() * 150)
    for over, port in (((), dtls), (("-t",), tls)):
        long = (*over, "-s", "c0ac", "-c", files / "long.pem", "-y", files / "key.pem", "-a", files / "root.pem", tool.host.ours, port, "/lamp")
        assert "the handshake" in str(raises(Refused, client, tool, "libssl", *long))
        equal(client(tool, "libssl", *over, "-s", "c0ac", *ours, tool.host.ours, port, "/lamp")[-1]["code"], "2.05")
    # somebody else's authority, the same names
    stranger = Tool(w, tool.host, "stranger")
    theirs = w.directory / "theirs"
    theirs.mkdir()
    text = json.loads(tool.state.read_text())
    stranger("identity")
    stranger.state.write_text(json.dumps({**json.loads(stranger.state.read_text()), "Owner": text["Owner"]}))
    stranger("identity", theirs)
    for library in ("gnutls", "libssl"):
        forged = ("-c", theirs / "chain.pem", "-y", theirs / "key.pem", "-a", files / "root.pem")
        raises(Refused, client, tool, library, "-s", "c0ae", *forged, tool.host.ours, dtls, "/lamp")


@test()
def renegotiation_is_refused(w):
    """Whoever asks for another handshake within a session is told no; the session goes on where its library goes on, and
    so do all others."""
    tool, device = start(w)
    tool.own(device)
    files = w.directory / "files"
    files.mkdir()
    tool("identity", files)
    tool("psk", device, FULL, KEY)
    tool("ace", device, FULL, 2, "/lamp")
    by_key = ("-s", "c037", "-i", FULL.replace("-", ""), "-k", KEY)
    by_certificate = ("-s", "c0ac", "-c", files / "chain.pem", "-y", files / "key.pem", "-a", files / "root.pem")
    dtls, tls = tool.ends(device)
    observer = w.spawn("observer", tool.program, "-state", tool.state, "-seconds", "120", "observe", device, "/lamp", 2, network=tool.host)
    observer.says('"value":')
    went_on = set()
    for library, credentials in (("gnutls", by_key), ("gnutls", by_certificate), ("mbedtls", by_key), ("libssl", by_key), ("libssl", by_certificate)):
        for over, port in (((), dtls), (("-t",), tls)):
            try:
                _, first, again, second = client(tool, library, "-r", *over, *credentials, tool.host.ours, port, "/lamp")
                equal((first["code"], again["renegotiated"], second["code"]), ("2.05", False, "2.05"), f"{library} {over} {again['why']}")
                went_on.add(library)
            except Refused as refused:  # it takes the no for the end
                assert '"code": "2.05"' in str(refused).replace("'", '"') and "'renegotiated': False" in str(refused), refused
    assert "gnutls" in went_on, went_on
    value = tool.ask("get", device, "/lamp")["body"]["value"]
    equal(tool.ask("post", device, "/lamp", json.dumps({"value": not value}))["answer"], "2.04")
    equal(observer.wait(), 0, "the observer")


@test()
def nobody_gets_in_beside_the_owner(w):
    tool, device = start(w)
    device = tool.derive(device)
    dtls, _ = tool.ends(device)
    other = Tool(w, tool.host, "other")
    raises(Refused, other.own, device)
    raises(Refused, other.derive, device)
    raises(Refused, other, "ask", f"coaps://{tool.host.ours}:{dtls}", "00", "-", "/oic/d")
    for key in ("00" * 16, KEY):
        raises(Refused, other, "ask", f"coaps://{tool.host.ours}:{dtls}", tool.owner, key, "/oic/d")
    equal(tool.ask("get", device, "/oic/sec/pstat")["answer"], "2.05", "the owner is not disturbed")


if __name__ == "__main__":
    secure_packages.go()  # while there is a network
    main()
