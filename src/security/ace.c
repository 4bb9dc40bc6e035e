#include "security/ace.h"
#include "base/memory.h"
#include "security/svr_field.h"
#include "security/svr_period.h"

#include <errno.h>
#include <string.h>

enum key { KEY_ACEID, KEY_SUBJECT, KEY_PERMISSION, KEY_RESOURCES, KEY_VALIDITY, KEY_HREF, KEY_TAG, _KEY_N };

static const struct svr_property keys[_KEY_N] = {
        [KEY_ACEID] = { .name = "aceid" },
        [KEY_SUBJECT] = { .name = "subject" },
        [KEY_PERMISSION] = { .name = "permission" },
        [KEY_RESOURCES] = { .name = "resources" },
        [KEY_VALIDITY] = { .name = "validity" },
        [KEY_HREF] = { .name = "href" },
        [KEY_TAG] = { .name = "tag" },
};

static const char *take_conntype(struct ace *a, struct span value) {
        struct span text;

        if (!rep_as_text(value, &text))
                return "conntype is no text";
        if (span_equal_string(text, "auth-crypt"))
                a->subject = ACE_AUTH_CRYPT;
        else if (span_equal_string(text, "anon-clear"))
                a->subject = ACE_ANON_CLEAR;
        else
                return "a conntype that is not known";
        return NULL;
}

/* Exactly one form: uuid, role with or without an authority, conntype. */
static const char *take_subject(struct ace *a, struct span item) {
        static const char mixed[] = "a subject is a uuid, or a role, or a conntype";
        struct span uuid, role, conntype, authority;
        bool has_uuid = rep_map_find(item, "uuid", &uuid), has_role = rep_map_find(item, "role", &role),
             has_conntype = rep_map_find(item, "conntype", &conntype),
             has_authority = rep_map_find(item, "authority", &authority);
        struct span pairs;
        uint64_t n;

        if (!rep_map_begin(item, &pairs, &n) || has_uuid + has_role + has_conntype != 1 ||
            (has_authority && !has_role) || n != 1u + has_authority)
                return mixed;
        if (has_conntype)
                return take_conntype(a, conntype);
        if (has_uuid) {
                a->subject = ACE_UUID;
                return svr_as_uuid(uuid, &a->uuid) && !uuid_is_nil(&a->uuid) ? NULL
                                                                             : "the subject is no UUID";
        }
        a->subject = ACE_ROLE;
        if (!svr_as_text(role, ACE_TEXT_MAX, &a->role) || !a->role.n)
                return "role is no text";
        if (has_authority && !svr_as_text(authority, ACE_TEXT_MAX, &a->authority))
                return "authority is no text";
        if (!a->authority.n)
                a->authority = SPAN_NULL; /* an empty one is that of anybody, security.md 3.3 */
        return NULL;
}

static const char *take_resource(struct ace_resource *ret, struct span item) {
        struct span pairs, key, value, text;
        uint64_t n;

        if (!rep_map_begin(item, &pairs, &n))
                return "a resource is no map";
        while (rep_map_next(&pairs, &key, &value)) {
                if (key.data && span_equal_string(key, "href")) {
                        if (!svr_as_text(value, ACE_HREF_MAX, &ret->href) || !ret->href.n ||
                            ret->href.data[0] != '/')
                                return "an href begins with / and has at most 256 bytes";
                } else if (key.data && span_equal_string(key, "wc")) {
                        if (!rep_as_text(value, &text) || text.n != 1 || !strchr("+-*", text.data[0]) ||
                            !text.data[0])
                                return "a wildcard is +, - or *";
                        ret->wildcard = (char)text.data[0];
                } else if (!key.data || (!span_equal_string(key, "if") && !span_equal_string(key, "rt"))) {
                        return "a resource has href or wc";
                }
        }
        return ret->href.data || ret->wildcard ? NULL : "a resource without href and wc";
}

static const char *take_resources(struct ace *a, struct span item) {
        struct span items, resource;
        const char *problem = NULL;
        uint64_t n;

        if (!svr_array_begin(item, &items, &n))
                return "resources is no list";
        if (n > ACE_RESOURCES_MAX)
                return "too many resources in an entry";
        a->n_resources = 0;
        while (!problem && rep_skip(&items, &resource)) {
                a->resources[a->n_resources] = (struct ace_resource){ 0 };
                problem = take_resource(&a->resources[a->n_resources++], resource);
        }
        return problem;
}

static const char *take_recurrences(struct ace_validity *v, struct span item) {
        struct span items, rule;
        uint64_t n;

        if (!svr_array_begin(item, &items, &n) || n > ACE_RECURRENCES_MAX)
                return "recurrence is no list, or too long";
        while (rep_skip(&items, &rule)) {
                struct span *to = &v->recurrences[v->n_recurrences++];

                if (!svr_as_text(rule, ACE_TEXT_MAX, to) || !svr_recurrence_is_known(*to))
                        return "a recurrence that is not known";
        }
        return NULL;
}

