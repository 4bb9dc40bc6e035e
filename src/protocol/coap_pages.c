#include "protocol/coap_pages.h"

#include <string.h>

void coap_pages_init(struct coap_pages *p, uint8_t *bytes, uint32_t *next, uint32_t n_max) {
        *p = (struct coap_pages){ .bytes = bytes, .next = next, .n_max = n_max };
}

static uint32_t page_take(struct coap_pages *p) {
        uint32_t page = p->free;

        if (page)
                p->free = p->next[page - 1];
        else
                page = ++p->n_fresh;
        p->n_used++;
        return page;
}

bool coap_pages_keep(struct coap_pages *p, struct span s, struct coap_stretch *ret) {
        struct coap_stretch kept = { .n = (uint32_t)s.n };
        uint32_t *link = &kept.first;

        if (coap_pages_for(s.n) > p->n_max - p->n_used)
                return false;
        while (s.n) {
                size_t n = ocf_min_size(s.n, COAP_PAGE_SIZE);

                *link = page_take(p);
                memcpy(p->bytes + (size_t)(*link - 1) * COAP_PAGE_SIZE, s.data, n);
                link = &p->next[*link - 1];
                s.data += n;
                s.n -= n;
        }
        *link = 0;
        *ret = kept;
        return true;
}

bool coap_pages_append(struct coap_pages *p, struct coap_stretch *stretch, struct coap_cursor *end,
                       struct span s) {
        size_t room = end->page ? COAP_PAGE_SIZE - (stretch->n - end->offset) : 0;
        uint32_t page;

        if (coap_pages_for(s.n - ocf_min_size(room, s.n)) > p->n_max - p->n_used)
                return false;
        while (s.n) {
                size_t at = end->page ? stretch->n - end->offset : COAP_PAGE_SIZE, n;

                if (at == COAP_PAGE_SIZE) {
                        page = page_take(p);
                        p->next[page - 1] = 0;
                        *(end->page ? &p->next[end->page - 1] : &stretch->first) = page;
                        *end = (struct coap_cursor){ page, stretch->n };
                        at = 0;
                }
                n = ocf_min_size(s.n, COAP_PAGE_SIZE - at);
                memcpy(p->bytes + (size_t)(end->page - 1) * COAP_PAGE_SIZE + at, s.data, n);
                stretch->n += (uint32_t)n;
                s.data += n;
                s.n -= n;
        }
        return true;
}

void coap_pages_drop(struct coap_pages *p, struct coap_stretch *s) {
        while (s->first) {
                uint32_t page = s->first;

                s->first = p->next[page - 1];
                p->next[page - 1] = p->free;
                p->free = page;
                p->n_used--;
        }
        s->n = 0;
}

void coap_pages_copy(const struct coap_pages *p, struct coap_stretch s, size_t offset, uint8_t *to,
                     size_t n) {
        struct coap_cursor at = { 0 };

        coap_pages_read(p, s, &at, offset, to, n);
}

static void step(const struct coap_pages *p, struct coap_cursor *at) {
        at->page = p->next[at->page - 1];
        at->offset += COAP_PAGE_SIZE;
}

void coap_pages_read(const struct coap_pages *p, struct coap_stretch s, struct coap_cursor *at, size_t offset,
                     uint8_t *to, size_t n) {
        if (!at->page || at->offset > offset)
                *at = (struct coap_cursor){ s.first, 0 };
        while (n) {
                size_t skip, n_here;

                while (offset - at->offset >= COAP_PAGE_SIZE)
                        step(p, at);
                skip = offset - at->offset;
                n_here = ocf_min_size(n, COAP_PAGE_SIZE - skip);
                memcpy(to, p->bytes + (size_t)(at->page - 1) * COAP_PAGE_SIZE + skip, n_here);
                to += n_here;
                offset += n_here;
                n -= n_here;
        }
}
