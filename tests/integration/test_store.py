"""What the device remembers when the process is killed, the disk is full or read-only, or somebody changes its files: it is
in the state before or after, never without its owner by accident, and where it cannot know, it is sealed and says so."""
import os
import shutil
import subprocess
import time

from harness import equal, eventually, main, own_mounts, raises, shell, test
from test_onboarding import Refused, start

SECURITY = ("/org/ocfd/device/0", "Security1")


def security(w, name):
    return w.connect().property(*SECURITY, name)


def state(w):
    """(owned, state); it is not sealed."""
    equal(security(w, "Sealed"), "", "sealed")
    return security(w, "Owned"), security(w, "State")


def crash(w):
    w.ocfd.kill()
    w.start_ocfd()


def start_over(w):
    """A device out of the box."""
    w.ocfd.kill()
    shutil.rmtree(w.directory / "state")
    w.start_ocfd()


def begin(w, tool, *args):
    argv = [str(tool.program), "-state", str(tool.state), "-seconds", "5", *map(str, args)]
    return w.spawn("tool", *argv, network=tool.host)


def crash_under(w, running):
    """Return: whether the tool had come to its end."""
    w.ocfd.kill()
    done = running.popen.poll() == 0
    if running.runs():
        running.kill()
    w.start_ocfd()
    return done


def crash_after(w, tool, seconds, *args):
    running = begin(w, tool, *args)
    time.sleep(seconds)
    return crash_under(w, running)


@test()
def killed_while_it_is_owned(w):
    tool, device = start(w)
    n_steps = len(tool.own(device))
    n_owned = 0
    for n in range(3, n_steps + 1):
        start_over(w)
        [device] = eventually(tool.unowned, "an unowned device", 20)
        running = begin(w, tool, "own", device)
        end = time.monotonic() + 20
        while running.output().count('"step"') < n and running.runs() and time.monotonic() < end:
            pass
        time.sleep(0.001 * (n % 4))  # a commit takes about that long
        done = crash_under(w, running)
        owned, at = state(w)
        n_owned += owned
        if done:
            assert owned, "the tool was told that it owns the device"
            equal(tool.ask("get", device, "/oic/sec/pstat")["body"]["dos"]["s"], 3)
        elif owned:
            assert at in ("RFPRO", "RFNOP"), at
            equal(tool.unowned(), [], "an owned device")
        else:
            equal(at, "RFOTM")
            [device] = eventually(tool.unowned, "an unowned device", 20)
            if n % 5 == 0:
                tool.own(device)
    assert 0 < n_owned < n_steps - 2, f"{n_owned} of {n_steps} times it was owned then"


@test()
def killed_while_it_is_provisioned(w):
    tool, device = start(w)
    tool.own(device)
    told = 0
    for i in range(12):
        uuid = f"00112233-4455-4677-8899-aabbccddee{i:02x}"
        done = crash_after(w, tool, 0.02 * i, "ace", device, uuid, "31", "/lamp")
        owned, at = state(w)
        assert owned and at in ("RFPRO", "RFNOP"), (owned, at)
        entries = tool.ask("get", device, "/oic/sec/acl2")["body"]["aclist2"]
        found = [e for e in entries if e["subject"].get("uuid") == uuid]
        told += done
        assert len(found) == 1 if done else len(found) < 2, (done, entries)
    assert 0 < told < 12, f"{told} of 12 came to their end"


@test()
def killed_while_it_is_reset(w):
    tool, device = start(w)
    for i in range(6):
        tool.own(device)
        crash_after(w, tool, 0.05 + 0.5 * i, "disown", device)
        owned, at = eventually(lambda: state(w) if state(w)[1] in ("RFOTM", "RFNOP") else None, "it is one or the other", 20)
        if owned:
            equal(tool.ask("get", device, "/oic/sec/doxm")["body"]["devowneruuid"], tool.owner)
            tool("disown", device)
        [device] = eventually(tool.unowned, "it is unowned", 20)


def assert_sealed(w, tool, device, words):
    """Nothing secure, nothing that could be owned, and it is said why; the files stay as they are."""
    files = {p.name: p.read_bytes() for p in (w.directory / "state").iterdir()}
    w.start_ocfd()
    assert words in w.ocfd.output(), w.ocfd.output()
    assert words in security(w, "Sealed"), security(w, "Sealed")
    equal(tool.unowned(), [], "unowned devices")
    raises(Refused, tool.ask, "get", device, "/oic/sec/doxm")
    assert w.peer().get("/oic/d").value()["di"] != device, "its name"
    w.stop_ocfd()
    equal({p.name: p.read_bytes() for p in (w.directory / "state").iterdir()}, files)


