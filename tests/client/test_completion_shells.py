#!/usr/bin/env python3
"""What the completions for fish and zsh offer. A shell that is not there is not tried.

    test_completion_shells.py fish|zsh COMPLETION OCFCTL

Commands and options come from the real ocfctl's help; a script stands in for what the daemon says.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

STAND_IN = r"""#!/bin/sh
echo "$*" >>"$ASKED"
case "$*" in
*--help*) exec "$OCFCTL" "$@" ;;
*resources*) echo '{"resources":[{"path":"/org/ocfd/resource/1","href":"/lamp","x":1},{"href":"/oic/d"}]}' ;;
*list*) echo '{"devices":[{"device_id":"abcd-1","name":"lamp"},{"device_id":"abcd-2","name":"attic:lamp"}]}' ;;
*info*lamp*) echo '{"device":{"name":"lamp"},"resources":[{"href":"/light"}]}' ;;
*status*) echo '{"devices":[{"device_id":"0123-45"}]}' ;;
esac
"""

ROWS = [
    ("st", {"status", "state", "store"}),
    ("own --me", {"--method"}),
    ("serve --ins", {"--insecure"}),
    ("get ", {"/lamp", "/oic/d", "lamp", "attic:lamp"}),
    ("set /l", {"/lamp"}),
    ("get lamp ", {"/light"}),
    ("own l", {"lamp"}),
    ("own ab", {"abcd-1", "abcd-2"}),
    ("own --method j", {"just-works"}),
    ("pair lamp lamp ", set()),
    ("state lamp RF", {"RFPRO", "RFNOP"}),
    ("wait lamp r", {"reachable"}),
    ("acl ", {"list", "check", "add", "remove"}),
    ("acl check a", {"anon-clear", "auth-crypt"}),
    ("acl check anon-clear get /l", {"/lamp"}),
    ("cred remove l", {"lamp"}),
    ("cert identity l", {"lamp"}),
    ("--device 0", {"0123-45"}),
    ("--bus s", {"system", "session"}),
    ("--bus session get /l", {"/lamp"}),
    ("status ", set()),
]

# zsh completes only for who types: so words are typed, and what compadd is given is written down.
ZSH = r"""
autoload -Uz compinit && compinit -u -D -C
fpath=($2 $fpath)
autoload -Uz _ocfctl
compdef _ocfctl ocfctl
compadd() {
    local -a offered
    builtin compadd -O offered "$@"
    (( ! $#offered )) || print -rl -- $offered >>$OFFERED
    builtin compadd "$@"
}
"""


def ask_fish(completion, words, environment):
    script = f"source {completion}; complete -C 'ocfctl {words}'"
    result = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, env=environment, timeout=30)
    assert not result.stderr, result.stderr
    return {line.split("\t")[0] for line in result.stdout.splitlines()}


def ask_zsh(completion, words, environment):
    directory = pathlib.Path(environment["HOME"])
    shutil.copy(completion, directory / "_ocfctl")
    (directory / "offered").write_text("")
    (directory / "setup").write_text(ZSH.replace("$2", str(directory)))
    script = f"""
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'source {directory}/setup; bindkey "^I" complete-word; setopt no_beep; print READY''NOW'
zpty -r -m shell line '*READYNOW*'
zpty -w -n shell $'ocfctl {words}\\t'
zpty -w -n shell $'\\C-a\\C-kprint DONE""NOW\\n'
zpty -r -m shell line '*DONENOW*'
"""
    environment = {**environment, "OFFERED": str(directory / "offered"), "TERM": "dumb"}
    result = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, env=environment, timeout=30)
    assert not result.stderr, result.stderr
    return set((directory / "offered").read_text().split("\n")) - {""}


def main():
    shell, completion, ocfctl = sys.argv[1:4]
    if not shutil.which(shell):
        print(f"SKIP: there is no {shell}")
        sys.exit(77)
    ask = {"fish": ask_fish, "zsh": ask_zsh}[shell]
    bad = []
    with tempfile.TemporaryDirectory() as directory:
        stand_in = pathlib.Path(directory) / "bin" / "ocfctl"
        stand_in.parent.mkdir()
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)
        asked = pathlib.Path(directory) / "asked"
        environment = {
            "PATH": f"{stand_in.parent}:{os.environ['PATH']}",
            "HOME": directory,
            "OCFCTL": str(pathlib.Path(ocfctl).resolve()),
            "ASKED": str(asked),
            "LC_ALL": "C.UTF-8",
        }
        for words, wanted in ROWS:
            offered = ask(str(pathlib.Path(completion).resolve()), words, environment)
            if offered != wanted:
                bad.append(f"ocfctl {words}: offered {sorted(offered)}, wanted {sorted(wanted)}")
        if "--bus session --timeout 0.2 -q --json resources --all" not in asked.read_text():
            bad.append("the daemon of another bus was asked")
    if bad:
        sys.exit("\n".join(bad))


if __name__ == "__main__":
    main()
