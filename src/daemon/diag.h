/*
 * What is worth telling an administrator.
 *
 * One function per event, with a message id that stays the same and an entry in
 * the catalog that says what to do; fields go to the journal as they are. Where
 * there is no journal, lines go to stderr. Nothing here blocks: what the
 * journal does not take at once is counted, and the count told later. Events
 * that a stranger can cause at will are told at a limited rate.
 */
#ifndef OCF_DAEMON_DIAG_H
#define OCF_DAEMON_DIAG_H

#include "base/util.h"

#include <syslog.h>

/* level: LOG_ERR .. LOG_DEBUG. Looks at $JOURNAL_STREAM to see whether stderr is the journal's. */
void diag_open(int level);
void diag_open_at(int level, const char *journal_socket); /* NULL: stderr */
void diag_close(void);

/* Plain lines, for what has no id of its own. */
void diag_log(int priority, const char *format, ...) OCF_PRINTF(2, 3);
#define diag_debug(...) diag_log(LOG_DEBUG, __VA_ARGS__)

/* A structured event: id is a UUID of 32 hex digits from diag_ids.h, fields "OCFD_PEER=..." end with NULL. */
void diag_event(int priority, const char *id, const char *const *fields, const char *format, ...)
        OCF_PRINTF(4, 5);

uint64_t diag_dropped(void); /* messages that the journal did not take */

/* Each a field of its own; in the message they are told together. */
#define DIAG_ROLES_MAX 8u
struct diag_denial {
        const char *device;     /* UUID of the logical device */
        const char *peer;       /* address and port */
        const char *connection; /* anon-clear, auth-crypt, as entries name it */
        const char *subject;    /* a UUID; NULL: nobody in particular */
        size_t n_roles;
        const char *roles[DIAG_ROLES_MAX]; /* that the session has proven; one field each */
        const char *href, *method, *state; /* state of onboarding */
        const char *reason;
        const char *entry; /* aceid of the one that came nearest; NULL: none did */
};
const char *diag_roles_text(const struct diag_denial *d, char *buf, size_t n_buf); /* returns buf */

/* The events. */
void diag_started(const char *version, const char *bus, const char *state_directory);
void diag_stopping(const char *why);
void diag_notice(const char *id, const char *text); /* text NULL: it is over */
void diag_app_registered(const char *name, uint32_t uid, size_t n_resources);
void diag_app_vanished(const char *name, uint32_t uid, uint64_t linger_ms);
void diag_app_refused(const char *who, uint32_t uid, const char *why);
void diag_access_denied(const struct diag_denial *d);
void diag_bus_state(const char *address, int error); /* 0: connected */
void diag_surprise(int error); /* the process ends: with the place where error_fold() saw it */

#endif
