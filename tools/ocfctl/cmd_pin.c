#include "security.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* pin: an agent that shows the PIN with which a tool takes ownership. */

#define AGENT "/org/ocfd/agent"

struct pin {
        struct ctl *ctl;
        int code; /* -1: go on */
};

static int on_show(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct pin *p = userdata;
        const char *device, *digits;
        uint32_t seconds;
        int r = sd_bus_message_read(m, "osu", &device, &digits, &seconds);

        if (r < 0)
                return r;
        if (p->ctl->is_json) {
                print_json_line(json_pack("{s:s, s:s, s:s, s:I}", "event", "pin", "device", device, "pin",
                                          digits, "seconds", (json_int_t)seconds));
        } else {
                printf("PIN: %s", bold());
                print_text(digits);
                printf("%s  (type it into the onboarding tool within %u s)\n", plain(), (unsigned)seconds);
        }
        fflush(stdout);
        return sd_bus_reply_method_return(m, NULL);
}

static int on_cancel(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct pin *p = userdata;
        const char *device;
        int r = sd_bus_message_read(m, "o", &device);

        if (r < 0)
                return r;
        if (p->ctl->is_json)
                print_json_line(json_pack("{s:s, s:s}", "event", "cancel", "device", device));
        else
                printf("The PIN is not good any more.\n");
        fflush(stdout);
        return sd_bus_reply_method_return(m, NULL);
}

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD("ShowPin", "osu", "", on_show, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD("Cancel", "o", "", on_cancel, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

/* Only the daemon may show something here: others could have a person type a PIN of their own. */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct pin *p = userdata;
        sd_bus_creds *creds = NULL;
        const char *sender = sd_bus_message_get_sender(m), *owner = NULL;
        uint8_t type = 0;
        int is_daemon = 0;

        if (sd_bus_message_get_type(m, &type) < 0 || type != SD_BUS_MESSAGE_METHOD_CALL)
                return 0;
        if (sd_bus_get_name_creds(p->ctl->bus, "org.ocfd", SD_BUS_CREDS_UNIQUE_NAME, &creds) >= 0 &&
            sd_bus_creds_get_unique_name(creds, &owner) >= 0)
                is_daemon = sender && strcmp(sender, owner) == 0;
        sd_bus_creds_unref(creds);
        if (is_daemon)
                return 0;
        (void)sd_bus_reply_method_errorf(m, SD_BUS_ERROR_ACCESS_DENIED, "Only ocfd may ask this");
        return 1;
}

static int register_agent(struct pin *p) {
        struct ctl *c = p->ctl;
        sd_bus_message *m = NULL, *reply = NULL;
        int r = bus_new_call(c, &m, "/org/ocfd", "org.ocfd.Manager1", "RegisterAgent"), code;

        if (r >= 0)
                r = sd_bus_message_append(m, "oa{sv}", AGENT, 0);
        code = r < 0 ? bus_trouble(c, r) : security_send(c, m, &reply);
        sd_bus_message_unref(m);
        sd_bus_message_unref(reply);
        if (!code)
                remark(c, "Waiting: the PIN is shown here when an onboarding tool asks for one.");
        return code;
}

static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        struct pin *p = userdata;
        const char *name, *old, *new, *sender = sd_bus_message_get_sender(m);
        int code;

        if (!sender || strcmp(sender, "org.freedesktop.DBus") != 0 ||
            sd_bus_message_read(m, "sss", &name, &old, &new) < 0)
                return 0;
        if (!new[0]) {
                remark(p->ctl, "ocfd is gone; waiting for it.");
                return 0;
        }
        code = register_agent(p);
        if (code)
                p->code = code;
        return 0;
}

int cmd_pin(struct ctl *c) {
        struct pin p = { .ctl = c, .code = -1 };
        int code = bus_open(c), r = 0;

        if (code)
                return code;
        r = sd_bus_add_object_vtable(c->bus, NULL, AGENT, "org.ocfd.Agent1", vtable, &p);
        if (r >= 0)
                r = sd_bus_add_filter(c->bus, NULL, on_message, &p);
        if (r >= 0)
                r = sd_bus_add_match(
                        c->bus, NULL,
                        "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',"
                        "member='NameOwnerChanged',arg0='org.ocfd'",
                        on_owner, &p);
        if (r < 0)
                return bus_trouble(c, r);
        code = register_agent(&p);
        while (!code && p.code == -1) {
                r = sd_bus_process(c->bus, NULL);
                if (r == 0)
                        r = sd_bus_wait(c->bus, UINT64_MAX);
                if (r < 0 && r != -EINTR)
                        return bus_trouble(c, r);
        }
        return code ? code : p.code;
}
