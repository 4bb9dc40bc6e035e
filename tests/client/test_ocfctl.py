"""ocfctl as scripts use it: exit codes, JSON, what goes to which output; against the real daemon, and none."""
import json
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "integration"))

from dbus_wire import BusError
from harness import BUS_CONFIG, SLOW, SOURCE, Network, equal, eventually, main, test

COMMANDS = ["status", "apps", "resources", "serve", "get", "set", "observe", "monitor", "owner", "reset", "pin", "cred", "acl", "audit", "sessions", "store", "doctor"]


def run(w, *args, stdin="", env=None, bus=True, **more):
    argv = [str(w.programs["ocfctl"]), *(["--bus", w.address] if bus else []), *map(str, args)]
    return subprocess.run(argv, input=stdin, capture_output=True, text=True, errors="replace", timeout=20 * SLOW, env={**os.environ, **(env or {})}, **more)


def documented(text, value):
    """Every name in the JSON is one of ocfctl(1); below "value" and "changed" stand those of the resource."""
    if isinstance(value, dict):
        for key, item in value.items():
            assert re.search(rf"\b{key}\b", text), f"ocfctl(1) does not know {key!r}"
            if key not in ("value", "changed"):
                documented(text, item)
    elif isinstance(value, list):
        for item in value:
            documented(text, item)


PAGE = (SOURCE / "man/ocfctl.1").read_text().partition(".SH JSON")[2]


def lines(process):
    return [json.loads(line) for line in process.output().splitlines() if line.startswith("{")]


@test()
def ocfctl_options(w):
    equal(run(w, "--help").returncode, 0)
    text = run(w, "--help").stdout
    for command in COMMANDS:
        assert re.search(rf"^  {command} ", text, re.MULTILINE), command
        result = run(w, command, "--help")
        equal((result.returncode, result.stderr), (0, ""), command)
        assert result.stdout.startswith(f"usage: ocfctl {command} "), result.stdout
        assert "--json" in result.stdout and "--bus" in result.stdout, result.stdout
        equal(run(w, command, "-h").stdout, result.stdout)
    assert re.fullmatch(r"ocfctl \d+\.\d+\.\d+\n", run(w, "--version").stdout)

    wrong = [
        (["conjure"], 'no command "conjure"'),
        (["get"], "[DEVICE] HREF"),
        (["get", "/a", "/b"], '"/b" is one argument too many'),
        (["get", "1", "/a", "/b"], "too many"),
        (["get", "lamp"], "begins with"),
        (["get", "/a", "--if", "oic.if.a", "--if", "oic.if.s"], "once"),
        (["get", "/a", "--rt", "x"], "unknown option"),
        (["--frobnicate", "status"], "unknown option --frobnicate"),
        (["status", "-x"], "unknown option -x"),
        (["status", "--timeout"], "--timeout wants a value"),
        (["status", "--timeout", "soon"], "seconds"),
        (["status", "--timeout", "0"], "seconds"),
        (["status", "--timeout", "61"], "60"),
        (["status", "--timeout", "nan"], "seconds"),
        (["status", "--bus", ""], "--bus"),
        (["status", "now"], '"now" is one argument too many'),
        (["set", "/a"], "it wants"),
        (["set", "1", "/a"], "key=value"),
        (["set", "/a", "value"], '"value" is not key=value'),
        (["set", "/a", "=1"], "is not key=value"),
        (["set", "/a", ":=1"], "is not key=value"),
        (["set", "/a", "x:=nonsense"], "no JSON"),
        (["set", "/a", 'x:={"a":1,"a":2}'], "no JSON"),
        (["set", "/a", b"x=\xff".decode("utf-8", "surrogateescape")], "UTF-8"),
        (["serve", "/a"], "--rt"),
        (["serve", "a", "--rt", "x.y"], "begins with"),
        (["serve", "/a", "--rt", "x.y", "--linger", "601"], "600"),
        (["serve", "/a", *["--rt", "x.y"] * 17], "16 times"),
        (["monitor", "lamp"], "begins with"),
        (["cred"], "it wants list"),
        (["cred", "show"], "is not list"),
        (["acl", "show"], "not list, check, add or remove"),
        (["acl", "check", "anon-clear", "get"], "SUBJECT METHOD HREF"),
        (["store", "mend"], "is not check"),
        (["store", "backup"], "wants a FILE"),
        (["store", "check", "x"], "wants no FILE"),
        (["store", "restore", "x"], "--yes"),
        (["pin", "--yes"], "unknown option"),
    ]
    for args, words in wrong:
        result = run(w, *args)
        equal((result.returncode, result.stdout), (2, ""), f"{args}: {result.stderr}")
        assert words in result.stderr, f"{args}: {result.stderr}"
        assert "Try: ocfctl" in result.stderr, result.stderr


