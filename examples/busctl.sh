#!/bin/sh
# ocfd from the shell, with nothing but busctl (systemd).
#
#     busctl.sh [BUS-ADDRESS]      default: the system bus
#
# What busctl registers goes when busctl does, at once; with linger_ms it answers "unavailable" (5.03) for a while. Where a
# shell script shall really serve something, "ocfctl serve" is the tool.
set -eu

if [ $# -gt 0 ]; then
    busctl() { command busctl "--address=$bus" "$@"; }
    bus=$1
fi

# A published resource, /door: rt and if as in /oic/res, and its first value.
busctl call org.ocfd /org/ocfd org.ocfd.Manager1 Register 'oa(sa{sv})a{sv}' / \
    1 /door 4 rt as 1 x.example.door if as 1 oic.if.a insecure b true value 'a{sv}' 1 open b false \
    2 name s busctl.sh linger_ms t 2000

# Everything that ocfd has: devices, applications, resources.
busctl tree org.ocfd

# Device information, /oic/d: find its object, retrieve it.
resource=$(busctl call org.ocfd /org/ocfd org.ocfd.Manager1 GetResource os / /oic/d | cut -d '"' -f 2)
busctl call org.ocfd "$resource" org.ocfd.Resource1 Retrieve 'a{sv}' 0

# What an administrator should know now.
busctl get-property org.ocfd /org/ocfd org.ocfd.Manager1 Notices
