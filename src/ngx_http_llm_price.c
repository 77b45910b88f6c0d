
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_price.h"
#include "ngx_http_llm_catalog.h"


/* USD; sums of that many fit */

#define NGX_HTTP_LLM_PRICE_MAX  1000000


static uint64_t ngx_http_llm_price_part(uint64_t price, uint64_t tokens);


ngx_http_llm_prices_t *
ngx_http_llm_price_create(ngx_pool_t *pool)
{
    ngx_http_llm_prices_t  *prices;

    prices = ngx_palloc(pool, sizeof(ngx_http_llm_prices_t));
    if (prices == NULL) {
        return NULL;
    }

    ngx_rbtree_init(&prices->exact, &prices->sentinel,
                    ngx_str_rbtree_insert_value);

    if (ngx_array_init(&prices->globs, pool, 4,
                       sizeof(ngx_http_llm_price_t *))
        != NGX_OK)
    {
        return NULL;
    }

    return prices;
}


ngx_int_t
ngx_http_llm_price_parse(ngx_str_t *text, uint64_t *usd)
{
    u_char     *p, *last;
    uint64_t    n, limit;
    ngx_int_t   exponent, sign, e;
    ngx_uint_t  digits, point;

    p = text->data;
    last = p + text->len;

    limit = (uint64_t) NGX_HTTP_LLM_PRICE_MAX * NGX_HTTP_LLM_PRICE_USD;

    n = 0;
    exponent = NGX_HTTP_LLM_PRICE_DIGITS;
    digits = 0;
    point = 0;

    for ( /* void */ ; p < last; p++) {

        if (*p == '.' && !point) {
            point = 1;
            continue;
        }

        if (*p < '0' || *p > '9') {
            break;
        }

        digits++;

        if (n > limit / 10) {

            /* what does not count any more, unless it is too much */

            exponent += !point;
            continue;
        }

        n = n * 10 + (*p - '0');
        exponent -= point;
    }

    if (digits == 0) {
        return NGX_ERROR;
    }

    if (p < last && (*p == 'e' || *p == 'E')) {

        sign = 1;
        p++;

        if (p < last && (*p == '-' || *p == '+')) {
            sign = (*p++ == '-') ? -1 : 1;
        }

        e = ngx_atoi(p, last - p);

        if (e == NGX_ERROR || e > 1000) {
            return NGX_ERROR;
        }

        exponent += sign * e;
        p = last;
    }

    if (p != last) {
        return NGX_ERROR;
    }

    for ( /* void */ ; exponent < 0 && n; exponent++) {
        n /= 10;
    }

    for ( /* void */ ; exponent > 0 && n; exponent--) {

        if (n > limit / 10) {
            return NGX_ERROR;
        }

        n *= 10;
    }

    if (n > limit) {
        return NGX_ERROR;
    }

    *usd = n;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_price_add(ngx_http_llm_prices_t *prices,
    ngx_http_llm_price_t *price)
{
    uint32_t                hash;
    ngx_str_t              *model;
    ngx_uint_t              i, n;
    ngx_http_llm_price_t  **globs;

    model = &price->node.str;

    if (ngx_strlchr(model->data, model->data + model->len, '*') == NULL) {

        hash = ngx_crc32_long(model->data, model->len);

        if (ngx_str_rbtree_lookup(&prices->exact, model, hash)) {
            return NGX_DECLINED;
        }

        price->node.node.key = hash;
        ngx_rbtree_insert(&prices->exact, &price->node.node);

        return NGX_OK;
    }

    globs = prices->globs.elts;
    n = prices->globs.nelts;

    for (i = 0; i < n; i++) {
        if (globs[i]->node.str.len == model->len
            && ngx_memcmp(globs[i]->node.str.data, model->data, model->len)
               == 0)
        {
            return NGX_DECLINED;
        }
    }

    if (ngx_array_push(&prices->globs) == NULL) {
        return NGX_ERROR;
    }

    globs = prices->globs.elts;

    for (i = n; i && globs[i - 1]->node.str.len < model->len; i--) {
        globs[i] = globs[i - 1];
    }

    globs[i] = price;

    return NGX_OK;
}


ngx_http_llm_price_t *
ngx_http_llm_price_find(ngx_pool_t *pool, ngx_http_llm_prices_t *prices,
    const ngx_str_t *provider, ngx_str_t *model)
{
    u_char                 *p;
    ngx_str_t               names[2];
    ngx_uint_t              i, n;
    ngx_str_node_t         *node;
    ngx_http_llm_price_t  **globs;

    names[0].len = provider->len + 1 + model->len;
    names[0].data = ngx_pnalloc(pool, names[0].len);
    if (names[0].data == NULL) {
        return NULL;
    }

    p = ngx_cpymem(names[0].data, provider->data, provider->len);
    *p++ = '/';
    ngx_memcpy(p, model->data, model->len);

    names[1] = *model;

    for (n = 0; n < 2; n++) {
        node = ngx_str_rbtree_lookup(&prices->exact, &names[n],
                                     ngx_crc32_long(names[n].data,
                                                    names[n].len));
        if (node) {
            return (ngx_http_llm_price_t *) node;
        }
    }

    globs = prices->globs.elts;

    for (n = 0; n < 2; n++) {
        for (i = 0; i < prices->globs.nelts; i++) {
            if (ngx_http_llm_glob(&globs[i]->node.str, &names[n])) {
                return globs[i];
            }
        }
    }

    return NULL;
}


uint64_t
ngx_http_llm_price_cost(ngx_http_llm_price_t *price, uint64_t input,
    uint64_t output, uint64_t cached)
{
    cached = ngx_min(cached, input);

    return ngx_http_llm_price_part(price->input, input - cached)
           + ngx_http_llm_price_part(price->cached, cached)
           + ngx_http_llm_price_part(price->output, output);
}


/* what a provider tells may be anything */

static uint64_t
ngx_http_llm_price_part(uint64_t price, uint64_t tokens)
{
    uint64_t  limit;

    limit = (uint64_t) NGX_HTTP_LLM_PRICE_MAX * NGX_HTTP_LLM_PRICE_USD;

    return (price && tokens > limit / price) ? limit : price * tokens;
}


u_char *
ngx_http_llm_price_print(u_char *p, uint64_t usd)
{
    p = ngx_sprintf(p, "%uL.%012uL", usd / NGX_HTTP_LLM_PRICE_USD,
                    usd % NGX_HTTP_LLM_PRICE_USD);

    while (p[-1] == '0') {
        p--;
    }

    return (p[-1] == '.') ? p - 1 : p;
}
