/*
 * A private bus with a fake ocfd on it, and the client under test: one thread
 * pumps them all, so that a test reads as a conversation. The fake does nothing
 * by itself but answer; it writes down what it was asked, a line each, values
 * as JSON:
 *
 *     Register / name=x linger=0: /lamp rt=oic.r.switch.binary handler; /t rt=x {"a":1}
 *     Publish /t {"a":2}
 *     Retrieve /lamp x=y
 */
#ifndef OCF_TESTS_CLIENT_FAKE_H
#define OCF_TESTS_CLIENT_FAKE_H

#include "base/span.h"
#include "base/util.h"
#include "ocfclient.h"

#include <sys/types.h>
#include <systemd/sd-bus.h>

struct fake {
        char directory[64], address[128];
        pid_t daemon;
        sd_bus *bus;  /* of the fake ocfd; NULL: it is not there */
        char app[64]; /* who has registered */
        struct ocf_client *client;

        char log[16384];
        const char *refuse; /* NULL, or the error that Register gets: "AlreadyExists", with the sentence "no:
                               NAME" */
        const char *absent; /* this href is not found */
        const char *fails;  /* requests, Observe and Publish get this error */
        bool is_mute;       /* requests are not answered */
        bool is_slow_to_find; /* GetResource waits for fake_found() */
        const char *value;    /* what requests are answered with, JSON */
        bool has_channels;    /* AcquireChannel gives one; else it is an error */
        int channel;          /* our end of the last one; 0: none */
        bool has_no_remotes;  /* FindDevice and Discover find none */
        char observer[64];    /* who has observed Lamp's /lamp last */
        sd_bus_message *finding[8];
        size_t n_finding;

        /* the last call of a handler that came back */
        bool is_answered;
        char answer[512]; /* {"value":...} as JSON, or "ERROR NAME: sentence" */
};

bool fake_has_bus(void); /* false: there is no dbus-daemon here, and the test is skipped */

int fake_setup(void **state); /* the bus, without ocfd; as cmocka wants it: *state is a struct fake */
int fake_teardown(void **state);
void fake_bus_start(struct fake *f);
void fake_bus_kill(struct fake *f);
void fake_start(struct fake *f);
void fake_stop(struct fake *f); /* it leaves the bus, as if killed */

void fake_process(struct fake *f); /* the fake alone */
void fake_turn(struct fake *f);    /* everybody, and waits a moment when nobody has anything to do */
bool fake_expired(uint64_t *deadline_us);

#define FAKE_UNTIL(f, condition)                                                                             \
        do {                                                                                                 \
                uint64_t deadline_ = 0;                                                                      \
                                                                                                             \
                while (!(condition)) {                                                                       \
                        if (fake_expired(&deadline_))                                                        \
                                fail_msg("in vain: %s; the fake wrote:\n%s", #condition, (f)->log);          \
                        fake_turn(f);                                                                        \
                }                                                                                            \
        } while (0)

bool fake_logged(const struct fake *f, const char *text);
unsigned fake_count(const struct fake *f, const char *text);
void fake_forget(struct fake *f); /* the log */
void fake_settle(struct fake *f); /* turns until nothing has happened for a while */

void fake_found(struct fake *f); /* answers the GetResources that wait */
/* Signals of the resource with this href, to the app. */
void fake_updated(struct fake *f, const char *href, const char *json);
void fake_notified(struct fake *f, const char *href, const char *json, uint64_t missed, const char *error);
/* Calls Handler1 of the app; extra: "notify" or NULL. */
void fake_handle(struct fake *f, const char *method, const char *href, const char *json, const char *extra);

/* Other devices: "Lamp" (00000000-0000-4000-8000-000000000001), which nobody owns, with /lamp; and "Gate"
 * (...2), which is ours, silent, and has nothing. What is asked of them is written down as "Retrieve Lamp
 * /lamp". */
void fake_remote_start(struct fake *f); /* fake_start() does it */
/* Of Lamp's /lamp, to whoever has observed it last. */
void fake_remote_notified(struct fake *f, const char *json, const char *mode, const char *error);

struct ocf_value *fake_value(const char *json);
/* As text; static, for one use. */
const char *fake_json(const struct ocf_value *v);

/* What the parts of the fake share. A v or an a{sv} at this place of a message as JSON; JSON as normal form:
 * both static. */
void fake_note(struct fake *f, const char *format, ...) OCF_PRINTF(2, 3);
const char *fake_read_json(sd_bus_message *m, bool is_map);
struct span fake_rep(const char *json);
int fake_reply_error(sd_bus_message *m, const char *name);
int fake_answer_request(struct fake *f, sd_bus_message *m, const char *of);

#endif
