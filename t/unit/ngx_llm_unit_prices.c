
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_chunk.h"
#include "../../src/ngx_http_llm_price.h"


static struct {
    const char  *text;
    const char  *usd;          /* NULL: no number */
} numbers[] = {
    { "0", "0" },
    { "0.000", "0" },
    { "2.50", "2.5" },
    { "12", "12" },
    { ".5", "0.5" },
    { "3.", "3" },
    { "0.0000000000019", "0.000000000001" },
    { "1.25e-05", "0.0000125" },
    { "1E3", "1000" },
    { "25e+1", "250" },
    { "1e-900", "0" },
    { "0e900", "0" },
    { "1000000", "1000000" },
    { "0.333333333333333333333333333333", "0.333333333333" },
    { "1000001", NULL },
    { "99999999999999999999999999999999", NULL },
    { "1e7", NULL },
    { "1e99999999999", NULL },
    { "", NULL },
    { ".", NULL },
    { "-1", NULL },
    { "+1", NULL },
    { "1.2.3", NULL },
    { "1e", NULL },
    { "1e-", NULL },
    { "1 ", NULL },
    { "free", NULL },
    { NULL, NULL }
};


/* the price that is found, by its input */

static struct {
    const char  *provider;
    const char  *model;
    uint64_t     input;        /* 0: none */
} finds[] = {
    { "openai", "gpt-4o", 1 },
    { "azure", "gpt-4o", 2 },
    { "openai", "gpt-4o-mini", 4 },
    { "openai", "gpt-4o-2024", 3 },
    { "openai", "gpt-4o-mini-x", 4 },
    { "groq", "llama", 5 },
    { "openai", "gpt-3", 0 },
    { "openai", "GPT-4o", 0 },
    { NULL, NULL, 0 }
};


/* a stream, and what is left of it */

static struct {
    const char  *in;
    const char  *out;          /* NULL: the same */
} streams[] = {
    { "data: {\"choices\":[{}],\"usage\":null}\n\n"
      "data: {\"choices\":[],\"usage\":{\"total_tokens\":3}}\n\n"
      "data: [DONE]\n\n",
      "data: {\"choices\":[{}],\"usage\":null}\n\ndata: [DONE]\n\n" },
    { "data:{\"usage\":{\"a\":{\"b\":[1]}},\"choices\" : [ ]}\r\n\r\n"
      ": x\r\n\r\ndata: [DONE]\r\n\r\n",
      ": x\r\n\r\ndata: [DONE]\r\n\r\n" },
    { "id: 1\nevent: x\ndata: {\"choices\":[],\ndata: \"usage\":{}}\n\n"
      "data: {}\n\n",
      "data: {}\n\n" },
    { "data: {\"choices\":[],\"usage\":null}\n\n", NULL },
    { "data: {\"choices\":[],\"usage\":1}\n\n", NULL },
    { "data: {\"choices\":[],\"prompt_filter_results\":[{}]}\n\n", NULL },
    { "data: {\"choices\":[{\"usage\":{}}],\"usage\":{}}\n\n", NULL },
    { "data: {\"x\":{\"choices\":[],\"usage\":{}},\"choices\":[1]}\n\n", NULL },
    { "data: {\"a\":\"\\\"choices\\\":[]\",\"usage\":{}}\n\n", NULL },
    { "data: {\"choices\":[],\"usage\":{}}x\n\n", NULL },
    { "data: {\"choices\":[],\"usage\":{}\n\n", NULL },
    { "data: {\"choices\":[],\"usage\":{}}\n", NULL },
    { "data: {\"choices\":[],\"usage\":{}}\r\rdata: [DONE]\r\r", NULL },
    { "data: {\"choices\":[],\"us", NULL },
    { "\n\n\ndata: {\"choices\":[],\"usage\":{}}\n\n\n", "\n\n\n\n" },
    { NULL, NULL }
};


static void
number(ngx_uint_t n)
{
    u_char     buf[NGX_HTTP_LLM_PRICE_LEN];
    uint64_t   usd;
    ngx_int_t  rc;
    ngx_str_t  text;

    text.data = (u_char *) numbers[n].text;
    text.len = ngx_strlen(text.data);

    rc = ngx_http_llm_price_parse(&text, &usd);

    if (numbers[n].usd == NULL) {
        ngx_llm_unit_ok(rc == NGX_ERROR, "price: no number %V", &text);
        return;
    }

    ngx_llm_unit_ok(rc == NGX_OK
                    && (size_t) (ngx_http_llm_price_print(buf, usd) - buf)
                       == ngx_strlen(numbers[n].usd)
                    && ngx_strncmp(buf, numbers[n].usd,
                                   ngx_strlen(numbers[n].usd))
                       == 0,
                    "price: number %V", &text);
}