static const char *take_validity(struct ace_validity *v, struct span item) {
        struct span pairs, key, value;
        struct svr_period period;
        const char *problem = NULL;
        uint64_t n;

        if (!rep_map_begin(item, &pairs, &n))
                return "a validity is no map";
        while (!problem && rep_map_next(&pairs, &key, &value)) {
                if (key.data && span_equal_string(key, "period"))
                        problem = svr_as_text(value, ACE_TEXT_MAX, &v->period) &&
                                                  svr_period_parse(&period, v->period)
                                          ? NULL
                                          : "a period is begin/end, 20260101T080000Z/20260101T170000Z";
                else if (key.data && span_equal_string(key, "recurrence"))
                        problem = take_recurrences(v, value);
                else
                        problem = "a validity has period and recurrence";
        }
        return problem || v->period.n ? problem : "a validity without a period";
}

static const char *take_validities(struct ace *a, struct span item) {
        struct span items, validity;
        const char *problem = NULL;
        uint64_t n;

        if (!svr_array_begin(item, &items, &n))
                return "validity is no list";
        if (n > ACE_VALIDITIES_MAX)
                return "too many validities in an entry";
        a->n_validities = 0;
        while (!problem && rep_skip(&items, &validity)) {
                a->validities[a->n_validities] = (struct ace_validity){ 0 };
                problem = take_validity(&a->validities[a->n_validities++], validity);
        }
        return problem;
}

static const char *take(struct ace *a, enum key key, struct span value) {
        uint64_t v;

        switch (key) {
        case KEY_ACEID:
                if (!svr_as_uint(value, INT32_MAX, &v) || !v)
                        return "aceid is out of range";
                a->id = (int32_t)v;
                return NULL;
        case KEY_SUBJECT:
                return take_subject(a, value);
        case KEY_PERMISSION:
                if (!svr_as_uint(value, ACE_ALL, &v))
                        return "permission is 0 to 31";
                a->permission = (uint8_t)v;
                return NULL;
        case KEY_RESOURCES:
                return take_resources(a, value);
        case KEY_VALIDITY:
                return take_validities(a, value);
        case KEY_HREF: /* beside the resources: a test tool does that, the reference looks away */
        case KEY_TAG:
                return NULL;
        case _KEY_N:
                break;
        }
        return "a property that is not known";
}

const char *ace_parse(struct ace *ret, struct span item, struct ace_arrays *arrays) {
        struct ace a = { .resources = arrays->resources, .validities = arrays->validities };
        struct span pairs, key, value;
        bool seen[_KEY_N] = { false };
        const char *problem = NULL;
        uint64_t n;

        if (!rep_map_begin(item, &pairs, &n))
                return "an entry is no map";
        while (!problem && rep_map_next(&pairs, &key, &value)) {
                int i = svr_property_find(keys, _KEY_N, key);

                if (i < 0)
                        return "a property that is not known";
                seen[i] = true;
                problem = take(&a, (enum key)i, value);
        }
        if (!problem && !seen[KEY_SUBJECT])
                problem = "subject is missing";
        if (!problem && !seen[KEY_PERMISSION])
                problem = "permission is missing";
        if (!problem)
                *ret = a;
        return problem;
}

/* ---- owning one ---- */

static size_t n_text(const struct ace *a) {
        size_t n = a->role.n + a->authority.n;

        for (size_t i = 0; i < a->n_resources; i++)
                n += a->resources[i].href.n;
        for (size_t i = 0; i < a->n_validities; i++) {
                n += a->validities[i].period.n;
                for (size_t k = 0; k < a->validities[i].n_recurrences; k++)
                        n += a->validities[i].recurrences[k].n;
        }
        return n;
}

static void move_text(struct span *s, uint8_t **p) {
        if (!s->data)
                return;
        memcpy(*p, s->data, s->n);
        s->data = *p;
        *p += s->n;
}

/* One block: the entry, its resources, its validities, its text. */
int ace_new(struct ace **ret, const struct ace *view) {
        size_t n_validities = view->n_validities * sizeof(*view->validities),
               n_resources = view->n_resources * sizeof(*view->resources);
        struct ace *a = ocf_allocate(1, sizeof(*a) + n_validities + n_resources + n_text(view));
        uint8_t *text;

        if (!a)
                return -ENOMEM;
        *a = *view;
        a->validities = (struct ace_validity *)(a + 1);
        a->resources = (struct ace_resource *)(a->validities + view->n_validities);
        if (n_validities)
                memcpy(a->validities, view->validities, n_validities);
        if (n_resources)
                memcpy(a->resources, view->resources, n_resources);
        text = (uint8_t *)(a->resources + view->n_resources);
        move_text(&a->role, &text);
        move_text(&a->authority, &text);
        for (size_t i = 0; i < a->n_resources; i++)
                move_text(&a->resources[i].href, &text);
        for (size_t i = 0; i < a->n_validities; i++) {
                move_text(&a->validities[i].period, &text);
                for (size_t k = 0; k < a->validities[i].n_recurrences; k++)
                        move_text(&a->validities[i].recurrences[k], &text);
        }
        *ret = a;
        return 0;
}

