"""Administrators by the real polkit: its daemon on the test's bus, with our actions and rules of the test's, its agent for
terminals, and what holds where it is not there."""
import grp
import os
import pathlib
import pty
import pwd
import select
import shutil
import signal
import subprocess
import time

from harness import SLOW, SOURCE, Skip, equal, eventually, main, own_mounts, shell, test
from dbus_wire import Ocfd

POLKITD = pathlib.Path("/usr/lib/polkit-1/polkitd")
RULES = """
polkit.addRule(function(action, subject) {
    if (action.id == "org.ocfd.store-check" && subject.user == "games")
        return polkit.Result.YES;
    if (action.id == "org.ocfd.store-rekey")
        return polkit.Result.NO;
});
polkit.addAdminRule(function(action, subject) { return ["unix-user:root"]; });
"""


class Polkit:
    def __init__(self, w):
        if not POLKITD.exists() or not shutil.which("pkttyagent"):
            raise Skip("polkitd is not installed")
        identities = pathlib.Path("/proc/self/uid_map").read_text().split()
        if os.getuid() or int(identities[2]) < 65536:
            raise Skip("polkitd wants to be started by root, and to become somebody else")
        own_mounts()
        actions, rules, pam = (w.directory / name for name in ("actions", "rules", "pam.d"))
        for directory in (actions, rules, pam):
            directory.mkdir()
            directory.chmod(0o755)
        shutil.copy(SOURCE / "data/polkit/org.ocfd.policy", actions)
        (rules / "50-test.rules").write_text(RULES)
        self.pam = pam / "polkit-1"
        self.let_in(True)
        for directory, place in ((actions, "/usr/share/polkit-1/actions"), (rules, "/etc/polkit-1/rules.d"), (pam, "/etc/pam.d")):
            shell(f"mount --bind {directory} {place}")
        # nothing of the machine's, neither its rules nor its bus: polkit's helper knows no other place of that
        shell("mount -t tmpfs none /usr/share/polkit-1/rules.d && chmod 755 /usr/share/polkit-1/rules.d && mount -t tmpfs none /run")
        shell(f"mkdir /run/dbus && ln -s {w.directory / 'bus'} /run/dbus/system_bus_socket")
        self.w, self.environment = w, {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/dbus/system_bus_socket"}
        (w.directory / "bus").chmod(0o666)
        # who calls may not read where the build is
        self.ocfctl_program = w.directory / "ocfctl"
        shutil.copy(w.programs["ocfctl"], self.ocfctl_program)
        shutil.copy(w.build / "lib/libocfclient/libocfclient.so.0", w.directory)
        self.start()

    def let_in(self, whom):
        """Whether any password is right."""
        self.pam.write_text(f"auth required pam_{'permit' if whom else 'deny'}.so\naccount required pam_permit.so\n")

    def is_there(self):
        with Ocfd(self.w.address) as bus:
            return bus.call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "NameHasOwner", "s", "org.freedesktop.PolicyKit1")[0]

    def start(self):
        self.daemon = self.w.spawn("polkitd", POLKITD, env=self.environment)

        def came():
            if not self.daemon.runs() and "Error switching to user" in self.daemon.output():
                raise Skip(f"polkitd cannot become its own user here: {self.daemon.output().splitlines()[0]}")
            return self.is_there()

        eventually(came, "polkit is on the bus")

    def stop(self):
        self.daemon.kill()
        eventually(lambda: not self.is_there(), "polkit is gone")

    def command(self, *args):
        return [str(self.ocfctl_program), *args], {**os.environ, **self.environment, "LD_LIBRARY_PATH": str(self.w.directory), "TERM": "dumb"}

    def ocfctl(self, user, *args):
        """As that user, without a terminal. Return: (status, what it said)."""
        argv, environment = self.command(*args)
        entry = pwd.getpwnam(user)
        result = subprocess.run(argv, env=environment, user=entry.pw_uid, group=entry.pw_gid, extra_groups=[entry.pw_gid], cwd="/", capture_output=True, text=True, timeout=30 * SLOW, stdin=subprocess.DEVNULL)
        return result.returncode, result.stdout + result.stderr

    def ocfctl_at_terminal(self, user, *args, answer="secret", seconds=20):
        """The same at a terminal of its own, where whoever is asked for a password types one."""
        argv, environment = self.command(*args)
        entry = pwd.getpwnam(user)
        pid, fd = pty.fork()
        if pid == 0:
            try:
                os.chdir("/")
                os.fchown(0, entry.pw_uid, entry.pw_gid)
                os.setgroups([entry.pw_gid])
                os.setgid(entry.pw_gid)
                os.setuid(entry.pw_uid)
                os.execve(argv[0], argv, environment)
            finally:
                os._exit(126)
        said, end = "", time.monotonic() + seconds * SLOW
        while True:
            if time.monotonic() > end:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise AssertionError(f"{argv} at a terminal does not end: {said}")
            if not select.select([fd], [], [], 0.1)[0]:
                continue
            try:
                said += os.read(fd, 4096).decode(errors="replace")
            except OSError:  # nobody has it open any more
                break
            if answer and said.rstrip().endswith("assword:"):
                os.write(fd, answer.encode() + b"\n")
                answer = None
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said