@test()
def ocfctl_without_a_daemon(w):
    for bus in (w.address, "unix:path=/nonexistent", "nonsense"):
        for args in (["status"], ["get", "/a"], ["apps"], ["resources"], ["set", "/a", "x=1"], ["observe", "/a"], ["monitor"]):
            result = run(w, "--bus", bus, *args, bus=False)
            equal((result.returncode, result.stdout), (6, ""), f"{bus} {args} {result.stderr}")
    result = run(w, "status", bus=False, env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/nonexistent"})
    assert result.returncode == 6 and "the system bus cannot be reached" in result.stderr, result.stderr
    assert "Hint:" in result.stderr and "Hint:" not in run(w, "-q", "status").stderr
    equal(run(w, "--bus", "unix:nonsense=x", "status", bus=False).returncode, 2)

    w.start_bus()
    for args in (["status"], ["get", "/a"], ["apps"], ["resources"], ["set", "/a", "x=1"], ["observe", "/a"], ["monitor"]):
        result = run(w, *args)
        equal((result.returncode, result.stdout), (6, ""), f"{args} {result.stderr}")
        assert "ocfd is not running on" in result.stderr, result.stderr
    result = run(w, "status", bus=False, env={"DBUS_SYSTEM_BUS_ADDRESS": w.address})
    equal((result.returncode, "systemctl start ocfd" in result.stderr), (6, True), result.stderr)

    # one that is there, and says nothing
    mute = w.connect()
    mute.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "RequestName", "su", "org.ocfd", 0)
    for args in (["status"], ["get", "/a"]):
        result = run(w, "--timeout", "0.2", *args)
        equal((result.returncode, "did not answer within 0.2 s" in result.stderr), (5, True), result.stderr)


@test()
def ocfctl_denied_by_the_bus(w):
    policy = '<deny send_destination="org.ocfd"/>'
    (w.directory / "denied.conf").write_text(BUS_CONFIG.format(path=f"{w.directory}/denied").replace("</policy>", policy + "</policy>"))
    w.spawn("denied-bus", "dbus-daemon", f"--config-file={w.directory}/denied.conf", "--nofork", "--nopidfile")
    eventually((w.directory / "denied").exists, "the bus is there")
    w.configure(Daemon={"Bus": f"unix:path={w.directory}/denied"})
    w.start_ocfd(on_bus=False)
    address = f"unix:path={w.directory}/denied"

    def result():
        return run(w, "--bus", address, "status", bus=False)

    eventually(lambda: result().returncode == 4, "the bus says no")
    assert "group ocf" in result().stderr, result().stderr
    denied = run(w, "--bus", address, "serve", "/a", "--rt", "x.y", bus=False)
    equal((denied.returncode, "group ocf" in denied.stderr), (4, True), denied.stderr)


