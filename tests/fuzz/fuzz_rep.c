/* Any bytes as CBOR: refused, or its normal form is a fixed point that can be read, merged and compared. */
#include "fuzz.h"
#include "protocol/rep.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t first[1 << 18], second[1 << 18], merged[1 << 19];
        struct writer w = writer_on(first, sizeof(first)), v = writer_on(second, sizeof(second)),
                      u = writer_on(merged, sizeof(merged));
        struct span rep, rest, item, key;
        uint64_t n_pairs;

        if (n > 32768 || rep_normalise(span_of(data, n), &w) != 0)
                return 0;
        rep = writer_span(&w);
        must_hold(rep_normalise(rep, &v) == 0);
        must_hold(span_equal(rep, writer_span(&v)));
        must_hold(rep_equal(rep, writer_span(&v)));
        rest = rep;
        must_hold(rep_skip(&rest, &item) && rest.n == 0 && span_equal(item, rep));
        if (!rep_map_begin(rep, &rest, &n_pairs))
                return 0;
        while (rep_map_next(&rest, &key, &item))
                if (key.data)
                        must_hold(rep_map_find_span(rep, key, &item));
        if (rep_merge(rep, rep, &u) == 0)
                must_hold(rep_equal(rep, writer_span(&u)));
        return 0;
}