def start(w, **security):
    w.start_bus()
    polkit = Polkit(w)
    w.configure(Security=security)
    w.start_ocfd()
    return polkit


@test()
def whom_polkit_lets(w):
    polkit = start(w)
    status, said = polkit.ocfctl("games", "store", "check")
    assert status == 0 and "is good" in said, said
    for user, args, words in (
        ("nobody", ("store", "check"), "who you are"),  # polkit would ask, and there is nobody to ask
        ("games", ("sessions",), "who you are"),
        ("games", ("reset", "--yes"), "who you are"),
        ("games", ("store", "rekey", "--yes"), "does not allow"),
    ):
        status, said = polkit.ocfctl(user, *args)
        assert status == 4 and words in said, (user, args, status, said)
    for args in (("sessions",), ("store", "check"), ("store", "rekey", "--yes")):
        equal(polkit.ocfctl("root", *args)[0], 0, f"root: {args}")
    equal(polkit.ocfctl("nobody", "status")[0], 0, "what everybody may see")


@test()
def polkit_goes_and_comes_back(w):
    group = grp.getgrgid(pwd.getpwnam("daemon").pw_gid).gr_name
    polkit = start(w, AdminGroup=group)
    equal([polkit.ocfctl(user, "store", "check")[0] for user in ("root", "games", "daemon", "nobody")], [0, 0, 4, 4], "with polkit")
    polkit.stop()
    answers = {user: polkit.ocfctl(user, "store", "check") for user in ("root", "games", "daemon", "nobody")}
    equal([status for status, _ in answers.values()], [0, 4, 0, 4], "without")
    assert "AdminGroup=" in answers["games"][1], answers["games"][1]
    polkit.start()
    equal([polkit.ocfctl(user, "store", "check")[0] for user in ("root", "games", "daemon", "nobody")], [0, 0, 4, 4], "with it again")


@test()
def a_password_is_asked_for_at_the_terminal(w):
    polkit = start(w)
    status, said = polkit.ocfctl_at_terminal("games", "sessions")
    assert status == 0 and "AUTHENTICATING FOR org.ocfd.read-security" in said and "COMPLETE" in said, (status, said)
    status, said = polkit.ocfctl_at_terminal("games", "sessions", "--no-ask-password")
    assert status == 4 and "AUTHENTICATING" not in said and "who you are" in said, (status, said)
    polkit.let_in(False)
    status, said = polkit.ocfctl_at_terminal("games", "sessions")
    assert status == 4 and "AUTHENTICATING" in said and "FAILED" in said, (status, said)
    # nobody is asked about root, about what everybody may, and where there is no polkit
    for user, args, wanted in (("root", ("sessions",), 0), ("games", ("status",), 0)):
        status, said = polkit.ocfctl_at_terminal(user, *args)
        assert status == wanted and "AUTHENTICATING" not in said, (status, said)
    polkit.stop()
    status, said = polkit.ocfctl_at_terminal("games", "sessions")
    assert status == 4 and "AUTHENTICATING" not in said and "Without polkit" in said and "rror getting" not in said, (status, said)
    assert not [p for p in pathlib.Path("/proc").glob("[0-9]*/comm") if p.read_text().startswith("pkttyagent")], "an agent that outlived its call"


if __name__ == "__main__":
    main()
