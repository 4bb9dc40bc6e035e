#include "base/memory.h"
#include "model/model_private.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#define INDEX_START 64

/* ---- the indexes: by (device, href), and by number ---- */

static uint64_t href_hash(uint16_t device, struct span href) {
        uint64_t h = 14695981039346656037u ^
                     device; /* FNV-1a: only local apps choose what goes in, and quotas bound it */

        for (size_t i = 0; i < href.n; i++)
                h = (h ^ href.data[i]) * 1099511628211u;
        return h ^ h >> 32;
}

static struct resource **href_slot(const struct model *m, uint16_t device, struct span href) {
        return &m->index[href_hash(device, href) & m->index_mask];
}

static struct resource **number_slot(const struct model *m, uint64_t number) {
        return &m->numbers[number & m->index_mask]; /* they are consecutive */
}

static void index_insert(struct model *m, struct resource *r) {
        struct resource **by_href = href_slot(m, r->device->index, span_of_string(r->href));
        struct resource **by_number = number_slot(m, r->number);

        r->index_next = *by_href;
        *by_href = r;
        r->number_next = *by_number;
        *by_number = r;
}

bool model_index_reserve(struct model *m, size_t n_more) {
        size_t n = m->index_mask + 1;
        struct resource **index, **numbers;

        if (m->index && m->n_resources + n_more <= n)
                return true;
        n = m->index ? n : INDEX_START;
        while (n < m->n_resources + n_more)
                n *= 2;
        index = ocf_allocate(n, sizeof(*index));
        numbers = ocf_allocate(n, sizeof(*numbers));
        if (!index || !numbers) {
                ocf_free(index);
                ocf_free(numbers);
                return false;
        }
        ocf_free(m->index);
        ocf_free(m->numbers);
        m->index = index;
        m->numbers = numbers;
        m->index_mask = n - 1;
        for (size_t i = 0; i < m->n_devices; i++)
                LIST_FOR_EACH(j, &m->devices[i]->resources)
        index_insert(m, LIST_ENTRY(j, struct resource, device_link));
        return true;
}

void model_index_add(struct model *m, struct resource *r) {
        index_insert(m, r);
        m->n_resources++;
}

void model_index_remove(struct model *m, struct resource *r) {
        struct resource **i = href_slot(m, r->device->index, span_of_string(r->href));

        while (*i != r)
                i = &(*i)->index_next;
        *i = r->index_next;
        i = number_slot(m, r->number);
        while (*i != r)
                i = &(*i)->number_next;
        *i = r->number_next;
        m->n_resources--;
}

struct resource *model_resource_find(const struct model *m, uint16_t device, struct span href) {
        for (struct resource *r = *href_slot(m, device, href); r; r = r->index_next)
                if (r->device->index == device && span_equal_string(href, r->href))
                        return r;
        return NULL;
}

struct resource *model_resource_by_number(const struct model *m, uint64_t number) {
        for (struct resource *r = *number_slot(m, number); r; r = r->number_next)
                if (r->number == number)
                        return r;
        return NULL;
}

/* ---- news ---- */

static void note(struct list *dirty, unsigned *news, struct list *link, unsigned more) {
        if (!*news)
                list_link_tail(dirty, link);
        *news |= more;
}

void device_news(struct device *d, unsigned news) {
        note(&d->model->dirty_devices, &d->news, &d->dirty_link, news);
}

void app_news(struct app *a, unsigned news) {
        note(&a->model->dirty_apps, &a->news, &a->dirty_link, news);
}

void resource_news(struct resource *r, unsigned news) {
        note(&r->device->model->dirty_resources, &r->news, &r->dirty_link, news);
}

static unsigned take_news(unsigned *news, struct list *link) {
        unsigned taken = *news;

        *news = 0;
        list_unlink(link);
        return taken & MODEL_NEWS_REMOVED ? MODEL_NEWS_REMOVED : taken;
}

static void free_told(struct model *m) {
        m->told_resource = resource_free(m->told_resource);
        m->told_app = app_free(m->told_app);
}

static bool device_event(struct model *m, struct model_event *ret) {
        struct list *first = list_first(&m->dirty_devices);
        struct device *d;

        if (!first)
                return false;
        d = LIST_ENTRY(first, struct device, dirty_link);
        *ret = (struct model_event){ .news = take_news(&d->news, first), .device = d };
        return true;
}

static bool resource_event(struct model *m, struct model_event *ret) {
        struct list *first;

        while ((first = list_first(&m->dirty_resources))) {
                struct resource *r = LIST_ENTRY(first, struct resource, dirty_link);
                bool unseen = r->news & MODEL_NEWS_ADDED;

                *ret = (struct model_event){ .news = take_news(&r->news, first), .resource = r };
                if (!r->removed)
                        return true;
                m->told_resource = r;
                if (!unseen)
                        return true;
                free_told(m); /* it came and went unseen */
        }
        return false;
}

