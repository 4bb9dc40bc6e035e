#include "ctl.h"

/* The table of commands: what "ocfctl --help" prints, and where each begins. */
const struct command commands[] = {
        { "status", "", "what the daemon knows and uses, and what an administrator should know", 0, 0, 0,
          cmd_status,
          "The first lines are the daemon and its logical devices, then the network interfaces that are used "
          "or ignored,\n"
          "and notices with what to do about them.\n"
          "Example: ocfctl status --json | jq .notices\n" },
        { "apps", "", "the applications that have registered resources", 0, 0, 0, cmd_apps,
          "An application whose state is \"lingering\" is away: its resources answer 5.03 for a while.\n" },
        { "resources", "", "the resources of the applications", OPTION_ALL, 0, 0, cmd_resources,
          "ACCESS is \"plain\" where the resource was registered as insecure and the administrator allows "
          "that.\n"
          "With --device only those of one device; with --all those of ocfd itself, too.\n" },
        { "serve", "HREF --rt TYPE [key=value...]", "publish a resource, as long as this command runs",
          OPTION_TYPES | OPTION_INTERFACES | OPTION_NAME | OPTION_INSECURE | OPTION_LINGER, 1, -1, cmd_serve,
          "A line key=value on standard input is published; so is one with a JSON object, for several keys "
          "at once. When\n"
          "somebody else sets a value, a line \"updated key=value\" is printed. When ocfd or the bus is "
          "restarted, the\n"
          "resource is registered again.\n"
          "Example: ocfctl serve /thermometer --rt oic.r.temperature --if oic.if.s --insecure "
          "temperature=21.5 units=C\n" },
        { "get", "[DEVICE] HREF", "retrieve a resource", OPTION_INTERFACE | OPTION_QUERY, 1, 2, cmd_get,
          "Example: ocfctl get /lamp --json | jq .value\n" },
        { "set", "[DEVICE] HREF key=value...", "update a resource, and print what it says then",
          OPTION_INTERFACE | OPTION_QUERY, 2, -1, cmd_set,
          "Example: ocfctl set /lamp value=true brightness=40\n" },
        { "observe", "[DEVICE] HREF", "follow a resource", OPTION_QUERY, 1, 2, cmd_observe,
          "Prints the value now, and whenever it changes, until it is interrupted. When the resource or ocfd "
          "goes away\n"
          "after that, it is said, and waited for.\n"
          "Example: ocfctl observe /lamp --json | jq --unbuffered .value.value\n" },
        { "monitor", "[HREF...]", "follow what comes, goes and changes", OPTION_ALL, 0, -1, cmd_monitor,
          "Applications and resources that appear and vanish, and values; with HREFs only those resources. "
          "With --all also\n"
          "the resources of ocfd itself.\n" },
        { "owner", "", "whose the devices are, in which state, and what to do next", 0, 0, 0, cmd_owner,
          "A device that nobody owns can be taken by an onboarding tool; one that is owned is got back with "
          "\"ocfctl reset\".\n"
          "With --device only that one.\n" },
        { "reset", "[DEVICE]", "make a device as it came from the factory, without an owner", OPTION_YES, 0,
          1, cmd_reset,
          "Its owner, credentials, access entries and device id are lost for good; the resources of "
          "applications stay.\n"
          "Example: ocfctl reset --yes\n" },
        { "pin", "", "show the PIN when an onboarding tool asks for one", 0, 0, 0, cmd_pin,
          "While it runs, devices offer ownership transfer by Random PIN. Ends when it is interrupted.\n" },
        { "cred", "list", "the credentials of a device, without their secrets", 0, 1, 1, cmd_cred,
          "Example: ocfctl cred list --device 1\n" },
        { "acl", "list | check SUBJECT METHOD HREF", "who may do what, and whether somebody may", 0, 1, 4,
          cmd_acl,
          "SUBJECT: anon-clear (plain CoAP), auth-crypt (any secure channel), a UUID, role:NAME or "
          "role:NAME@AUTHORITY.\n"
          "check ends with 0 when it is granted and 4 when it is denied, and says why.\n"
          "Example: ocfctl acl check anon-clear get /lamp\n" },
        { "audit", "", "what the device noticed: refusals, transfers, resets", 0, 0, 0, cmd_audit,
          "The events of /oic/sec/ael, oldest first.\n" },
        { "sessions", "", "the secure sessions with a device", 0, 0, 0, cmd_sessions,
          "The one that was silent longest first, at most 64.\n" },
        { "store", "check | backup FILE | restore FILE | rekey",
          "what ocfd remembers, checked, copied and put back", OPTION_YES, 1, 2, cmd_store,
          "A backup is worth nothing without the store's key, which is never in it: see ocfd-security(7).\n"
          "Example: ocfctl store backup /root/ocfd.backup\n" },
        { "doctor", "", "look for what is wrong, and say what to do about it", 0, 0, 0, cmd_doctor,
          "Ends with 0 when nothing is wrong. What only administrators may look at is left out for "
          "others.\n" },
        { 0 },
};
