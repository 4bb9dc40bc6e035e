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

/* The events. */
void diag_started(const char *version, const char *bus, const char *state_directory);
void diag_stopping(const char *why);
void diag_notice(const char *id, const char *text); /* text NULL: it is over */
void diag_app_registered(const char *name, uint32_t uid, size_t n_resources);
void diag_app_vanished(const char *name, uint32_t uid, uint64_t linger_ms);
void diag_app_refused(const char *who, uint32_t uid, const char *why);
void diag_access_denied(const char *peer, const char *href, const char *method, const char *reason);
void diag_bus_state(const char *address, int error); /* 0: connected */
void diag_surprise(int error); /* the process ends: with the place where error_fold() saw it */

#endif
