#include "dbus/channel_packet.h"
#include "protocol/rep.h"

/* ---- writing ---- */

static void put_text_or_null(struct writer *w, struct span s) {
        if (s.data)
                rep_put_text(w, s);
        else
                rep_put_null(w);
}

static void put_int_or_null(struct writer *w, int64_t v) {
        if (v >= 0)
                rep_put_uint(w, (uint64_t)v);
        else
                rep_put_null(w);
}

static void put_value(struct writer *w, struct span value) {
        if (value.data)
                rep_put_bytes(w, value);
        else
                rep_put_null(w);
}

static void put_request(const struct channel_packet *p, struct writer *w) {
        rep_put_array(w, 11);
        rep_put_uint(w, CHANNEL_REQUEST);
        rep_put_uint(w, p->id);
        rep_put_uint(w, p->method);
        rep_put_text(w, p->href);
        rep_put_text(w, p->interface);
        rep_put_text(w, p->query);
        rep_put_uint(w, p->flags);
        rep_put_uint(w, p->timeout_ms);
        put_text_or_null(w, p->device_id);
        put_int_or_null(w, p->uid);
        put_value(w, p->value);
}

static void put_answer(const struct channel_packet *p, struct writer *w) {
        rep_put_array(w, 6);
        rep_put_uint(w, CHANNEL_ANSWER);
        rep_put_uint(w, p->id);
        put_int_or_null(w, p->code);
        put_int_or_null(w, p->content_format);
        put_int_or_null(w, p->max_age_s);
        put_value(w, p->value);
}

bool channel_packet_write(const struct channel_packet *p, struct writer *w) {
        switch (p->kind) {
        case CHANNEL_REQUEST:
                put_request(p, w);
                break;
        case CHANNEL_ANSWER:
                put_answer(p, w);
                break;
        case CHANNEL_FAULT:
                rep_put_array(w, 4);
                rep_put_uint(w, CHANNEL_FAULT);
                rep_put_uint(w, p->id);
                rep_put_text(w, p->name);
                rep_put_text(w, p->text);
                break;
        case CHANNEL_PART:
                rep_put_array(w, 3);
                rep_put_uint(w, CHANNEL_PART);
                rep_put_uint(w, p->id);
                rep_put_bytes(w, p->value);
                break;
        }
        return !w->overflow;
}

/* ---- reading: each takes one item from the front, and says whether it was one of those ---- */

static bool take_uint(struct span *s, uint64_t *ret) {
        struct rep_token t;

        if (!rep_next(s, &t) || t.type != REP_UINT)
                return false;
        *ret = t.value.unsigned_integer;
        return true;
}

static bool take_int_or_null(struct span *s, int64_t *ret) {
        struct rep_token t;

        if (!rep_next(s, &t) || (t.type != REP_UINT && t.type != REP_NULL))
                return false;
        if (t.type == REP_UINT && t.value.unsigned_integer > INT64_MAX)
                return false;
        *ret = t.type == REP_NULL ? -1 : (int64_t)t.value.unsigned_integer;
        return true;
}

static bool take_string(struct span *s, enum rep_type type, bool may_be_null, struct span *ret) {
        struct rep_token t;

        if (!rep_next(s, &t) || (t.type != type && !(may_be_null && t.type == REP_NULL)))
                return false;
        *ret = t.type == REP_NULL ? SPAN_NULL : t.value.string;
        if (t.type != REP_NULL && !ret->data)
                ret->data = (const uint8_t *)"";
        return true;
}

static bool read_request(struct channel_packet *p, struct span *s) {
        return take_uint(s, &p->method) && take_string(s, REP_TEXT, false, &p->href) &&
               take_string(s, REP_TEXT, false, &p->interface) && take_string(s, REP_TEXT, false, &p->query) &&
               take_uint(s, &p->flags) && take_uint(s, &p->timeout_ms) &&
               take_string(s, REP_TEXT, true, &p->device_id) && take_int_or_null(s, &p->uid) &&
               take_string(s, REP_BYTES, true, &p->value);
}

static bool read_answer(struct channel_packet *p, struct span *s) {
        return take_int_or_null(s, &p->code) && take_int_or_null(s, &p->content_format) &&
               take_int_or_null(s, &p->max_age_s) && take_string(s, REP_BYTES, true, &p->value);
}

static bool read_rest(struct channel_packet *p, uint64_t kind, uint64_t n, struct span *s) {
        p->kind = (enum channel_kind)kind;
        switch (kind) {
        case CHANNEL_REQUEST:
                return n >= 11 && read_request(p, s);
        case CHANNEL_ANSWER:
                return n >= 6 && read_answer(p, s);
        case CHANNEL_FAULT:
                return n >= 4 && take_string(s, REP_TEXT, false, &p->name) &&
                       take_string(s, REP_TEXT, false, &p->text);
        case CHANNEL_PART:
                return n >= 3 && take_string(s, REP_BYTES, false, &p->value);
        default:
                return false;
        }
}

int channel_packet_read(struct channel_packet *ret, struct span packet) {
        struct channel_packet p = { .uid = -1, .code = -1, .content_format = -1, .max_age_s = -1 };
        struct rep_token t;
        uint64_t kind;

        if (!rep_next(&packet, &t) || t.type != REP_ARRAY || !take_uint(&packet, &kind) ||
            !take_uint(&packet, &p.id) || !read_rest(&p, kind, t.value.n, &packet))
                return CHANNEL_PACKET_E_MALFORMED;
        *ret = p;
        return 0;
}
