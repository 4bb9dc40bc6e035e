/*
 * A store without a daemon: looked at and left as it is, or put back from a
 * backup, for an administrator whose ocfd does not start.
 */
#include "base/memory.h"
#include "daemon/store_private.h"

static void explain(int r, const char *directory, char **ret_text) {
        if (r == STORE_E_IN_USE)
                *ret_text =
                        store_text("The store %s is in use: ocfd is running. Ask it with 'ocfctl store', or "
                                   "stop it first.",
                                   directory);
        else
                store_explain_outcome(r, directory, ret_text);
}

static int visit(struct store **ret, const char *directory, char **ret_text) {
        struct store *s = NULL;
        int r = store_lock(&s, directory, false);

        if (!r) {
                s->is_visit = true;
                r = store_examine(s);
        }
        if (r == STORE_E_NONE)
                *ret_text = store_text("There is no store in %s yet.", directory);
        else if (r)
                explain(r, directory, ret_text);
        if (r) {
                store_free(s);
                return r;
        }
        *ret = s;
        return 0;
}

int store_check_directory(const char *directory, char **ret_text) {
        struct store *s = NULL;
        int r;

        *ret_text = NULL;
        r = visit(&s, directory, ret_text);
        if (r)
                return r;
        r = store_run_check(s, ret_text);
        store_free(s);
        return r;
}

int store_restore_directory(const char *directory, const char *path, char **ret_text) {
        struct store *s = NULL;
        int r;

        *ret_text = NULL;
        r = store_lock(&s, directory, true);
        if (!r) {
                s->is_visit = true; /* nothing of what is there is finished: it goes */
                r = store_examine(s);
        }
        if (r == STORE_E_NONE)
                r = 0;
        if (r) {
                explain(r, directory, ret_text);
        } else {
                s->is_visit = false;
                r = store_run_restore(s, path, ret_text);
        }
        store_free(s);
        return r;
}
