#!/bin/bash
# What the completion offers: test_completion.sh COMPLETION OCFCTL. Options it offers are options that ocfctl has.
set -eu
completion=$1 ocfctl=$2

# stands in for the daemon
ocfctl() {
    case "$*" in
    *resources*) echo '{"resources":[{"path":"/org/ocfd/resource/1","href":"/lamp","x":1},{"href":"/oic/d"}]}' ;;
    *list*) echo '{"devices":[{"device_id":"abcd-1","name":"lamp"},{"device_id":"abcd-2","name":"two words"}]}' ;;
    *info*lamp*) echo '{"device":{"name":"lamp"},"resources":[{"href":"/light"}]}' ;;
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
    _ocfctl || true
    if [ "${COMPREPLY[*]}" != "$wanted" ]; then
        echo "$*: offered '${COMPREPLY[*]}', wanted '$wanted'"
        exit 1
    fi
}

offers 'status state store' ocfctl st
offers 'serve set sessions' ocfctl se
offers '/lamp /oic/d' ocfctl get /
offers '/lamp /oic/d lamp' ocfctl get ''
offers '/light' ocfctl get lamp ''
offers 'lamp' ocfctl own l
offers 'abcd-1 abcd-2' ocfctl own --method just-works abcd
offers 'just-works' ocfctl own --method j
offers 'lamp' ocfctl pair lamp ''
offers '' ocfctl pair lamp lamp ''
offers 'RFPRO RFNOP' ocfctl state lamp RF
offers 'reachable' ocfctl wait lamp r
offers 'lamp' ocfctl cred remove l
offers 'anon-clear' ocfctl acl add lamp an
offers 'identity' ocfctl cert i
offers '/lamp' ocfctl --json set /l
offers '' ocfctl status ''
offers '--insecure' ocfctl serve --ins
offers '--insecure' ocfctl --bus session --timeout 1 serve /a --ins
offers '0123-45' ocfctl get --device 0
offers 'system session' ocfctl --bus s
offers 'list check add remove' ocfctl acl ''
offers "anon-clear auth-crypt" ocfctl acl check a
offers '/lamp' ocfctl acl check anon-clear get /l
offers 'check' ocfctl store c
offers '--yes' ocfctl reset --y
offers '/lamp' ocfctl --bus unix : path = /run/x get /l
grep -q -- '--bus unix:path=/run/x ' "$asked" || { echo "the daemon of another bus was asked: $(cat "$asked")"; exit 1; }

unset -f ocfctl
all=$("$ocfctl" --help | sed -n 's/^  \([a-z][a-z]*\)  .*/\1/p')
COMP_WORDS=(ocfctl '')
COMP_CWORD=1
_ocfctl || true
[ "$(tr ' ' '\n' <<<"${COMPREPLY[*]}" | sort)" = "$(sort <<<"$all")" ] || { echo "commands: ${COMPREPLY[*]}"; exit 1; }
for command in '' $all; do
    help=$("$ocfctl" $command --help)
    COMP_WORDS=(ocfctl $command --)
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _ocfctl || true
    for option in "${COMPREPLY[@]}"; do
        grep -q -- "^  $option " <<<"$help" || { echo "$command has no option $option"; exit 1; }
    done
    for option in $(grep -o '^  --[a-z-]*' <<<"$help"); do
        [[ " ${COMPREPLY[*]} " == *" $option "* ]] || { echo "$command: $option is not offered"; exit 1; }
    done
done
