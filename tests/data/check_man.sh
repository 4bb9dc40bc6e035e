#!/bin/bash
# The man pages have no warnings, and every key of the configuration is in ocfd.conf(5).
# check_man.sh CONFIG_C APPS_C OCFD_CONF PAGE...
set -u
command -v groff >/dev/null || { echo "SKIP: groff is not installed"; exit 77; }
config_c=$1 apps_c=$2 example=$3
shift 3
failed=0
for page in "$@"; do
    said=$(groff -ww -man -Tutf8 -rF0 "$page" 2>&1 >/dev/null)
    if [ -n "$said" ]; then
        echo "$page: $said"
        failed=1
    fi
    case $page in *ocfd.conf.5) conf_page=$page ;; esac
done
keys=$(sed -n 's/^ *{ "\(Daemon\|Network\|Platform\|Device\|Security\)", "\([A-Za-z]*\)".*/\2/p' "$config_c")
[ "$(echo "$keys" | wc -w)" -ge 16 ] || { echo "the table of keys was not found in $config_c"; exit 1; }
for key in $keys; do
    grep -q "$key=" "$conf_page" || { echo "$key= is not in ocfd.conf(5)"; failed=1; }
    grep -q "^#$key=" "$example" || { echo "$key= is not in the example ocfd.conf"; failed=1; }
done
for key in $(sed -n 's/.*strcmp(e->key, "\([A-Za-z]*\)").*/\1/p' "$apps_c"); do
    grep -q "^\.B $key=" "$conf_page" || { echo "$key= of apps.d is not in ocfd.conf(5)"; failed=1; }
done
exit $failed