@test()
def ocfctl_json_of_what_is_there(w):
    Network(w)
    w.start()
    w.serve("/a", "x=1", options=["--name", "A thing"])
    hidden = w.connect()
    hidden.register({"/b": {"rt": ["x.b"], "value": {}}}, name="hidden")

    status = w.ocfctl_json("status")
    equal(status["pid"], w.ocfd.pid)
    assert re.fullmatch(r"\d+\.\d+\.\d+", status["version"]) and 0 <= status["uptime_s"] < 100, status
    equal((status["allow_insecure"], status["applications"], status["resources"]), (True, 2, 2))
    device = status["devices"][0]
    equal((device["name"], device["owned"], device["path"]), ("Test gateway", False, "/org/ocfd/device/0"))
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}", device["device_id"]) and device["piid"], device
    assert any(e.startswith("coap://192.0.2.1:") for e in device["endpoints"]), device
    links = {i["name"]: i for i in status["interfaces"]}
    assert links["eth0"]["used"] and "192.0.2.1" in links["eth0"]["addresses"] and links["eth0"]["reason"] == "", links
    assert all({"id", "text"} == set(n) for n in status["notices"]), status["notices"]

    apps = {a["name"]: a for a in w.ocfctl_json("apps")["applications"]}
    equal(set(apps), {"ocfctl serve /a", "hidden"})
    equal((apps["hidden"]["state"], apps["hidden"]["uid"], apps["hidden"]["resources"]), ("present", os.getuid(), ["/b"]))

    resources = {r["href"]: r for r in w.ocfctl_json("resources")["resources"]}
    equal(set(resources), {"/a", "/b"})
    a, b = resources["/a"], resources["/b"]
    equal((a["name"], a["types"], a["application"], a["mode"]), ("A thing", ["x.test"], "ocfctl serve /a", "published"))
    equal((a["insecure"], a["plain"], b["insecure"], b["plain"]), (True, True, False, False))
    equal((a["device"], a["available"], a["discoverable"], a["observable"]), ("/org/ocfd/device/0", True, True, True))
    assert "oic.if.a" in a["interfaces"], a
    assert "/oic/d" in {r["href"] for r in w.ocfctl_json("resources", "--all")["resources"]}

    for command in ("status", "apps", "resources"):
        documented(PAGE, w.ocfctl_json(command))

    # what people get: aligned, nothing but data on standard output
    text = w.ocfctl("status")
    assert "Test gateway" in text and device["device_id"] in text and "eth0" in text, text
    table = w.ocfctl("resources").splitlines()
    equal(table[0].split()[0], "HREF")
    equal(len({row.index("x.") for row in table[1:]} | {table[0].index("TYPES")}), 1, table)
    assert not any(line.startswith("HREF") for line in w.ocfctl("resources", "--no-legend").splitlines())
    assert "\033" not in text, "colours, and no terminal"

    # devices by number, path, id, beginning of the id, name
    for name in ("0", "/org/ocfd/device/0", device["device_id"], device["device_id"][:8], "Test gateway", "/"):
        equal(w.ocfctl_json("get", "/a", "--device", name)["x"], 1)
        if name != "/" and not name.startswith("/"):
            equal(w.ocfctl_json("get", name, "/a")["x"], 1)
    for args in (["get", "/a", "--device", "nobody"], ["resources", "--device", "nobody"]):
        result = run(w, *args)
        equal((result.returncode, "there is no device" in result.stderr), (3, True), result.stderr)
    result = run(w, "get", "7", "/a")  # may be one on the network
    equal((result.returncode, "ocfctl discover" in result.stderr), (3, True), result.stderr)