struct ace *ace_free(struct ace *a) {
        return ocf_free(a);
}

size_t ace_size(const struct ace *a) {
        return 128 + n_text(a) + a->n_resources * 16 + a->n_validities * 48;
}

static void put_text(struct writer *w, const char *name, struct span text) {
        rep_put_string(w, name);
        rep_put_text(w, text);
}

static void put_subject(struct writer *w, const struct ace *a) {
        rep_put_string(w, "subject");
        rep_put_map(w, a->subject == ACE_ROLE && a->authority.data ? 2 : 1);
        switch (a->subject) {
        case ACE_UUID:
                rep_put_string(w, "uuid");
                svr_put_uuid(w, &a->uuid);
                break;
        case ACE_ROLE:
                put_text(w, "role", a->role);
                if (a->authority.data)
                        put_text(w, "authority", a->authority);
                break;
        case ACE_AUTH_CRYPT:
                put_text(w, "conntype", SPAN_LITERAL("auth-crypt"));
                break;
        case ACE_ANON_CLEAR:
                put_text(w, "conntype", SPAN_LITERAL("anon-clear"));
                break;
        }
}

static void put_resources(struct writer *w, const struct ace *a) {
        rep_put_string(w, "resources");
        rep_put_array(w, a->n_resources);
        for (size_t i = 0; i < a->n_resources; i++) {
                const struct ace_resource *r = &a->resources[i];

                rep_put_map(w, r->href.data && r->wildcard ? 2 : 1);
                if (r->href.data)
                        put_text(w, "href", r->href);
                if (r->wildcard)
                        put_text(w, "wc", span_of(&r->wildcard, 1));
        }
}

static void put_validities(struct writer *w, const struct ace *a) {
        rep_put_string(w, "validity");
        rep_put_array(w, a->n_validities);
        for (size_t i = 0; i < a->n_validities; i++) {
                const struct ace_validity *v = &a->validities[i];

                rep_put_map(w, v->n_recurrences ? 2 : 1);
                put_text(w, "period", v->period);
                if (!v->n_recurrences)
                        continue;
                rep_put_string(w, "recurrence");
                rep_put_array(w, v->n_recurrences);
                for (size_t k = 0; k < v->n_recurrences; k++)
                        rep_put_text(w, v->recurrences[k]);
        }
}

void ace_put(struct writer *w, const struct ace *a) {
        rep_put_map(w, a->n_validities ? 5 : 4);
        put_subject(w, a);
        put_resources(w, a);
        rep_put_string(w, "permission");
        rep_put_uint(w, a->permission);
        rep_put_string(w, "aceid");
        rep_put_int(w, a->id);
        if (a->n_validities)
                put_validities(w, a);
}

static bool validities_equal(const struct ace *a, const struct ace *b) {
        if (a->n_validities != b->n_validities)
                return false;
        for (size_t i = 0; i < a->n_validities; i++) {
                const struct ace_validity *v = &a->validities[i], *u = &b->validities[i];

                if (!span_equal(v->period, u->period) || v->n_recurrences != u->n_recurrences)
                        return false;
                for (size_t k = 0; k < v->n_recurrences; k++)
                        if (!span_equal(v->recurrences[k], u->recurrences[k]))
                                return false;
        }
        return true;
}

bool ace_can_be_merged(const struct ace *a, const struct ace *b) {
        return a->subject == b->subject && uuid_equal(&a->uuid, &b->uuid) && span_equal(a->role, b->role) &&
               span_equal(a->authority, b->authority) && a->permission == b->permission &&
               validities_equal(a, b);
}

bool ace_has_resource(const struct ace *a, const struct ace_resource *r) {
        for (size_t i = 0; i < a->n_resources; i++)
                if (a->resources[i].wildcard == r->wildcard && span_equal(a->resources[i].href, r->href))
                        return true;
        return false;
}

static bool validity_holds(const struct ace_validity *v, int64_t wall_s) {
        struct svr_period period;

        if (!svr_period_parse(&period, v->period))
                return false;
        for (size_t i = 0; i < v->n_recurrences; i++)
                if (svr_period_recurs(&period, v->recurrences[i], wall_s))
                        return true;
        return !v->n_recurrences && wall_s >= period.begin_s && wall_s <= period.end_s;
}

bool ace_is_valid_at(const struct ace *a, int64_t wall_s) {
        for (size_t i = 0; wall_s >= 0 && i < a->n_validities; i++)
                if (validity_holds(&a->validities[i], wall_s))
                        return true;
        return !a->n_validities;
}
