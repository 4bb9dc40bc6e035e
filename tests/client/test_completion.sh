#!/bin/bash
# What the completion offers: test_completion.sh COMPLETION OCFCTL. Options it offers are options that ocfctl has.
set -eu
completion=$1 ocfctl=$2

# stands in for the daemon
ocfctl() {
    case "$*" in
    *resources*) echo '{"resources":[{"path":"/org/ocfd/resource/1","href":"/lamp","x":1},{"href":"/oic/d"}]}' ;;
    *status*) echo '{"devices":[{"device_id":"0123-45"}]}' ;;
    esac
    echo "$*" >"$asked"
}
timeout() {
    shift
    "$@"
}
asked=$(mktemp)
trap 'rm -f "$asked"' EXIT
. "$completion"

offers() {
    local wanted=$1
    shift
    COMP_WORDS=("$@")
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _ocfctl
    if [ "${COMPREPLY[*]}" != "$wanted" ]; then
        echo "$*: offered '${COMPREPLY[*]}', wanted '$wanted'"
        exit 1
    fi
}

offers 'status store' ocfctl st
offers 'serve set sessions' ocfctl se
offers '/lamp /oic/d' ocfctl get /
offers '/lamp' ocfctl --json set /l
offers '' ocfctl status ''
offers '--insecure' ocfctl serve --ins
offers '--insecure' ocfctl --bus session --timeout 1 serve /a --ins
offers '0123-45' ocfctl get --device 0
offers 'system session' ocfctl --bus s
offers 'list check' ocfctl acl ''
offers "anon-clear auth-crypt" ocfctl acl check a
offers '/lamp' ocfctl acl check anon-clear get /l
offers 'check' ocfctl store c
offers '--yes' ocfctl reset --y
offers '/lamp' ocfctl --bus unix : path = /run/x get /l
grep -q -- '--bus unix:path=/run/x ' "$asked" || { echo "the daemon of another bus was asked: $(cat "$asked")"; exit 1; }

unset -f ocfctl
for command in '' status apps resources serve get set observe monitor owner reset pin cred acl audit sessions store doctor; do
    help=$("$ocfctl" $command --help)
    COMP_WORDS=(ocfctl $command --)
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _ocfctl
    for option in "${COMPREPLY[@]}"; do
        grep -q -- "^  $option " <<<"$help" || { echo "$command has no option $option"; exit 1; }
    done
    for option in $(grep -o '^  --[a-z-]*' <<<"$help"); do
        [[ " ${COMPREPLY[*]} " == *" $option "* ]] || { echo "$command: $option is not offered"; exit 1; }
    done
done
