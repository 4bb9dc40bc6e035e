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
        uint32_t page = s.first;

        while (offset >= COAP_PAGE_SIZE) {
                page = p->next[page - 1];
                offset -= COAP_PAGE_SIZE;
        }
        while (n) {
                size_t n_here = ocf_min_size(n, COAP_PAGE_SIZE - offset);

                memcpy(to, p->bytes + (size_t)(page - 1) * COAP_PAGE_SIZE + offset, n_here);
                to += n_here;
                n -= n_here;
                offset = 0;
                page = p->next[page - 1];
        }
}