@test()
def files_changed_while_it_is_away(w):
    database, mark, key = (w.directory / "state" / name for name in ("ocfd.db", "ocfd.mark", "store.key"))
    tool, device = start(w)
    w.stop_ocfd()
    unowned = {p: p.read_bytes() for p in (database, mark, key)}
    w.start_ocfd()
    tool.own(device)
    w.stop_ocfd()
    good = {p: p.read_bytes() for p in (database, mark, key)}
    for changes, words in (
        ({database: unowned[database]}, "older than its mark"),
        ({mark: unowned[mark]}, "mark is older"),
        ({mark: None}, "is gone"),
        ({key: None}, "key is gone"),
        ({key: os.urandom(32)}, "another one"),
        ({database: None}, "database is gone"),
        ({database: good[database][:5000]}, "damaged"),
        ({mark: good[mark][:-1] + bytes([good[mark][-1] ^ 1])}, "damaged"),
    ):
        for path, content in {**good, **changes}.items():
            if content is None:
                path.unlink()
            else:
                path.write_bytes(content)
        assert_sealed(w, tool, device, words)
    for path, content in good.items():
        path.write_bytes(content)
    w.start_ocfd()
    eventually(lambda: tool.ask("get", device, "/oic/sec/pstat")["body"]["dos"]["s"] == 3, "all is as it was")


def mount_state(w, options):
    own_mounts()
    (w.directory / "state").mkdir(mode=0o700, exist_ok=True)
    shell(f"mount -t tmpfs -o mode=0700,{options} store {w.directory / 'state'}")


@test()
def a_full_disk(w):
    mount_state(w, "size=256k")
    tool, device = start(w)
    ballast = w.directory / "state" / "ballast"
    with open(ballast, "wb", buffering=0) as f:
        try:
            while f.write(bytes(512)):
                pass
        except OSError:
            pass
    raises(Refused, tool.own, device)
    owned, at = state(w)
    assert not owned and w.ocfd.runs()
    ballast.unlink()
    crash(w)  # and a crash right then changes nothing
    [device] = eventually(tool.unowned, "it is unowned", 20)
    tool.own(device)
    with open(ballast, "wb", buffering=0) as f:
        try:
            while f.write(bytes(512)):
                pass
        except OSError:
            pass
    raises((Refused, subprocess.SubprocessError), tool, "ace", device, "00112233-4455-4677-8899-aabbccddee00", "31", "/lamp")
    equal(tool.ask("get", device, "/oic/sec/doxm")["body"]["owned"], True)
    ballast.unlink()
    tool("ace", device, "00112233-4455-4677-8899-aabbccddee00", "31", "/lamp")
    crash(w)
    equal(state(w), (True, "RFNOP"))


@test()
def a_disk_that_can_only_be_read(w):
    mount_state(w, "size=1m")
    tool, device = start(w)
    tool.own(device)
    w.stop_ocfd()
    files = {p.name: p.read_bytes() for p in (w.directory / "state").iterdir()}
    shell(f"mount -o remount,ro {w.directory / 'state'}")
    w.start_ocfd(wait=False)
    assert w.ocfd.wait() != 0
    w.ocfd.expected = "refused"
    assert "Read-only file system" in w.ocfd.output() and "can be written" in w.ocfd.output(), w.ocfd.output()
    shell(f"mount -o remount,rw {w.directory / 'state'}")
    equal({p.name: p.read_bytes() for p in (w.directory / "state").iterdir()}, files)
    w.start_ocfd()
    equal(state(w), (True, "RFNOP"))
    equal(tool.ask("get", device, "/oic/sec/doxm")["body"]["owned"], True)


