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
        { 0 },
};
