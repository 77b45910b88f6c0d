
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_hash.h"
#include "../../src/ngx_http_llm_ids.h"


#define SETS      8
#define UNIVERSE  200


static struct {
    const char  *a;
    const char  *b;        /* NULL: a is no id */
    ngx_uint_t   same;
} names[] = {
    { "files/abc", "abc", 1 },
    { "https://host/v1beta/files/abc", "files/abc", 1 },
    { "https://host/v1beta/files/abc/?alt=media#x", "abc", 1 },
    { "file-1", "file-2", 0 },
    { "ft:m:org::1", "ft:m:org::2", 0 },
    { "openai/ft:m:org::1", "ft:m:org::1", 1 },
    { "https://www.example.com/watch?v=1", NULL, 0 },
    { "https://host/profiles/abc", NULL, 0 },
    { "files/", "files", 1 },
    { "", NULL, 0 },
    { "///", NULL, 0 },
    { "?x", NULL, 0 },
    { NULL, NULL, 0 }
};


static uint64_t
hash(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = ngx_strlen(text);

    return ngx_http_llm_ids_hash(&s);
}


static void
hashes(void)
{
    u_char       text[] = "The quick brown fox";
    uint64_t     h, whole;
    ngx_uint_t   i, bad, bits[64];

    whole = ngx_http_llm_hash_final(
                ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START, text, 19));
    h = NGX_HTTP_LLM_HASH_START;

    for (i = 0; i < 19; i++) {
        h = ngx_http_llm_hash_update(h, text + i, 1);
    }

    ngx_llm_unit_ok(ngx_http_llm_hash_final(h) == whole,
                    "hash: the same in pieces");

    /* of the hashes of similar texts, all bits are evenly set */

    ngx_memzero(bits, sizeof(bits));

    for (i = 0; i < 10000 * 64; i++) {
        (void) ngx_sprintf(text, "file-%05ui", i / 64);
        h = ngx_http_llm_hash_final(
                ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START, text, 10));
        bits[i % 64] += h >> (i % 64) & 1;
    }

    for (bad = 0, i = 0; i < 64; i++) {
        bad += bits[i] < 4700 || bits[i] > 5300;
    }

    ngx_llm_unit_ok(bad == 0, "hash: bits are even");

    for (i = 0; names[i].a; i++) {
        ngx_llm_unit_ok(names[i].b
                        ? hash(names[i].a)
                          && (hash(names[i].a) == hash(names[i].b))
                             == names[i].same
                        : hash(names[i].a) == 0,
                        "ids: name %s", names[i].a);
    }
}


static void
eviction(void)
{
    uint64_t             mem[64], i;
    ngx_uint_t           bad;
    ngx_http_llm_ids_t  *map;

    ngx_llm_unit_ok(ngx_http_llm_ids_size(8) == ngx_http_llm_ids_size(0)
                    && ngx_http_llm_ids_size(9) > ngx_http_llm_ids_size(8)
                    && ngx_http_llm_ids_size(8) <= sizeof(mem),
                    "ids: sizes");

    ngx_memset(mem, 0xa5, sizeof(mem));
    map = (ngx_http_llm_ids_t *) mem;
    ngx_http_llm_ids_init(map, 8);

    ngx_llm_unit_ok(ngx_http_llm_ids_find(map, 1) == 0
                    && ngx_http_llm_ids_find(map, 0) == 0,
                    "ids: empty");

    for (i = 1; i <= 8; i++) {
        ngx_http_llm_ids_learn(map, i, 100 + i, 1000);
    }

    for (bad = 0, i = 1; i <= 8; i++) {
        bad += ngx_http_llm_ids_find(map, i) != 100 + i;
    }

    ngx_llm_unit_ok(bad == 0, "ids: all are kept while there is a place");

    /* the first is learnt again, so that the second is the oldest */

    ngx_http_llm_ids_learn(map, 1, 201, 900);
    ngx_http_llm_ids_learn(map, 9, 109, 1001);

    ngx_llm_unit_ok(ngx_http_llm_ids_find(map, 1) == 201
                    && ngx_http_llm_ids_find(map, 2) == 0
                    && ngx_http_llm_ids_find(map, 3) == 103
                    && ngx_http_llm_ids_find(map, 9) == 109,
                    "ids: the oldest goes");

    ngx_http_llm_ids_forget(map, 5);
    ngx_http_llm_ids_forget(map, 77);
    ngx_http_llm_ids_forget(map, 0);
    ngx_http_llm_ids_learn(map, 0, 1, 1);
    ngx_http_llm_ids_learn(map, 20, 0, 1);
    ngx_http_llm_ids_learn(map, 10, 110, 1002);

    ngx_llm_unit_ok(ngx_http_llm_ids_find(map, 5) == 0
                    && ngx_http_llm_ids_find(map, 3) == 103
                    && ngx_http_llm_ids_find(map, 10) == 110
                    && ngx_http_llm_ids_find(map, 20) == 0,
                    "ids: a forgotten one leaves its place");

    ngx_llm_unit_ok(mem[ngx_http_llm_ids_size(8) / 8] == 0xa5a5a5a5a5a5a5a5,
                    "ids: nothing is written behind the block");
}


static void
random_operations(ngx_pool_t *pool)
{
    uint64_t             id, ids[UNIVERSE], group[UNIVERSE], seq[UNIVERSE];
    ngx_uint_t           i, j, k, n, oldest, bad, found;
    ngx_http_llm_ids_t  *map;

    map = ngx_palloc(pool, ngx_http_llm_ids_size(SETS * 8));
    if (map == NULL) {
        return;
    }

    ngx_http_llm_ids_init(map, SETS * 8);
    ngx_memzero(seq, sizeof(seq));

    srandom(7);

    for (i = 0; i < UNIVERSE; i++) {
        ids[i] = ngx_http_llm_hash_final(i);
        group[i] = 0;
    }

    bad = 0;
    found = 0;

    for (i = 1; i <= 100000; i++) {
        k = random() % UNIVERSE;
        id = ids[k];

        switch (random() % 8) {

        case 0:
            ngx_http_llm_ids_forget(map, id);
            group[k] = 0;
            break;

        case 1:
        case 2:
        case 3:
            ngx_http_llm_ids_learn(map, id, i, i / 100);
            group[k] = i;
            seq[k] = i;

            /* of more than eight in a set the one learnt first is out */

            oldest = k;

            for (n = 0, j = 0; j < UNIVERSE; j++) {
                if (group[j]
                    && (ids[j] >> 32) * SETS >> 32 == (id >> 32) * SETS >> 32)
                {
                    n++;
                    oldest = (seq[j] < seq[oldest]) ? j : oldest;
                }
            }

            if (n > NGX_HTTP_LLM_IDS_WAYS) {
                group[oldest] = 0;
            }

            break;

        default:
            bad += ngx_http_llm_ids_find(map, id) != group[k];
            found += group[k] != 0;
        }
    }

    ngx_llm_unit_ok(bad == 0 && found > 5000,
                    "ids: random operations, %ui found, %ui wrong", found, bad);
}


void
ngx_llm_unit_ids(ngx_pool_t *pool)
{
    hashes();
    eviction();
    random_operations(pool);
}
