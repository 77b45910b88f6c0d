
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/* Tests for the rooms count and, for what an operator did, node and state. */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_count.h"
#include "../../src/ngx_http_llm_state.h"


static void ngx_llm_unit_names_bounded(ngx_pool_t *pool);
static void ngx_llm_unit_histogram(void);
static void ngx_llm_unit_held(void);


void
ngx_llm_unit_counts(ngx_pool_t *pool)
{
    ngx_llm_unit_names_bounded(pool);
    ngx_llm_unit_histogram();
    ngx_llm_unit_held();
}


static void
ngx_llm_unit_names_bounded(ngx_pool_t *pool)
{
    u_char                       text[NGX_HTTP_LLM_COUNT_NAME_LEN + 1];
    ngx_str_t                    name;
    ngx_uint_t                   i;
    ngx_http_llm_spent_t         spent, nothing;
    ngx_http_llm_count_names_t  *names, *few;

    names = ngx_pcalloc(pool, sizeof(ngx_http_llm_count_names_t));
    if (names == NULL) {
        return;
    }

    names->max = NGX_HTTP_LLM_COUNT_NAMES;

    ngx_memzero(&nothing, sizeof(ngx_http_llm_spent_t));
    ngx_memset(text, 'x', sizeof(text));

    spent.requests = 1;
    spent.input = 2;
    spent.output = 3;
    spent.cached = 4;
    spent.reasoning = 5;

    name.data = text;
    name.len = sizeof(text);

    ngx_http_llm_count_name(names, 7, &name, &spent);

    ngx_llm_unit_ok(names->n == 0 && names->other.requests == 1,
                    "count: a long name is another one");

    name.len--;

    for (i = 1; i < NGX_HTTP_LLM_COUNT_NAMES; i++) {
        ngx_http_llm_count_name(names, i, &name, &spent);
    }

    ngx_http_llm_count_name(names, 1000, &name, &nothing);

    ngx_llm_unit_ok(ngx_http_llm_count_find(names, 1000, text) == name.len,
                    "count: a name that is not counted yet");

    ngx_http_llm_count_name(names, 2000, &name, &spent);

    ngx_llm_unit_ok(ngx_http_llm_count_find(names, 1000, text) == 0
                    && ngx_http_llm_count_find(names, 2000, text),
                    "count: makes room for one that is");

    ngx_http_llm_count_name(names, 3000, &name, &spent);
    ngx_http_llm_count_name(names, 4000, &name, &nothing);
    ngx_http_llm_count_name(names, 5, &name, &spent);

    ngx_llm_unit_ok(names->n == NGX_HTTP_LLM_COUNT_NAMES
                    && ngx_http_llm_count_find(names, 3000, text) == 0
                    && names->other.requests == 2
                    && names->other.reasoning == 10,
                    "count: no more names than that");
    ngx_llm_unit_ok(names->entries[4].spent.requests == 2
                    && names->entries[4].spent.output == 6
                    && names->entries[5].spent.requests == 1,
                    "count: a name that is known");

    few = ngx_pcalloc(pool, ngx_http_llm_count_names_size(2));
    if (few == NULL) {
        return;
    }

    few->max = 2;

    ngx_http_llm_count_copy(few, names);

    ngx_llm_unit_ok(few->n == 2
                    && few->hashes[1] == 2
                    && few->other.requests == 2 + 1 + 62,
                    "count: a copy with less memory, %uL",
                    few->other.requests);
}


static void
ngx_llm_unit_histogram(void)
{
    ngx_uint_t                i, ok;
    ngx_http_llm_histogram_t  histogram;

    ngx_memzero(&histogram, sizeof(ngx_http_llm_histogram_t));

    ok = 1;

    for (i = 1; ngx_http_llm_count_first[i]; i++) {
        ok &= ngx_http_llm_count_first[i - 1] < ngx_http_llm_count_first[i];
    }

    ok &= (i == NGX_HTTP_LLM_COUNT_BOUNDS);

    for (i = 1; ngx_http_llm_count_duration[i]; i++) {
        ok &= ngx_http_llm_count_duration[i - 1]
              < ngx_http_llm_count_duration[i];
    }

    ngx_llm_unit_ok(ok && i < NGX_HTTP_LLM_COUNT_BOUNDS,
                    "count: bounds ascend and end");

    ngx_http_llm_count_time(&histogram, ngx_http_llm_count_first, 0);
    ngx_http_llm_count_time(&histogram, ngx_http_llm_count_first, 1);
    ngx_http_llm_count_time(&histogram, ngx_http_llm_count_first, 2);
    ngx_http_llm_count_time(&histogram, ngx_http_llm_count_first, 10000);
    ngx_http_llm_count_time(&histogram, ngx_http_llm_count_first, 10001);

    ngx_llm_unit_ok(histogram.counts[0] == 2 && histogram.counts[1] == 1
                    && histogram.counts[15] == 1 && histogram.counts[16] == 1
                    && histogram.sum == 20004,
                    "count: a bound is in its bucket");
}


static void
ngx_llm_unit_held(void)
{
    ngx_uint_t                    i;
    ngx_http_llm_node_t           node, back;
    ngx_http_llm_state_record_t   record;

    for (i = 0; i <= NGX_HTTP_LLM_HELD_DRAINING; i++) {
        ngx_memzero(&node, sizeof(ngx_http_llm_node_t));
        ngx_memzero(&back, sizeof(ngx_http_llm_node_t));

        node.held = (uint32_t) i;
        node.worked = 1;

        ngx_http_llm_state_put(&record, &node, 1000, 5000);
        ngx_http_llm_state_get(&record, &back, 2000, 9000);

        ngx_llm_unit_ok(back.held == i && back.worked,
                        "state: held %ui comes back", i);
    }
}
