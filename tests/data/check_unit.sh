#!/bin/bash
# The unit file says nothing that systemd does not know, and its sandbox scores at most 2.0.
# check_unit.sh UNIT OCFD
set -u
command -v systemd-analyze >/dev/null || { echo "SKIP: systemd-analyze is not installed"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
# verify wants the program to exist where the unit says it is
sed "s|^ExecStart=.*|ExecStart=$(realpath "$2")|" "$1" > "$work/ocfd.service"

said=$(systemd-analyze verify --man=no --recursive-errors=no "$work/ocfd.service" 2>&1)
if [ -n "$said" ]; then
    echo "systemd-analyze verify says:"
    echo "$said"
    exit 1
fi
report=$(systemd-analyze security --offline=true --no-pager --threshold=20 "$work/ocfd.service" 2>&1)
status=$?
echo "$report" | grep 'Overall exposure'
if [ $status -ne 0 ]; then
    echo "$report" | grep '✗' || echo "$report"
    echo "the exposure is above 2.0"
    exit 1
fi