@test()
def a_backup_comes_back(w):
    tool, device = start(w)
    tool.own(device)
    backup = w.directory / "backup"
    said = w.ocfctl("store", "backup", backup)
    assert "worth nothing without the key" in said and "store.key" in said and "Keep a copy" in said, said
    key = (w.directory / "state" / "store.key").read_bytes()
    assert key[:16] not in backup.read_bytes(), "the key"
    uuid = "00112233-4455-4677-8899-aabbccddee00"
    tool("ace", device, uuid, "31", "/lamp")
    assert uuid in str(tool.ask("get", device, "/oic/sec/acl2")["body"])
    assert "is good" in w.ocfctl("store", "check")
    w.ocfctl("store", "restore", backup, "--yes")
    entries = eventually(lambda: tool.ask("get", device, "/oic/sec/acl2")["body"]["aclist2"], "it is back", 20)
    assert uuid not in str(entries), entries
    assert "is good" in w.ocfctl("store", "check")
    w.ocfctl("store", "rekey", "--yes")
    assert (w.directory / "state" / "store.key").read_bytes() != key
    said = w.ocfctl("store", "restore", backup, "--yes", status=1)
    assert "another key" in said and "admin-copy" not in said, said
    equal(state(w), (True, "RFNOP"))
    # a sealed store is mended in the same way
    backup.unlink()
    w.ocfctl("store", "backup", backup)
    w.stop_ocfd()
    (w.directory / "state" / "ocfd.mark").unlink()
    w.start_ocfd()
    assert "is gone" in security(w, "Sealed")
    assert "is gone" in w.ocfctl("store", "check", status=1)
    w.ocfctl("store", "restore", backup, "--yes")
    eventually(lambda: tool.ask("get", device, "/oic/sec/doxm")["body"]["owned"], "it is back", 20)
    equal(state(w), (True, "RFNOP"))


def ocfd(w, *args, status=0, env=None):
    """ocfd for one look, without the daemon. Return: what it said."""
    argv = [str(w.programs["ocfd"]), "--config", str(w.configure()), *map(str, args)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
    said = result.stdout + result.stderr
    equal(result.returncode, status, f"{args}: {said}")
    equal(result.stderr == "", status == 0, said)
    return said


@test()
def checked_and_restored_without_a_daemon(w):
    tool, device = start(w)
    tool.own(device)
    backup, directory = w.directory / "backup", w.directory / "state"
    w.ocfctl("store", "backup", backup)
    assert "in use" in ocfd(w, "--check-store", status=1)
    assert "in use" in ocfd(w, "--restore-store", backup, status=1)
    uuid = "00112233-4455-4677-8899-aabbccddee00"
    tool("ace", device, uuid, "31", "/lamp")
    w.stop_ocfd()
    for verb in (("check",), ("restore", backup, "--yes")):
        said = w.ocfctl("store", *verb, status=6)
        assert f"ocfd --{verb[0]}-store" in said, said
    good = {p.name: p.read_bytes() for p in directory.iterdir()}
    said = ocfd(w, "--check-store")
    assert "is good" in said and " owned" in said, said
    other = w.directory / "other"
    other.write_bytes(backup.read_bytes()[:-1000])
    assert f"{other}: This is no backup" in ocfd(w, "--restore-store", other, status=1)
    assert "No such file" in ocfd(w, "--restore-store", w.directory / "none", status=1)
    assert "one of" in ocfd(w, "--check", "--check-store", status=2)
    equal({p.name: p.read_bytes() for p in directory.iterdir()}, good, "nothing was changed")
    # without its key it is sealed, and a backup of it as well
    (directory / "store.key").rename(w.directory / "key")
    assert "key is gone" in ocfd(w, "--check-store", status=1)
    assert "credential" in ocfd(w, "--check-store", status=1)
    assert "with it" not in ocfd(w, "--check-store", status=1, env={"CREDENTIALS_DIRECTORY": str(w.directory)})
    assert "another key" in ocfd(w, "--restore-store", backup, status=1)
    (w.directory / "key").rename(directory / "store.key")
    (directory / "ocfd.db").unlink()
    assert "database is gone" in ocfd(w, "--check-store", status=1)
    assert "what the backup held: owned" in ocfd(w, "--restore-store", backup)
    assert "is good" in ocfd(w, "--check-store")
    w.start_ocfd()
    equal(state(w), (True, "RFNOP"))
    assert uuid not in str(tool.ask("get", device, "/oic/sec/acl2")["body"]), "it is of before the entry"
    w.stop_ocfd()
    shutil.rmtree(directory)
    directory.mkdir(mode=0o700)
    assert "no store" in ocfd(w, "--check-store", status=1)
    equal(list(directory.iterdir()), [], "none was made")


if __name__ == "__main__":
    main()
