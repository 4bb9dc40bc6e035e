#include "base/memory.h"
#include "dbus/bus_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * org.ocfd.Store1: what an administrator does with the store as a whole. Files
 * come and go as descriptors, so that the daemon opens none that a caller named.
 */

struct work {
        sd_bus_message *asked;
};

static void on_done(void *context, int outcome, const char *text) {
        struct work *w = context;

        if (!outcome)
                (void)sd_bus_reply_method_return(w->asked, "s", text);
        else
                (void)bus_reply_fault(w->asked, outcome == BUS_E_BUSY ? FAULT_BUSY : FAULT_FAILED, text);
        sd_bus_message_unref(w->asked);
        ocf_free(w);
}

/* fd is taken. */
static int begin(struct bus *b, sd_bus_message *m, enum bus_store_work work, int fd) {
        struct work *w = ocf_new(struct work);

        if (!w) {
                if (fd >= 0)
                        close(fd);
                return -ENOMEM;
        }
        w->asked = sd_bus_message_ref(m);
        b->control->security.store(b->control->context, work, fd, on_done, w);
        return 0;
}

/* A copy of our own, since the message's goes with the message. */
static int begin_with_file(struct bus *b, sd_bus_message *m, enum bus_store_work work) {
        int fd, r = sd_bus_message_read_basic(m, 'h', &fd);

        if (r < 0)
                return r;
        fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return fd < 0 ? -errno : begin(b, m, work, fd);
}

static int check(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        return begin(b, m, BUS_STORE_CHECK, -1);
}

static int backup(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        return begin_with_file(b, m, BUS_STORE_BACKUP);
}

static int restore(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        return begin_with_file(b, m, BUS_STORE_RESTORE);
}

static int rekey(struct bus *b, struct bus_client *client, sd_bus_message *m) {
        return begin(b, m, BUS_STORE_REKEY, -1);
}

#define GUARDED(name)                                                                                        \
        static int guard_##name(struct bus *b, struct bus_client *client, sd_bus_message *m) {               \
                return bus_if_authorized(b, client, m, BUS_NAME ".store-" #name, name);                      \
        }                                                                                                    \
        static int on_##name(sd_bus_message *m, void *userdata, sd_bus_error *error) {                       \
                return bus_client_method(userdata, m, guard_##name);                                         \
        }

GUARDED(check)
GUARDED(backup)
GUARDED(restore)
GUARDED(rekey)

static const sd_bus_vtable vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_METHOD_WITH_ARGS("Check", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", report), on_check,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Backup", SD_BUS_ARGS("h", file), SD_BUS_RESULT("s", report), on_backup,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Restore", SD_BUS_ARGS("h", file), SD_BUS_RESULT("s", report), on_restore,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Rekey", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", report), on_rekey,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};

int bus_store_add(struct bus *b) {
        return sd_bus_add_object_vtable(b->bus, NULL, BUS_ROOT, BUS_NAME ".Store1", vtable, b);
}