/* Apps come before their resources, and go after them. */
static bool app_event(struct model *m, bool leaving, struct model_event *ret) {
        LIST_FOR_EACH_SAFE(i, &m->dirty_apps) {
                struct app *a = LIST_ENTRY(i, struct app, dirty_link);
                bool unseen = a->news & MODEL_NEWS_ADDED, leaves = a->news & MODEL_NEWS_REMOVED;

                if (leaves != leaving)
                        continue;
                *ret = (struct model_event){ .news = take_news(&a->news, i), .app = a };
                if (!leaves)
                        return true;
                m->told_app = a;
                if (!unseen)
                        return true;
                free_told(m);
        }
        return false;
}

bool model_event(struct model *m, struct model_event *ret) {
        free_told(m);
        return device_event(m, ret) || app_event(m, false, ret) || resource_event(m, ret) ||
               app_event(m, true, ret);
}

/* ---- the model itself ---- */

uint64_t model_next_etag(struct model *m) {
        return ++m->etag;
}

int model_new(struct model **ret, const struct platform_identity *platform,
              const uint64_t quota_limits[_MODEL_QUOTA_N]) {
        struct model *m = ocf_new(struct model);
        int r;

        if (!m)
                return -ENOMEM;
        list_init(&m->apps);
        list_init(&m->dirty_devices);
        list_init(&m->dirty_apps);
        list_init(&m->dirty_resources);
        list_init(&m->expected);
        list_init(&m->gathers);
        m->gatherer.vtable = &gather_vtable;
        quota_init(&m->quota, quota_limits, _MODEL_QUOTA_N);
        r = platform_new(&m->platform, platform);
        if (r == 0 && !model_index_reserve(m, 1))
                r = -ENOMEM;
        if (r < 0) {
                model_free(m);
                return r;
        }
        *ret = m;
        return 0;
}

struct model *model_free(struct model *m) {
        struct model_event unseen;

        if (!m)
                return NULL;
        while (!list_is_empty(&m->apps))
                model_unregister(m, LIST_ENTRY(list_first(&m->apps), struct app, link), NULL);
        while (model_event(m, &unseen))
                ;
        free_told(m);
        for (size_t i = 0; i < m->n_devices; i++)
                device_free(m->devices[i]);
        model_expire(m, OCF_NEVER);
        gather_free_all(m);
        answer_cache_deinit(&m->answers);
        quota_deinit(&m->quota);
        platform_free(m->platform);
        ocf_free(m->devices);
        ocf_free(m->index);
        ocf_free(m->numbers);
        ocf_free(m->scratch);
        return ocf_free(m);
}

uint8_t *model_scratch(struct model *m, size_t n) {
        if (n > m->n_scratch) {
                if (!ocf_grow((void **)&m->scratch, m->n_scratch, n, 1))
                        return NULL;
                m->n_scratch = n;
        }
        return m->scratch;
}

/* ---- the hrefs of the last run ---- */

int model_expect(struct model *m, uint16_t device, struct span href, uint64_t until_ms) {
        struct expected_href *e = ocf_new(struct expected_href);

        if (!e)
                return -ENOMEM;
        e->href = ocf_duplicate_span_as_string(href);
        if (!e->href) {
                ocf_free(e);
                return -ENOMEM;
        }
        e->device = device;
        e->until_ms = until_ms;
        list_link_tail(&m->expected, &e->link);
        return 0;
}

bool model_is_expected(const struct model *m, uint16_t device, struct span href, uint64_t now_ms) {
        LIST_FOR_EACH(i, &m->expected) {
                const struct expected_href *e = LIST_ENTRY(i, struct expected_href, link);

                if (e->device == device && e->until_ms > now_ms && span_equal_string(href, e->href))
                        return true;
        }
        return false;
}

static void expire_expected(struct model *m, uint64_t now_ms) {
        struct list *first;

        while ((first = list_first(&m->expected))) {
                struct expected_href *e = LIST_ENTRY(first, struct expected_href, link);

                if (e->until_ms > now_ms)
                        return;
                list_unlink(first);
                ocf_free(e->href);
                ocf_free(e);
        }
}

void model_expire(struct model *m, uint64_t now_ms) {
        expire_expected(m, now_ms);
        LIST_FOR_EACH_SAFE(i, &m->apps)
        app_expire(LIST_ENTRY(i, struct app, link), now_ms);
}

uint64_t model_deadline(const struct model *m) {
        uint64_t due = OCF_NEVER;
        const struct list *first = list_first(&m->expected);

        if (first)
                due = LIST_ENTRY(first, struct expected_href, link)->until_ms;
        LIST_FOR_EACH(i, &m->apps) {
                const struct app *a = LIST_ENTRY(i, struct app, link);

                if (a->gone_ms)
                        due = ocf_min_u64(due, a->gone_ms);
        }
        return due;
}
