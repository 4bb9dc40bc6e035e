#include "daemon/diag.h"
#include "base/error.h"
#include "daemon/clock.h"
#include "daemon/diag_ids.h"

#include <errno.h>
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

/* The log is where a process speaks to the world: there is one, and it belongs to nobody in particular. */
static struct {
        int level;
        int journal; /* -1: stderr */
        uint64_t n_dropped, n_told_dropped;
        uint64_t tokens, last_ms; /* of events that a stranger can cause: a burst, then one a second */
        uint64_t n_suppressed;
} diag = { .level = LOG_INFO, .journal = -1 };

/* Is stderr the journal's? systemd says so with the device and inode of the stream. */
static bool stderr_is_journal(void) {
        const char *stream = getenv("JOURNAL_STREAM");
        unsigned long long device, inode;
        struct stat s;

        return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && fstat(STDERR_FILENO, &s) == 0 &&
               s.st_dev == device && s.st_ino == inode;
}

void diag_open_at(int level, const char *journal_socket) {
        struct sockaddr_un address = { .sun_family = AF_UNIX };

        diag_close();
        diag.level = level;
        if (!journal_socket)
                return;
        snprintf(address.sun_path, sizeof(address.sun_path), "%s", journal_socket);
        diag.journal = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (diag.journal >= 0 && connect(diag.journal, (struct sockaddr *)&address, sizeof(address)) < 0) {
                close(diag.journal);
                diag.journal = -1;
        }
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

static void to_journal(int priority, const char *id, const char *const *fields, const char *text) {
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
        if (send(diag.journal, e.bytes, e.n, MSG_NOSIGNAL) < 0)
                diag.n_dropped++;
}

/* What a peer or an app said may hold anything: on a terminal only text is shown. */
static void to_stderr(const char *text) {
        char line[1024];
        size_t n = 0;

        for (; *text && n < sizeof(line) - 2; text++)
                line[n++] = (uint8_t)*text < 0x20 || *text == 0x7f ? '?' : *text;
        line[n++] = '\n';
        if (write(STDERR_FILENO, line, n) < 0)
                diag.n_dropped++;
}

static void emit(int priority, const char *id, const char *const *fields, const char *text) {
        if (priority > diag.level)
                return;
        if (diag.journal < 0) {
                to_stderr(text);
                return;
        }
        if (diag.n_dropped > diag.n_told_dropped) {
                char missed[96];

                snprintf(missed, sizeof(missed), "%llu messages were not taken by the journal",
                         (unsigned long long)(diag.n_dropped - diag.n_told_dropped));
                diag.n_told_dropped = diag.n_dropped;
                to_journal(LOG_WARNING, NULL, NULL, missed);
        }
        to_journal(priority, id, fields, text);
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

/* Ten at once, then one a second. */
static bool may_tell(void) {
        uint64_t now_ms = clock_now_ms(), gained = (now_ms - diag.last_ms) / 1000;

        if (gained) {
                diag.tokens = ocf_min_u64(diag.tokens + gained, 10);
                diag.last_ms = now_ms;
        }
        if (!diag.tokens) {
                diag.n_suppressed++;
                return false;
        }
        diag.tokens--;
        if (diag.n_suppressed)
                diag_log(LOG_WARNING, "%llu more like the following were not told",
                         (unsigned long long)diag.n_suppressed);
        diag.n_suppressed = 0;
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

        diag_event(LOG_INFO, DIAG_ID_APP_REGISTERED, (const char *const[]){ app, NULL },
                   "Application %s of user %u registered %zu resource%s", name, uid, n_resources,
                   n_resources == 1 ? "" : "s");
}

void diag_app_vanished(const char *name, uint32_t uid, uint64_t linger_ms) {
        FIELD(app, 128, "OCFD_APP=%s", name);

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

        if (may_tell())
                diag_event(LOG_NOTICE, DIAG_ID_APP_REFUSED, (const char *const[]){ app, reason, NULL },
                           "Refused a registration of %s (user %u): %s", who, uid, why);
}

void diag_access_denied(const char *peer, const char *href, const char *method, const char *reason) {
        FIELD(from, 128, "OCFD_PEER=%s", peer);
        FIELD(what, 320, "OCFD_RESOURCE=%s", href);
        FIELD(why, 256, "OCFD_REASON=%s", reason);

        if (may_tell())
                diag_event(LOG_NOTICE, DIAG_ID_ACCESS_DENIED, (const char *const[]){ from, what, why, NULL },
                           "Denied %s %s to %s: %s", method, href, peer, reason);
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
