/*
 * A scenario as its file tells it: who is there, what the network does to
 * them, what they ask of each other, what happens at which moment, and what
 * is expected in the end. One line, one wish:
 *
 *     # comment: why this scenario exists, and where it was seen
 *     nodes 100                  real endpoints, each client and server
 *     servers 4                  only the first so many are asked (else all)
 *     strangers 4 wrap           hand-written clients: plain, wrap, late, rude, spoof, forge
 *     each client: 20 requests of get,post,slow
 *     each client: 1..5 requests of observe*3,non-get
 *     loss 0..40                 percent of the datagrams
 *     twice 0..30                percent that come twice
 *     delay 1..3000              milliseconds, drawn for each: so they overtake
 *     late 0..5                  percent that come later by late-by
 *     drop 1..60                 just this datagram of the run is lost
 *     mtu 1280                   longer datagrams are lost
 *     body 1..5000               bytes of what is fetched and brought
 *     pause, change, hold        milliseconds between requests of a client, between
 *                                changes of a server, until an observation is cancelled
 *     timeout 5000..65000        of half of the requests; the others: as the endpoint has it
 *     ids equal                  all nodes draw the same message ids and tokens
 *     uri shared                 what goes up, and long answers, have one URI for all requests
 *     tcp 50                     percent of the requests that go over a connection
 *     limit exchanges 16         of coap_limits, of every node
 *     config nstart 4            of coap_config
 *     szx 0..6                   largest block of each node, drawn for each
 *     bound amplification        three bytes for one to who has proven nothing
 *     at 5000 partition 1..3     these see only each other; also: heal, deaf, mute,
 *                                reboot, vanish, rebind, sleep, loss, delay, multicast, end,
 *                                cut, release
 *     until 60000                then nothing new is begun and the network heals
 *     expect answered 90         percent; expect heard 70: of a multicast's answers;
 *     expect newest              observers know the last state in the end
 *     expect prompt              they know it seconds after the last change
 *     expect fair                strangers that ask too much are not counted, the others are
 *     rare 20                    only each so many-th run plays it
 *
 * A range "a..b" is drawn anew for each run.
 */
#ifndef OCF_TESTS_SIM_SCENARIO_H
#define OCF_TESTS_SIM_SCENARIO_H

#include "protocol/coap_endpoint.h"

#include <stdio.h>

struct range {
        uint32_t least, most;
};

enum ask_kind {
        ASK_GET,
        ASK_VALID, /* has a body already, and asks whether it still holds: 2.03 or a new one */
        ASK_FETCH,
        ASK_POST,
        ASK_PUT,
        ASK_DELETE,
        ASK_PATCH,
        ASK_SLOW,    /* an effect, and an answer after some seconds */
        ASK_LATE,    /* an answer when nobody waits for it any more */
        ASK_DIES,    /* the app takes it and is never heard of again */
        ASK_QUIET,   /* its client wants no answer (RFC 7967) */
        ASK_REFUSED, /* 4.03 */
        ASK_LONG,    /* a body in blocks comes */
        ASK_UPLOAD,  /* a body in blocks goes */
        ASK_BOTH,    /* both in one exchange */
        ASK_OBSERVE,
        ASK_WATCH, /* observes a body in blocks */
        N_ASK_KINDS,
};

extern const char *const ask_kind_names[N_ASK_KINDS];

#define SCENARIO_KINDS  24
#define SCENARIO_WISHES 4

/* "each client: N requests of KINDS" */
struct wish {
        struct range n;
        uint8_t kinds[SCENARIO_KINDS]; /* drawn with equal chances */
        bool non_confirmable[SCENARIO_KINDS];
        uint32_t n_kinds;
};

enum stranger_kind {
        STRANGER_PLAIN,
        STRANGER_WRAP,
        STRANGER_LATE,
        STRANGER_RUDE,
        STRANGER_SPOOF,
        STRANGER_FORGE,
        N_STRANGERS
};

enum action_type {
        ACTION_PARTITION,
        ACTION_HEAL,
        ACTION_DEAF,
        ACTION_MUTE,
        ACTION_REBOOT,
        ACTION_VANISH,
        ACTION_REBIND,
        ACTION_SLEEP,
        ACTION_LOSS,
        ACTION_DELAY,
        ACTION_MULTICAST,
        ACTION_CUT,
        ACTION_RELEASE,
        ACTION_END,
        N_ACTIONS,
};

extern const char *const action_names[N_ACTIONS];

struct action {
        struct range at_ms;
        enum action_type type;
        struct range who, amount;
};

struct scenario {
        char name[48];
        char reason[128]; /* its first comment */
        struct range nodes, servers, loss, twice, delay_ms, late, late_ms, drop, mtu, body;
        struct range pause_ms, change_ms, hold_ms, until_ms, settle_ms, timeout_ms;
        struct range max_age_s, szx;
        struct range strangers[N_STRANGERS];
        struct wish wishes[SCENARIO_WISHES];
        struct action actions[32];
        uint32_t n_wishes, n_actions;
        uint32_t tcp; /* percent of the requests that go over a connection */
        bool equal_ids, shared_uri;
        struct coap_config config; /* all but random */
        uint32_t expect_answered;  /* percent */
        uint32_t expect_heard;     /* percent of those that a multicast reached */
        bool expect_newest, expect_prompt, expect_fair;
        uint32_t rare;
};

/* Reads a scenario. Return: 0; -1 after a word on stderr about the line that is not understood. */
int scenario_read(struct scenario *ret, const char *path);

/* All *.scenario files of a folder, by name. Return: how many; -1. */
int scenario_read_all(struct scenario **ret, const char *folder);

#endif
