#include "daemon/diag.h"
#include "base/error.h"
#include "daemon/clock.h"
#include "daemon/diag_ids.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define ENTRY_MAX      8192

/* What others can cause at will is told n_max times at once, then once a second; the rest is counted. */
struct bucket {
        uint64_t n_max, n, last_ms, n_suppressed;
};

/* The log is where a process speaks to the world: there is one, and it belongs to nobody in particular. */
static struct {
        int level;
        int journal; /* -1: stderr */
        struct sockaddr_un address;
        uint64_t n_dropped, n_told_dropped;
        struct bucket strangers, apps;
} diag = { .level = LOG_INFO, .journal = -1 };

/* Is stderr the journal's? systemd says so with the device and inode of the stream. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat s;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &s) == 0 &&
               s.st_dev == device && s.st_ino == inode;
}

static bool connect_journal(void) {
        diag.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (diag.journal >= 0 &&
            connect(diag.journal, (const struct sockaddr *)&diag.address, sizeof(diag.address)) == 0)
                return true;
        diag_close();
        return false;
}

void diag_open_at(int level, const char *journal_socket) {
        diag_close();
        diag.level = level;
        diag.strangers = (struct bucket){ .n_max = 10 };
        diag.apps = (struct bucket){ .n_max = 100 }; /* all of a gateway come at once when it starts */
        if (!journal_socket || strlen(journal_socket) >= sizeof(diag.address.sun_path))
                return;
        diag.address.sun_family = AF_UNIX;
        strcpy(diag.address.sun_path, journal_socket);
        (void)connect_journal(); /* else: stderr */
}

void diag_open(int level) {
        diag_open_at(level, stderr_is_journal() ? JOURNAL_SOCKET : NULL);
}

void diag_close(void) {
        if (diag.journal >= 0)
                close(diag.journal);
        diag.journal = -1;
}

uint64_t diag_dropped(void) {
        return diag.n_dropped;
}

/* ---- the journal's own protocol: FIELD=value lines; a value with a line break goes with its length ---- */

struct entry {
        char bytes[ENTRY_MAX];
        size_t n;
};

static void put(struct entry *e, const char *field, const char *value, size_t n) {
        uint64_t length = n;

        if (sizeof(e->bytes) - e->n < strlen(field) + n + 16)
                return;
        e->n += (size_t)sprintf(e->bytes + e->n, "%s", field);
        if (memchr(value, '\n', n)) {
                e->bytes[e->n++] = '\n';
                for (size_t i = 0; i < 8; i++)
                        e->bytes[e->n++] = (char)(length >> 8 * i);
        } else {
                e->bytes[e->n++] = '=';
        }
        memcpy(e->bytes + e->n, value, n);
        e->n += n;
        e->bytes[e->n++] = '\n';
}

/* A journal that was restarted may have another socket at the same place. */
static bool send_entry(const struct entry *e) {
        if (send(diag.journal, e->bytes, e->n, MSG_NOSIGNAL) >= 0)
                return true;
        if (errno != ECONNREFUSED && errno != ENOTCONN && errno != ECONNRESET)
                return false;
        diag_close();
        return connect_journal() && send(diag.journal, e->bytes, e->n, MSG_NOSIGNAL) >= 0;
}

static bool to_journal(int priority, const char *id, const char *const *fields, const char *text) {
        struct entry e = { .n = 0 };
        char digit = (char)('0' + priority);

        put(&e, "MESSAGE", text, strlen(text));
        put(&e, "PRIORITY", &digit, 1);
        put(&e, "SYSLOG_IDENTIFIER", "ocfd", 4);
        if (id)
                put(&e, "MESSAGE_ID", id, strlen(id));
        for (; fields && *fields; fields++) {
                const char *equals = strchr(*fields, '=');
                char name[64];

                snprintf(name, sizeof(name), "%.*s", (int)(equals - *fields), *fields);
                put(&e, name, equals + 1, strlen(equals + 1));
        }
        return send_entry(&e);
}

/* What a peer or an app said may hold anything: of control characters, also those above 0x7f, only a ? is
 * shown on a terminal. And it may have been stopped, or be a pipe that nobody reads: that must not stop us.
 */
