
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_limits.h"


static ngx_int_t ngx_http_llm_limits_decimal(ngx_str_t *value,
    ngx_uint_t scale, ngx_msec_t *wait);


ngx_int_t
ngx_http_llm_limits_retry_after(ngx_str_t *value, time_t now, ngx_msec_t *wait)
{
    time_t  date;

    if (ngx_http_llm_limits_decimal(value, 1000, wait) == NGX_OK) {
        return NGX_OK;
    }

    date = ngx_parse_http_time(value->data, value->len);

    if (date == NGX_ERROR) {
        return NGX_ERROR;
    }

    if (date <= now) {
        *wait = 0;

    } else if (date - now >= NGX_HTTP_LLM_LIMITS_MAX / 1000) {
        *wait = NGX_HTTP_LLM_LIMITS_MAX;

    } else {
        *wait = (ngx_msec_t) (date - now) * 1000;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_limits_msec(ngx_str_t *value, ngx_msec_t *wait)
{
    return ngx_http_llm_limits_decimal(value, 1, wait);
}


/* digits [ "." digits ], in units of scale milliseconds, rounded up */

static ngx_int_t
ngx_http_llm_limits_decimal(ngx_str_t *value, ngx_uint_t scale,
    ngx_msec_t *wait)
{
    u_char      *p, *last;
    ngx_msec_t   msec;
    ngx_uint_t   digits, unit, rest;

    p = value->data;
    last = value->data + value->len;
    msec = 0;
    digits = 0;

    for ( /* void */ ; p < last && *p >= '0' && *p <= '9'; p++) {
        msec = ngx_min(msec * 10 + (*p - '0') * scale,
                       NGX_HTTP_LLM_LIMITS_MAX);
        digits++;
    }

    unit = scale;
    rest = 0;

    if (p < last && *p == '.') {
        for (p++; p < last && *p >= '0' && *p <= '9'; p++) {
            unit /= 10;
            msec += (*p - '0') * unit;
            rest |= (unit == 0 && *p != '0');
            digits++;
        }
    }

    if (p < last || digits == 0) {
        return NGX_ERROR;
    }

    *wait = ngx_min(msec + rest, NGX_HTTP_LLM_LIMITS_MAX);

    return NGX_OK;
}