@test()
def ocfctl_get_and_set(w):
    w.start()
    w.serve("/a", "on=true", "n=5", "t=21.5", "text=hello world", "none=null", 'list:=[1,"two"]', 'quoted:="7"', "empty=", "minus=-3", "word=nothing", "e=1e3")
    expected = {"on": True, "n": 5, "t": 21.5, "text": "hello world", "none": None, "list": [1, "two"], "quoted": "7", "empty": "", "minus": -3, "word": "nothing", "e": 1000.0}
    equal(w.ocfctl_json("get", "/a"), expected)
    equal(list(w.ocfctl_json("get", "/a")), list(expected), "the order of keys")
    assert "on: true\n" in w.ocfctl("get", "/a") and "text: hello world\n" in w.ocfctl("get", "/a")
    assert w.ocfctl_json("get", "/a", "--if", "oic.if.baseline")["rt"] == ["x.test"]
    equal(w.ocfctl_json("set", "/a", "n=6", "t=22")["n"], 6)
    equal(run(w, "get", "/a", "--json").stdout.count("22.0"), 1, "a number stays one with a fraction")
    assert w.ocfctl_json("get", "/oic/res?x"[:8])  # the core resources, too
    failures = [
        (["get", "/none"], 3, "no such resource"),
        (["set", "/oic/d", "n=x"], 1, ""),
        (["get", "/a", "--if", "oic.if.none"], None, ""),
        (["set", "/a", "--if", "oic.if.baseline", "x=1"], None, ""),
    ]
    for args, code, words in failures:
        result = run(w, *args)
        if code is not None:
            equal(result.returncode, code, f"{args} {result.stderr}")
            assert words in result.stderr and not result.stdout, result
    mute = w.connect()
    mute.handlers["Handle"] = lambda m: None
    mute.register({"/mute": {"rt": ["x.test"], "handler": "/h"}})
    result = w.spawn("get", w.programs["ocfctl"], "--bus", w.address, "--timeout", "0.3", "get", "/mute")
    eventually(lambda: mute.pump(0.05) or not result.runs(), "the handler is asked, or it is over")
    equal(result.wait(), 5)

    def refuse(m):
        raise BusError("org.ocfd.Error.Forbidden", "not \033[31mtoday")

    mute.handlers["Handle"] = refuse
    result = w.spawn("get", w.programs["ocfctl"], "--bus", w.address, "get", "/mute")
    eventually(lambda: mute.pump(0.05) and False or not result.runs(), "it is over")
    equal(result.wait(), 4)
    assert "\033" not in result.output(), "an app's words shall not speak to the terminal"


@test()
def ocfctl_serve(w):
    w.start()
    served = w.serve("/a", "x=1", "name=first")
    served.write("x=2")
    eventually(lambda: w.ocfctl_json("get", "/a")["x"] == 2, "a line is published")
    served.write("name=two words")
    served.write("")
    served.write("nonsense")
    served.write('{"x": 3, "deep": {"a": [null]}}')
    eventually(lambda: w.ocfctl_json("get", "/a") == {"x": 3, "name": "two words", "deep": {"a": [None]}}, "JSON is published")
    assert '"nonsense" is not key=value' in served.output(), served.output()
    w.ocfctl("set", "/a", "x=9", "name=new words")
    served.says(r"^updated name=new words x=9$|^updated x=9 name=new words$")
    w.ocfd.kill()
    w.start_ocfd()
    eventually(lambda: run(w, "get", "/a").returncode == 0, "it is back")
    equal(w.ocfctl_json("get", "/a")["x"], 9, "with what was set last")
    served.says("^waiting: ")
    served.popen.stdin.close()  # without input it goes on
    w.stop_bus()
    w.start_bus()
    eventually(lambda: run(w, "get", "/a").returncode == 0, "it is back on a new bus", 30)
    served.popen.terminate()
    equal(served.wait(), 0)
    equal(run(w, "get", "/a").returncode, 3)

    # the last line may have no end, and JSON is a line each
    result = w.spawn("serve-json", "sh", "-c", f"printf 'x=5' | {w.programs['ocfctl']} --bus {w.address} --json serve /b --rt x.y x=1")
    eventually(lambda: run(w, "get", "/b").returncode == 0 and w.ocfctl_json("get", "/b")["x"] == 5, "it is published")
    w.ocfctl("set", "/b", "x=6")
    eventually(lambda: any(line["event"] == "updated" for line in lines(result)), "it is told")
    told = lines(result)
    documented(PAGE, told)
    assert {"event": "state", "state": "registered", "text": ""} in told, told
    assert {"event": "updated", "href": "/b", "changed": {"x": 6}, "value": {"x": 6}} in told, told

    # refused from the beginning
    w.serve("/taken", "x=1")
    for href, words in (("/taken", "ocfctl serve /taken"), ("/oic/mine", "/oic"), ("/a//b", "/a//b")):
        result = run(w, "serve", href, "--rt", "x.y")
        equal((result.returncode, words in result.stderr), (1, True), result.stderr)
        quiet = run(w, "-q", "--json", "serve", href, "--rt", "x.y")
        equal((quiet.returncode, words in quiet.stderr), (1, True), quiet.stderr)
    equal(run(w, "serve", "/x", "--rt", "x.y", "--device", "nobody").returncode, 3)


