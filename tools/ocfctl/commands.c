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
        { "discover", "", "look for devices on the network", 0, 0, 0, cmd_discover,
          "A line for each device, as it answers; it ends by itself after 7 s, or after --timeout.\n"
          "OWNER: none (own it with \"ocfctl own\"), mine, or other.\n"
          "Example: ocfctl discover --json | jq -r .name\n" },
        { "list", "", "the devices that were heard", 0, 0, 0, cmd_devices,
          "What is known without asking: ocfctl discover asks.\n" },
        { "info", "DEVICE", "what one device is, and what it has", 0, 1, 1, cmd_info,
          "DEVICE, here and everywhere: a name, a UUID, its first digits (4 or more), or ocf://UUID.\n"
          "Example: ocfctl info kitchen-light\n" },
        { "add", "ADDRESS | remove ADDRESS", "ask an address that multicast does not reach", 0, 1, 2, cmd_add,
          "192.0.2.7, 192.0.2.7:5683, [2001:db8::7]:5683, [fe80::1%eth0]:5683, or a host name. It is asked "
          "in each "
          "round.\n" },
        { "wait", "DEVICE [reachable | owned | gone]", "until a device is there, ours, or away", 0, 1, 2,
          cmd_wait,
          "--timeout says how long (60); it ends with 5 when that is over.\n"
          "Example: ocfctl wait kitchen-light && ocfctl own kitchen-light\n" },
        { "get", "[DEVICE] HREF", "retrieve a resource", OPTION_INTERFACE | OPTION_QUERY, 1, 2, cmd_get,
          "Without DEVICE, or with one of this daemon, a resource of this machine; else of another device. "
          "ocf://UUID/href is\nboth in one.\n"
          "Example: ocfctl get kitchen-light /lamp --json | jq .value\n" },
        { "set", "[DEVICE] HREF key=value...", "update a resource, and print what it says then",
          OPTION_INTERFACE | OPTION_QUERY, 2, -1, cmd_set,
          "Example: ocfctl set /lamp value=true brightness=40\n" },
        { "create", "[DEVICE] HREF key=value...", "make a member of a collection",
          OPTION_INTERFACE | OPTION_QUERY, 2, -1, cmd_create,
          "Example: ocfctl create hub /rooms n=kitchen\n" },
        { "delete", "[DEVICE] HREF", "delete a resource", OPTION_QUERY, 1, 2, cmd_delete,
          "Example: ocfctl delete hub /rooms/3\n" },
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
        { "init", "", "make the onboarding tool of this daemon", OPTION_DOMAIN, 0, 0, cmd_init,
          "A logical device of its own, with a certificate authority: it takes ownership of other devices. "
          "Once.\n"
          "Example: ocfctl init --name home\n" },
        { "own", "DEVICE...", "take ownership of a device that nobody owns", OPTION_METHOD, 0, -1, cmd_own,
          "Shows its steps. When it fails, or is interrupted, the device is left without an owner.\n"
          "Example: ocfctl own kitchen-light\n" },
        { "pair", "DEVICE DEVICE", "give two owned devices a key for each other", 0, 2, 2, cmd_pair,
          "Each may then open sessions with the other; what it may do there, access entries say.\n" },
        { "cert",
          "identity DEVICE | role DEVICE ROLE... | anchor DEVICE FILE [SUBJECT] | manufacturer FILE | "
          "authority",
          "certificates for devices", 0, 1, -1, cmd_cert,
          "ROLE is NAME or NAME@AUTHORITY; FILE is PEM, - for standard input. manufacturer adds a root that "
          "devices "
          "may be\nowned by; authority prints the tool's own.\n" },
        { "state", "DEVICE RFPRO|RFNOP|SRESET", "bring an owned device into a state", 0, 2, 2, cmd_state,
          "RFPRO: being provisioned; RFNOP: in use; SRESET: repair.\n" },
        { "domain", "DEVICE NAME [private]", "the security domain that an owned device tells", 0, 2, 3,
          cmd_domain, "" },
        { "cloud", "DEVICE cis=URI sid=UUID apn=NAME at=TOKEN", "give an owned device its cloud", 0, 2, 5,
          cmd_cloud, "cis= alone takes it off its cloud.\n" },
        { "jobs", "", "what the onboarding tool does now, and did a moment ago", 0, 0, 0, cmd_jobs, "" },
        { "reset", "[DEVICE]", "make a device as it came from the factory, without an owner",
          OPTION_YES | OPTION_FORCE, 0, 1, cmd_reset,
          "Without DEVICE that of this daemon; else one that its onboarding tool owns.\n"
          "Its owner, credentials, access entries and device id are lost for good; the resources of "
          "applications stay.\n"
          "Example: ocfctl reset --yes\n" },
        { "pin", "", "show the PIN when an onboarding tool asks for one", 0, 0, 0, cmd_pin,
          "While it runs, devices offer ownership transfer by Random PIN. Ends when it is interrupted.\n" },
        { "cred", "list [DEVICE] | remove DEVICE ID", "the credentials of a device, without their secrets", 0,
          1, 3, cmd_cred, "Example: ocfctl cred list --device 1\n" },
        { "acl",
          "list [DEVICE] | check SUBJECT METHOD HREF | add DEVICE SUBJECT PERMISSION HREF... | remove DEVICE "
          "ID|all",
          "who may do what, and whether somebody may", 0, 1, -1, cmd_acl,
          "PERMISSION is letters of crudn (create, retrieve, update, delete, notify); HREF a path, or the "
          "wildcard *, + "
          "or -.\n"
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
