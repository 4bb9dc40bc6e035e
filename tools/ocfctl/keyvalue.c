/*
 * key=value on the command line and on standard input.
 */
#include "base/memory.h"
#include "ctl.h"
#include "json/rep_json.h"

#include <errno.h>
#include <string.h>

/* A word as JSON if it is true, false, null or a number there, else as text. */
static json_t *typed(const char *text) {
        json_t *json = NULL;

        if (text[0] && strchr("-0123456789tfn", text[0]))
                json = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
        if (json && (json_is_object(json) || json_is_array(json) || json_is_string(json))) {
                json_decref(json);
                json = NULL;
        }
        return json ? json : json_string(text); /* NULL: not UTF-8 */
}

bool keyvalue_add(json_t *map, const char *argument, const char **ret_problem) {
        const char *equals = strchr(argument, '=');
        bool is_raw = equals && equals > argument && equals[-1] == ':';
        size_t n = equals ? (size_t)(equals - argument) - is_raw : 0;
        json_t *value;
        char *key;
        int r;

        if (!n) {
                *ret_problem = "is not key=value";
                return false;
        }
        value = is_raw ? json_loads(equals + 1, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL)
                       : typed(equals + 1);
        if (!value) {
                *ret_problem = is_raw ? "has no JSON behind :=" : "is not UTF-8";
                return false;
        }
        key = ocf_duplicate_span_as_string(span_of(argument, n));
        r = key ? json_object_set_new(map, key, value) : -1;
        ocf_free(key);
        if (r)
                *ret_problem = "is not UTF-8";
        return r == 0;
}

int keyvalue_all(struct ctl *c, char **args, int n, json_t **ret) {
        json_t *map = json_object();
        const char *problem;

        for (int i = 0; i < n; i++)
                if (!keyvalue_add(map, args[i], &problem)) {
                        json_decref(map);
                        return usage(c, "\"%s\" %s", args[i], problem);
                }
        *ret = map;
        return EXIT_OK;
}

int json_to_rep(const json_t *json, struct span *ret) {
        uint8_t *buf = ocf_allocate(OCFCTL_VALUE_MAX, 1);
        struct writer w;
        int r;

        if (!buf)
                return -ENOMEM;
        w = writer_on(buf, OCFCTL_VALUE_MAX);
        r = rep_from_json(json, &w);
        if (r) {
                ocf_free(buf);
                return r < 0 ? r : -EMSGSIZE;
        }
        *ret = writer_span(&w);
        return 0;
}