static bool to_stderr(const char *text) {
        struct pollfd ready = { .fd = STDERR_FILENO, .events = POLLOUT };
        char line[1024];
        size_t n = 0;

        for (; *text && n < sizeof(line) - 2; text++) {
                const uint8_t *c = (const uint8_t *)text;

                if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0)
                        text++;
                line[n++] = c[0] < 0x20 || c[0] == 0x7f || text != (const char *)c ? '?' : *text;
        }
        line[n++] = '\n';
        return poll(&ready, 1, 0) == 1 && ready.revents & POLLOUT && write(STDERR_FILENO, line, n) >= 0;
}

static bool put_out(int priority, const char *id, const char *const *fields, const char *text) {
        if (diag.journal >= 0 && to_journal(priority, id, fields, text))
                return true;
        return diag.journal < 0 && to_stderr(text); /* also where the journal has just gone for good */
}

static void emit(int priority, const char *id, const char *const *fields, const char *text) {
        uint64_t n_missed = diag.n_dropped - diag.n_told_dropped;
        char missed[96];

        if (priority > diag.level)
                return;
        if (n_missed) {
                snprintf(missed, sizeof(missed), "%llu messages before this one were lost: nobody took them",
                         (unsigned long long)n_missed);
                if (put_out(LOG_WARNING, NULL, NULL, missed))
                        diag.n_told_dropped = diag.n_dropped;
        }
        if (!put_out(priority, id, fields, text))
                diag.n_dropped++;
}

void diag_log(int priority, const char *format, ...) {
        char text[2048];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        emit(priority, NULL, NULL, text);
}

void diag_event(int priority, const char *id, const char *const *fields, const char *format, ...) {
        char text[2048];
        va_list args;

        va_start(args, format);
        vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        emit(priority, id, fields, text);
}

static bool may_tell(struct bucket *b) {
        uint64_t now_ms = clock_now_ms(), gained = (now_ms - b->last_ms) / 1000;

        if (!b->last_ms)
                gained = b->n_max;
        if (gained) {
                b->n = ocf_min_u64(b->n + gained, b->n_max);
                b->last_ms = now_ms;
        }
        if (!b->n) {
                b->n_suppressed++;
                return false;
        }
        b->n--;
        if (b->n_suppressed)
                diag_log(LOG_WARNING, "%llu more like the following were not told",
                         (unsigned long long)b->n_suppressed);
        b->n_suppressed = 0;
        return true;
}

/* ---- the events ---- */

#define FIELD(name, size, ...)                                                                               \
        char name[size];                                                                                     \
        snprintf(name, sizeof(name), __VA_ARGS__)

void diag_started(const char *version, const char *bus, const char *state_directory) {
        diag_event(LOG_INFO, DIAG_ID_STARTED, NULL, "ocfd %s serves the network; bus: %s, state: %s", version,
                   bus, state_directory);
}

void diag_stopping(const char *why) {
        diag_event(LOG_INFO, DIAG_ID_STOPPING, NULL, "Stopping: %s", why);
}

void diag_notice(const char *id, const char *text) {
        FIELD(notice, 64, "OCFD_NOTICE=%s", id);

        diag_event(text ? LOG_WARNING : LOG_INFO, DIAG_ID_NOTICE, (const char *const[]){ notice, NULL },
                   "%s%s", text ? text : "It is over: ", text ? "" : id);
}

void diag_app_registered(const char *name, uint32_t uid, size_t n_resources) {
        FIELD(app, 128, "OCFD_APP=%s", name);

        if (!may_tell(&diag.apps))
                return;
        diag_event(LOG_INFO, DIAG_ID_APP_REGISTERED, (const char *const[]){ app, NULL },
                   "Application %s of user %u registered %zu resource%s", name, uid, n_resources,
                   n_resources == 1 ? "" : "s");
}

void diag_app_vanished(const char *name, uint32_t uid, uint64_t linger_ms) {
        FIELD(app, 128, "OCFD_APP=%s", name);

        if (!may_tell(&diag.apps))
                return;
        if (linger_ms)
                diag_event(
                        LOG_INFO, DIAG_ID_APP_VANISHED, (const char *const[]){ app, NULL },
                        "Application %s of user %u left the bus; its resources answer 5.03 for up to %llu ms",
                        name, uid, (unsigned long long)linger_ms);
        else
                diag_event(LOG_INFO, DIAG_ID_APP_VANISHED, (const char *const[]){ app, NULL },
                           "Application %s of user %u left the bus; its resources are gone", name, uid);
}

