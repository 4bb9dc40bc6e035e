#include "base/memory.h"
#include "model/model_private.h"
#include "protocol/rep.h"

#include <string.h>

/*
 * A batch in which apps have a say: each of their resources is asked as the one
 * who wants the batch would ask it, a few at a time, and when the last has
 * answered the whole is written. One that does not answer well, or leaves
 * meanwhile, says nothing (the empty map): it does not spoil the others' part.
 */

#define RUNNING_MAX 8              /* calls of one batch to apps */
#define GATHERS_MAX 16             /* batches at one time */
#define BYTES_MAX   (1024u * 1024) /* of what the apps of one batch say */

struct item {
        uint64_t resource;
        char *href; /* calls may outlive the resource */
        uint8_t *rep;
        size_t n_rep;
};

struct asked {
        struct call call;
        struct gather *gather; /* NULL: free */
        struct item *item;
};

struct gather {
        struct list link; /* of the model */
        struct model *model;
        struct call *outer;
        uint16_t device;
        struct item *items; /* in the order of the device's resources */
        size_t n_items, next, at, n_running, n_bytes;
        bool is_asking;
        struct asked asked[RUNNING_MAX];
};

static struct gather *gather_free(struct gather *g) {
        for (size_t i = 0; i < g->n_items; i++) {
                ocf_free(g->items[i].href);
                ocf_free(g->items[i].rep);
        }
        ocf_free(g->items);
        list_unlink(&g->link);
        g->model->n_gathers--;
        return ocf_free(g);
}

void gather_free_all(struct model *m) {
        LIST_FOR_EACH_SAFE(i, &m->gathers)
        gather_free(LIST_ENTRY(i, struct gather, link));
}

/* ---- the end ---- */

static struct span rep_of(void *context, const struct resource *r) {
        struct gather *g = context;

        for (size_t i = 0; i < g->n_items; i++) { /* they are asked for in the order in which they stand */
                const struct item *item = &g->items[g->at++ % g->n_items];

                if (item->resource == r->number)
                        return span_of(item->rep, item->n_rep);
        }
        return SPAN_NULL;
}

/* Room for what the apps said, and for what the model knows beside it. */
#define ROOM_START (64u * 1024)
#define ROOM_MAX   (16u * 1024 * 1024)

static void write_whole(struct gather *g, struct ocf_response *ret) {
        const struct ocf_request *request = &g->outer->request;
        struct model *m = g->model;

        *ret = OCF_RESPONSE_FAULT(FAULT_FAILED);
        for (size_t room = ROOM_START; room <= ROOM_MAX; room *= 4) {
                struct writer w = writer_on(model_scratch(m, room), room);

                if (!w.data)
                        return;
                (void)batch_put(&w, m, request, m->devices[g->device], rep_of, g);
                if (w.overflow)
                        continue;
                *ret = OCF_RESPONSE_OK(COAP_CONTENT);
                ret->rep = writer_span(&w);
                return;
        }
}

static void finish(struct gather *g) {
        struct call *outer = g->outer;
        struct ocf_response response;

        write_whole(g, &response);
        gather_free(g);
        call_answer(outer, &response);
}

/* ---- asking ---- */

static void ask_more(struct gather *g);

static void keep(struct gather *g, struct item *item, struct span rep) {
        if (!rep.n || rep.n > BYTES_MAX - g->n_bytes)
                return;
        item->rep = ocf_duplicate(rep);
        if (!item->rep)
                return;
        item->n_rep = rep.n;
        g->n_bytes += rep.n;
}

static void on_done(struct call *call, const struct ocf_response *response) {
        struct asked *a = OCF_CONTAINER_OF(call, struct asked, call);
        struct gather *g = a->gather;
        struct resource *r = model_resource_by_number(g->model, a->item->resource);

        if (!response->fault && response->rep.data && r)
                keep(g, a->item,
                     call->interface == INTERFACE_BASELINE ? resource_with_common(r, response->rep)
                                                           : response->rep);
        a->gather = NULL;
        g->n_running--;
        ask_more(g);
}

static void ask(struct gather *g, struct item *item, struct resource *r) {
        const struct ocf_request *whole = &g->outer->request;
        struct asked *a = g->asked;

        while (a->gather)
                a++; /* fewer than RUNNING_MAX are running */
        *a = (struct asked){
                .gather = g,
                .item = item,
                .call = {
                        .request = {
                                .method = COAP_GET,
                                .notify = whole->notify,
                                .device = g->device,
                                .subject = whole->subject,
                                .path = span_of_string(item->href),
                                .accept = COAP_FORMAT_NONE,
                                .peer = whole->peer,
                        },
                        .interface = r->default_interface,
                        .resource = r->number,
                        .deadline_ms = g->outer->deadline_ms,
                        .done = on_done,
                },
        };
        list_init(&a->call.link);
        g->n_running++;
        r->handler->vtable->request(r->handler, r, &a->call); /* may answer at once */
}

/* What is answered at once comes back here through on_done(): the loop below goes on with it. */
static void ask_more(struct gather *g) {
        if (g->is_asking)
                return;
        g->is_asking = true;
        while (g->n_running < RUNNING_MAX && g->next < g->n_items) {
                struct item *item = &g->items[g->next++];
                struct resource *r = model_resource_by_number(g->model, item->resource);

                if (r && !r->removed && batch_must_ask(r) && batch_includes(g->model, &g->outer->request, r))
                        ask(g, item, r);
        }
        g->is_asking = false;
        if (!g->n_running)
                finish(g);
}

/* ---- the beginning ---- */

static bool collect(struct gather *g, const struct device *d) {
        size_t n = 0;

        LIST_FOR_EACH(i, &d->resources)
        n++;
        g->items = ocf_allocate(n, sizeof(*g->items));
        if (!g->items)
                return false;
        LIST_FOR_EACH(i, &d->resources) {
                const struct resource *r = LIST_ENTRY(i, struct resource, device_link);

                if (!batch_must_ask(r) || !batch_includes(g->model, &g->outer->request, r))
                        continue;
                g->items[g->n_items].resource = r->number;
                g->items[g->n_items].href = ocf_duplicate_string(r->href);
                if (!g->items[g->n_items++].href)
                        return false;
        }
        return true;
}

static void on_request(struct handler *handler, const struct resource *res, struct call *call) {
        struct ocf_response busy = OCF_RESPONSE_FAULT(FAULT_BUSY);
        struct model *m = res->device->model;
        struct gather *g = m->n_gathers < GATHERS_MAX ? ocf_new(struct gather) : NULL;

        busy.max_age_s = 1;
        if (!g) {
                call_answer(call, &busy);
                return;
        }
        g->model = m;
        g->outer = call;
        g->device = res->device->index;
        list_link_tail(&m->gathers, &g->link);
        m->n_gathers++;
        if (!collect(g, res->device)) {
                gather_free(g);
                call_answer(call, &busy);
                return;
        }
        ask_more(g);
}

const struct handler_vtable gather_vtable = { on_request, NULL, NULL };
