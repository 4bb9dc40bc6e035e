#include "base/memory.h"
#include "base/utf8.h"
#include "security/svr_period.h"
#include "security/svr_private.h"

#include <errno.h>
#include <string.h>

/*
 * /oic/sec/ael: what may be audited (security.md 7). A ring of events, each
 * kept as it will be told; the oldest gives way. How often a stranger may make
 * us write one is the caller's to limit.
 */

enum property { EVENTS, USEDSPACE, MAXSPACE, UNIT, CATEGORYFILTER, PRIORITYFILTER, _PROPERTY_N };

#define WRITABLE   (SVR_IN(SVR_RFOTM) | SVR_IN(SVR_RFPRO) | SVR_IN(SVR_SRESET))
#define DETAIL_MAX 256
#define EVENT_MAX  2048

static const struct svr_property properties[_PROPERTY_N] = {
        [EVENTS] = { "events", 0 },
        [USEDSPACE] = { "usedspace", 0 },
        [MAXSPACE] = { "maxspace", 0 },
        [UNIT] = { "unit", 0 },
        [CATEGORYFILTER] = { "categoryfilter", WRITABLE },
        [PRIORITYFILTER] = { "priorityfilter", WRITABLE },
};

static void drop_oldest(struct svr_ael *ael) {
        ael->n_bytes -= ael->records[0]->n;
        ocf_free(ael->records[0]);
        ael->n_records--;
        memmove(&ael->records[0], &ael->records[1], ael->n_records * sizeof(*ael->records));
        ael->records[ael->n_records] = NULL;
}

void svr_ael_clear(struct svr_ael *ael) {
        while (ael->n_records)
                drop_oldest(ael);
        ael->categories = 255;
        ael->priority = SVR_AEL_DEBUG;
}

int svr_ael_keep(struct svr *svr, struct span event) {
        struct svr_ael *ael = &svr->ael;
        struct svr_record *record;

        if (event.n > svr->device.ael_max)
                return 0;
        record = ocf_allocate(1, sizeof(*record) + event.n);
        if (!record)
                return -ENOMEM;
        record->n = event.n;
        memcpy(record->bytes, event.data, event.n);
        while (ael->n_records == SVR_RECORDS_MAX ||
               (ael->n_records && ael->n_bytes + event.n > svr->device.ael_max))
                drop_oldest(ael);
        ael->records[ael->n_records++] = record;
        ael->n_bytes += event.n;
        return 0;
}

/* Cut between two characters; what is no text at all is left out. */
static struct span shorten(struct span detail) {
        detail.n = ocf_min_size(detail.n, DETAIL_MAX);
        for (unsigned i = 0; i < 4 && detail.n && !utf8_is_valid(detail, UTF8_ANY); i++)
                detail.n--;
        return utf8_is_valid(detail, UTF8_ANY) ? detail : SPAN_LITERAL("");
}

int svr_audit(struct svr *svr, const struct svr_event *event, bool *ret_kept) {
        uint8_t buf[EVENT_MAX];
        struct writer w = writer_on(buf, sizeof(buf));
        char time[SVR_TIME_TEXT_MAX];
        int r;

        *ret_kept = false;
        if (!(event->category & svr->ael.categories) || event->priority > svr->ael.priority)
                return 0;
        rep_put_map(&w, 6);
        rep_put_string(&w, "aeid");
        rep_put_string(&w, event->id);
        rep_put_string(&w, "category");
        rep_put_uint(&w, event->category);
        rep_put_string(&w, "priority");
        rep_put_uint(&w, event->priority);
        rep_put_string(&w, "timestamp");
        rep_put_string(&w, svr_time_format(event->wall_s < 0 ? 0 : event->wall_s, time));
        rep_put_string(&w, "message");
        rep_put_string(&w, event->message);
        rep_put_string(&w, "auxiliaryinfo");
        rep_put_array(&w, event->n_details);
        for (size_t i = 0; i < event->n_details; i++)
                rep_put_text(&w, shorten(event->details[i]));
        if (w.overflow || w.n > svr->device.ael_max)
                return 0;
        r = svr_ael_keep(svr, writer_span(&w));
        *ret_kept = !r;
        return r;
}

static int update(struct svr *svr, const struct svr_call *call, struct svr_result *ret) {
        struct svr_walk walk = { .table = properties, .n_table = _PROPERTY_N };
        uint64_t categories = svr->ael.categories, priority = svr->ael.priority;
        struct span value;
        int i, r;

        while ((r = svr_walk(&walk, svr, call, &i, &value, ret)) > 0)
                if (i == CATEGORYFILTER ? !svr_as_uint(value, 255, &categories)
                                        : !svr_as_uint(value, SVR_AEL_DEBUG, &priority))
                        return svr_refuse(ret, FAULT_BAD_REPRESENTATION, "a filter that is out of range");
        if (r < 0)
                return 0;
        svr->ael.categories = (uint8_t)categories;
        svr->ael.priority = (uint8_t)priority;
        return svr_done(ret, COAP_CHANGED, SVR_BIT(SVR_AEL), 0);
}

static int retrieve(struct svr *svr, const struct svr_call *call, struct writer *out,
                    struct svr_result *ret) {
        uint64_t n;
        size_t begun = svr_begin(out, call, &n);

        rep_put_string(out, "events");
        rep_put_array(out, svr->ael.n_records);
        for (size_t i = 0; i < svr->ael.n_records; i++)
                rep_put_item(out, span_of(svr->ael.records[i]->bytes, svr->ael.records[i]->n));
        rep_put_string(out, "usedspace");
        rep_put_uint(out, svr->ael.n_bytes);
        rep_put_string(out, "maxspace");
        rep_put_uint(out, svr->device.ael_max);
        rep_put_string(out, "unit");
        rep_put_string(out, "Byte");
        rep_put_string(out, "categoryfilter");
        rep_put_uint(out, svr->ael.categories);
        rep_put_string(out, "priorityfilter");
        rep_put_uint(out, svr->ael.priority);
        return svr_end(out, begun, n + 6, ret);
}

int svr_ael_request(struct svr *svr, const struct svr_call *call, struct writer *out,
                    struct svr_result *ret) {
        return call->request->method == COAP_GET ? retrieve(svr, call, out, ret) : update(svr, call, ret);
}