void diag_app_refused(const char *who, uint32_t uid, const char *why) {
        FIELD(app, 128, "OCFD_APP=%s", who);
        FIELD(reason, 320, "OCFD_REASON=%s", why);

        if (may_tell(&diag.strangers))
                diag_event(LOG_NOTICE, DIAG_ID_APP_REFUSED, (const char *const[]){ app, reason, NULL },
                           "Refused a registration of %s (user %u): %s", who, uid, why);
}

/* Fields point into the text that all of them are in. */
struct fields {
        const char *list[9 + DIAG_ROLES_MAX + 1];
        size_t n_list, n_text;
        char text[4096];
};

static void add_field(struct fields *f, const char *name, const char *value) {
        size_t n_max = ocf_min_size(sizeof(f->text) - f->n_text, 384);
        char *at = f->text + f->n_text;

        if (!value || n_max < 64 || f->n_list + 1 >= ARRAY_SIZE(f->list))
                return;
        snprintf(at, n_max, "%s%s", name, value);
        f->n_text += strlen(at) + 1;
        f->list[f->n_list++] = at;
}

const char *diag_roles_text(const struct diag_denial *d, char *buf, size_t n_buf) {
        size_t n = (size_t)snprintf(buf, n_buf, "%s", d->n_roles ? "" : "no roles");

        for (size_t i = 0; i < d->n_roles && n < n_buf; i++)
                n += (size_t)snprintf(buf + n, n_buf - n, "%s%s", i ? ", " : "", d->roles[i]);
        return buf;
}

void diag_access_denied(const struct diag_denial *d) {
        struct fields f = { .n_list = 0 };
        char roles[256];

        if (!may_tell(&diag.strangers))
                return;
        add_field(&f, "OCFD_DEVICE=", d->device);
        add_field(&f, "OCFD_PEER=", d->peer);
        add_field(&f, "OCFD_CONNECTION=", d->connection);
        add_field(&f, "OCFD_SUBJECT=", d->subject);
        add_field(&f, "OCFD_RESOURCE=", d->href);
        add_field(&f, "OCFD_METHOD=", d->method);
        add_field(&f, "OCFD_STATE=", d->state);
        add_field(&f, "OCFD_ACE=", d->entry);
        add_field(&f, "OCFD_REASON=", d->reason);
        for (size_t i = 0; i < d->n_roles; i++)
                add_field(&f, "OCFD_ROLE=", d->roles[i]);
        diag_event(LOG_NOTICE, DIAG_ID_ACCESS_DENIED, f.list,
                   "Denied %s %s to %s: %s (%s, %s, %s, state %s%s%s)", d->method, d->href, d->peer,
                   d->reason, d->connection, d->subject ? d->subject : "nobody",
                   diag_roles_text(d, roles, sizeof(roles)), d->state, d->entry ? ", nearest entry " : "",
                   d->entry ? d->entry : "");
}

void diag_bus_state(const char *address, int error) {
        if (!error)
                diag_event(LOG_INFO, DIAG_ID_BUS, NULL, "On the bus (%s) as org.ocfd", address);
        else if (error == EEXIST)
                diag_event(LOG_WARNING, DIAG_ID_BUS, NULL,
                           "The bus (%s) has another org.ocfd already: is an ocfd running? Trying again.",
                           address);
        else
                diag_event(LOG_WARNING, DIAG_ID_BUS, NULL,
                           "No bus (%s): %s. The network is served; applications cannot register until it is "
                           "there. Trying again.",
                           address, strerror(error));
}

void diag_surprise(int error) {
        const char *file;
        int line, outcome;

        error_last_fold(&file, &line, &outcome);
        if (line)
                diag_event(LOG_ERR, DIAG_ID_SURPRISE, NULL,
                           "ocfd ends: %s (outcome %d was not expected at %s:%d)", strerror(-error), outcome,
                           file, line);
        else
                diag_event(LOG_ERR, DIAG_ID_SURPRISE, NULL, "ocfd ends: %s", strerror(-error));
}
