/*
 * What the files of the flows share: obt.c walks a list of steps, obt_own.c and
 * obt_provision.c make the lists, obt_payload.c what is posted.
 */
#ifndef OCF_SECURITY_OBT_PRIVATE_H
#define OCF_SECURITY_OBT_PRIVATE_H

#include "protocol/coap_code.h"
#include "protocol/rep.h"
#include "security/ace.h"
#include "security/obt.h"

#define OBT_STEPS_MAX    40u
#define OBT_PAYLOAD_MAX  16384u
#define OBT_ATTEMPTS_MAX 3u
#define OBT_PAUSE_MS     1500u

struct obt_step;

/* Writes the payload. false: it cannot be, f->problem says why. */
typedef bool obt_write(struct obt_flow *f, struct writer *w);
/* Reads the answer. Likewise. */
typedef bool obt_read(struct obt_flow *f, struct span payload);

struct obt_step {
        const char *name; /* for people */
        enum obt_want_type type;
        enum obt_channel channel;
        unsigned target;
        uint8_t method;
        const char *path;
        obt_write *write;
        obt_read *read;
        bool has_query;      /* f->query */
        bool may_be_missing; /* 4.04 is good */
        bool is_switch;      /* a state is asked for: its answer may be lost, and is found out */
        enum svr_state state;
        bool is_point_of_no_return;
        bool is_certificate; /* left out when the device can have none */
};

enum obt_phase {
        OBT_PHASE_FORWARD,
        OBT_PHASE_FINDING_OUT, /* how far the device had come, with the owner's key */
        OBT_PHASE_UNDOING,
        OBT_PHASE_OVER,
};

enum obt_finding {
        OBT_FIND_LEAVE, /* the old session is closed */
        OBT_FIND_STATE, /* pstat, with the owner's key */
        OBT_FIND_OWNED, /* doxm, in clear */
};

struct obt_flow {
        struct obt_config config;
        uint8_t *texts; /* what config's spans point to */
        struct authority_role roles[AUTHORITY_ROLES_MAX];
        struct span hrefs[ACE_RESOURCES_MAX];
        struct obt_step steps[OBT_STEPS_MAX], undo[OBT_STEPS_MAX];
        size_t n_steps, i_step, n_undo, i_undo;
        enum obt_phase phase;
        struct uuid ids[2]; /* as the devices are called now */
        struct uuid was;
        bool renamed, is_connected, has_key_stored, owned_sent, cancelled, succeeded, can_certificate,
                keep_key;
        enum svr_transfer method;
        struct tls_secrets secrets;
        uint8_t key[KEY_PSK], pair_key[KEY_PSK];
        unsigned attempts;
        bool entered[2], posted[2];      /* a target was asked into RFPRO; was sent its key */
        int64_t known[2][SVR_CREDS_MAX]; /* credids of keys for the other one, before */
        size_t n_known[2];
        bool is_pausing, is_checking;
        bool is_without; /* no certificate, though one was wanted */
        bool is_stuck;   /* not all was taken back */
        unsigned n_found;
        enum obt_finding finding;
        char query[64], problem[OBT_TEXT_MAX], text[OBT_TEXT_MAX * 2];
        uint8_t *payload;
        struct span written;
        bool is_written;
        uint8_t *certificate; /* that was issued, PEM; of several roles one after the other */
        size_t n_certificate[AUTHORITY_ROLES_MAX]; /* of each one */
};

void obt_add(struct obt_flow *f, const struct obt_step *step);
void obt_undo_first(struct obt_flow *f, const struct obt_step *step);
#define OBT_HAS_OWNER "The device has an owner already, who can reset it"

void obt_problem(struct obt_flow *f, const char *format, ...) OCF_PRINTF(2, 3);

/* Of those that are issued: one for each role, or that of the identity. */
static inline size_t obt_n_certificates(const struct obt_flow *f) {
        return f->config.n_roles ? f->config.n_roles : 1;
}

/* obt_own.c */
void obt_plan_own(struct obt_flow *f);
void obt_plan_resume(struct obt_flow *f,
                     int64_t state); /* the device is ours, in this state: what is left to do */

/* obt_provision.c */
bool obt_plan_provision(struct obt_flow *f); /* false: the arguments make no sense; f->problem */
void obt_add_certificate(struct obt_flow *f, enum obt_channel channel);

/* obt_payload.c */
obt_write obt_write_om, obt_write_owner, obt_write_id, obt_write_rowner, obt_write_owner_cred, obt_write_sdi,
        obt_write_owned, obt_write_default_access, obt_write_method, obt_write_pair, obt_write_anchor,
        obt_write_tool_anchor, obt_write_certificate, obt_write_roles_access, obt_write_access,
        obt_write_cloud, obt_write_cloud_access;
bool obt_write_state(struct obt_flow *f, enum svr_state state, struct writer *w);

#endif