@test()
def ocfctl_serve_begins_before_the_daemon(w):
    served = w.spawn("serve", w.programs["ocfctl"], "--bus", w.address, "serve", "/a", "--rt", "x.y", "x=1")
    served.says("^waiting: ")
    w.start()
    eventually(lambda: run(w, "get", "/a").returncode == 0, "it is registered", 20)
    assert served.runs()


@test()
def ocfctl_observe(w):
    w.start()
    served = w.serve("/a", "x=1")
    for words, see in ((["observe", "/a"], r"^x={}$"), (["observe", "/a", "--json"], r'^{{"href":"/a","value":{{"x":{}}}}}$')):
        served.write("x=1")
        eventually(lambda: w.ocfctl_json("get", "/a")["x"] == 1, "published")
        process = w.spawn("observe", w.programs["ocfctl"], "--bus", w.address, *words)
        process.says(see.format(1))
        served.write("x=2")
        process.says(see.format(2))
        w.ocfd.kill()
        process.says("ocfd went away")
        w.start_ocfd()
        served.write("x=3")
        process.says(see.format(3), 20)
        assert process.runs()
    result = run(w, "observe", "/none")
    equal((result.returncode, "no such resource" in result.stderr), (3, True), result.stderr)


@test()
def ocfctl_monitor(w):
    w.start()
    served = w.serve("/a", "x=1")
    people = w.spawn("monitor", w.programs["ocfctl"], "--bus", w.address, "monitor")
    program = w.spawn("monitor-json", w.programs["ocfctl"], "--bus", w.address, "monitor", "--json")
    only = w.spawn("monitor-only", w.programs["ocfctl"], "--bus", w.address, "monitor", "/c")

    def told(**wanted):
        return [e for e in lines(program) if wanted.items() <= e.items()]

    people.says(r"\d\d:\d\d:\d\d   /a x=1$")
    eventually(lambda: told(event="value", href="/a", value={"x": 1}), "the value now")
    equal(told(event="added", kind="resource", href="/a")[0]["types"], ["x.test"])
    assert told(event="added", kind="application", name="ocfctl serve /a")[0]["pid"] == served.pid
    w.ocfctl("set", "/a", "x=2")
    people.says(r" /a x=2$")
    eventually(lambda: told(event="value", href="/a", value={"x": 2}), "the new value")

    app = w.connect()
    app.register({"/c": {"rt": ["x.c"], "value": {"c": 1}}}, name="lingerer", linger_ms=20000)
    people.says(r"\+ /c$")
    only.says(r" /c c=1$")
    app.close()
    people.says("/c is away")
    w.connect().register({"/c": {"rt": ["x.c"], "value": {"c": 2}}}, name="lingerer", linger_ms=20000)
    people.says("/c is back")
    only.says(r" /c c=2$")
    served.popen.terminate()
    people.says(r"- /a$")
    eventually(lambda: told(event="removed", href="/a"), "it is told")
    w.ocfd.kill()
    people.says(r"- ocfd$")
    w.start_ocfd()
    people.says(r"\+ ocfd$")
    assert told(event="removed", kind="daemon") and eventually(lambda: told(event="added", kind="daemon"), "it is back")
    documented(PAGE, lines(program))
    equal(lines(only), [])
    assert "/a" not in only.output(), only.output()


if __name__ == "__main__":
    main()