static void
find(ngx_pool_t *pool)
{
    ngx_str_t               provider, model;
    ngx_uint_t              i;
    ngx_http_llm_price_t   *price;
    ngx_http_llm_prices_t  *prices;

    static ngx_http_llm_price_t  list[] = {
        { .node.str = ngx_string("gpt-4o"), .input = 1 },
        { .node.str = ngx_string("azure/gpt-4o"), .input = 2 },
        { .node.str = ngx_string("gpt-4o-*"), .input = 3 },
        { .node.str = ngx_string("gpt-4o-mini*"), .input = 4 },
        { .node.str = ngx_string("groq/*"), .input = 5 },
        { .node.str = ngx_string("l*"), .input = 6 }
    };

    static ngx_http_llm_price_t  more[] = {
        { .node.str = ngx_string("gpt-4o"), .input = 7 },
        { .node.str = ngx_string("l*"), .input = 7 }
    };

    prices = ngx_http_llm_price_create(pool);

    for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        (void) ngx_http_llm_price_add(prices, &list[i]);
    }

    ngx_llm_unit_ok(ngx_http_llm_price_add(prices, &more[0]) == NGX_DECLINED
                    && ngx_http_llm_price_add(prices, &more[1])
                       == NGX_DECLINED,
                    "price: the first one stays");

    for (i = 0; finds[i].model; i++) {
        provider.data = (u_char *) finds[i].provider;
        provider.len = ngx_strlen(provider.data);
        model.data = (u_char *) finds[i].model;
        model.len = ngx_strlen(model.data);

        price = ngx_http_llm_price_find(pool, prices, &provider, &model);

        ngx_llm_unit_ok((price ? price->input : 0) == finds[i].input,
                        "price: of %V at %V", &model, &provider);
    }
}


static void
cost(void)
{
    ngx_http_llm_price_t  price;

    ngx_memzero(&price, sizeof(ngx_http_llm_price_t));

    price.input = 100;
    price.output = 1000;
    price.cached = 10;

    ngx_llm_unit_ok(ngx_http_llm_price_cost(&price, 7, 2, 5) == 2250,
                    "price: cost");
    ngx_llm_unit_ok(ngx_http_llm_price_cost(&price, 7, 0, 9) == 70,
                    "price: more in the cache than there is");
    ngx_llm_unit_ok(ngx_http_llm_price_cost(&price, 1000000000000000, 0, 0)
                    == 100000000000000000,
                    "price: many tokens");

    price.input = NGX_HTTP_LLM_PRICE_USD;

    ngx_llm_unit_ok(ngx_http_llm_price_cost(&price, 1000000000000000, 0, 0)
                    == (uint64_t) 1000000 * NGX_HTTP_LLM_PRICE_USD,
                    "price: too much");
}


/* a piece is gone when the next one comes, as in the buffer of an upstream */

static ngx_uint_t
stream(ngx_pool_t *parent, ngx_uint_t n, size_t step)
{
    u_char                *p, *dst, *out, *scratch;
    size_t                 len, size, sent;
    ngx_buf_t             *b;
    ngx_pool_t            *pool;
    ngx_uint_t             ok;
    const char            *expect;
    ngx_chain_t           *in, *cl, *next, *free;
    ngx_http_llm_chunk_t  *chunk;

    pool = ngx_create_pool(4096, parent->log);

    p = (u_char *) streams[n].in;
    len = ngx_strlen(p);

    out = ngx_pnalloc(pool, len);
    scratch = ngx_pnalloc(pool, len);
    dst = out;

    free = NULL;
    chunk = ngx_http_llm_chunk_create(pool, &free, (ngx_buf_tag_t) &streams);

    for (sent = 0; sent < len; sent += size) {

        size = (step && sent == 0) ? ngx_min(step, len) : len - sent;

        if (step > len) {
            size = 1;
        }

        ngx_memcpy(scratch, p + sent, size);

        in = ngx_chain_get_free_buf(pool, &free);

        b = in->buf;
        b->memory = 1;
        b->pos = scratch;
        b->last = scratch + size;
        b->tag = (ngx_buf_tag_t) &streams;

        in->next = NULL;

        if (ngx_http_llm_chunk_filter(chunk, &in) != NGX_OK) {
            ngx_destroy_pool(pool);
            return 0;
        }

        for (cl = in; cl; cl = next) {
            next = cl->next;
            b = cl->buf;

            if (b->pos == b->last) {
                ngx_destroy_pool(pool);
                return 0;
            }

            dst = ngx_cpymem(dst, b->pos, b->last - b->pos);
            b->pos = b->last;

            if (b->tag == (ngx_buf_tag_t) &streams) {
                cl->next = free;
                free = cl;
            }
        }
    }

    b = ngx_http_llm_chunk_rest(chunk);

    if (b) {
        dst = ngx_cpymem(dst, b->pos, b->last - b->pos);
    }

    expect = streams[n].out ? streams[n].out : streams[n].in;

    ok = (size_t) (dst - out) == ngx_strlen(expect)
         && ngx_memcmp(out, expect, dst - out) == 0;

    ngx_destroy_pool(pool);

    return ok;
}


void
ngx_llm_unit_prices(ngx_pool_t *pool)
{
    size_t      step;
    ngx_uint_t  i, bad;

    for (i = 0; numbers[i].text; i++) {
        number(i);
    }

    find(pool);
    cost();

    /* cut at each byte, and one byte after the other */

    for (i = 0; streams[i].in; i++) {

        bad = 0;

        for (step = 0; step <= ngx_strlen(streams[i].in) + 1; step++) {
            bad += !stream(pool, i, step);
        }

        ngx_llm_unit_ok(bad == 0, "chunk: stream %ui", i);
    }
}
