#include "model/query.h"

bool query_next(struct span *query, struct span *ret_key, struct span *ret_value) {
        struct span part;

        do {
                if (!query->n || !span_split(query, '&', &part))
                        return false;
        } while (!part.n);
        (void)span_split(&part, '=', ret_key);
        *ret_value = part;
        return true;
}

bool query_find(struct span query, const char *key, struct span *ret_value) {
        struct span k, v;

        while (query_next(&query, &k, &v))
                if (span_equal_ignoring_case(k, span_of_string(key))) {
                        *ret_value = v;
                        return true;
                }
        return false;
}
