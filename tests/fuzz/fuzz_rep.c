/* Any bytes as CBOR: refused, or its normal form is a fixed point that can be read, merged and compared. The
 * lenient reading takes what the strict one takes, to the same, and what it takes beyond is in normal form as
 * well. */
#include "fuzz.h"
#include "protocol/rep.h"

static void read_leniently(struct span in) {
        static uint8_t lenient[1 << 18], strict[1 << 18];
        struct writer w = writer_on(lenient, sizeof(lenient)), v = writer_on(strict, sizeof(strict));
        int r = rep_normalise_leniently(in, &w);

        if (!rep_normalise(in, &v))
                must_hold(!r && span_equal(writer_span(&w), writer_span(&v)));
        if (r)
                return;
        v = writer_on(strict, sizeof(strict));
        must_hold(rep_normalise(writer_span(&w), &v) == 0 && span_equal(writer_span(&w), writer_span(&v)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
        static uint8_t first[1 << 18], second[1 << 18], merged[1 << 19];
        struct writer w = writer_on(first, sizeof(first)), v = writer_on(second, sizeof(second)),
                      u = writer_on(merged, sizeof(merged));
        struct span rep, rest, item, key;
        uint64_t n_pairs;

        if (n > 32768)
                return 0;
        read_leniently(span_of(data, n));
        if (rep_normalise(span_of(data, n), &w) != 0)
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
