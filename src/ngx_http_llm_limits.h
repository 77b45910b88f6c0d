
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Values by which providers tell how long to wait.
 */


#ifndef _NGX_HTTP_LLM_LIMITS_H_INCLUDED_
#define _NGX_HTTP_LLM_LIMITS_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>


/*
 * Longer waits are read as this one: none that is believed is as long, and a
 * clock of 32 bits can still tell the past from the future.
 */

#define NGX_HTTP_LLM_LIMITS_MAX  (7 * 24 * 60 * 60 * 1000)            /* ms */


/*
 * Retry-After: whole or decimal seconds to come, seconds or milliseconds since
 * the epoch, or a date.  now is in milliseconds since the epoch.  NGX_ERROR
 * for everything else: what is over, negative numbers, exponents, words.
 */

ngx_int_t ngx_http_llm_limits_retry_after(ngx_str_t *value, uint64_t now,
    ngx_msec_t *wait);

/* retry-after-ms: whole or decimal milliseconds */

ngx_int_t ngx_http_llm_limits_msec(ngx_str_t *value, ngx_msec_t *wait);

/* "1h2m3.5s", "370ms": every number has a unit */

ngx_int_t ngx_http_llm_limits_duration(ngx_str_t *value, ngx_msec_t *wait);

/*
 * When a limit is full again, in any of the forms that providers use: seconds
 * to come, seconds or milliseconds since the epoch, a duration, or a date as
 * in RFC 3339.  now is in milliseconds since the epoch.  NGX_ERROR for
 * everything else, and for what is over.
 */

ngx_int_t ngx_http_llm_limits_reset(ngx_str_t *value, uint64_t now,
    ngx_msec_t *wait);

/* a number of requests or tokens: digits, whose fraction does not count */

ngx_int_t ngx_http_llm_limits_count(ngx_str_t *value, int64_t *count);

/* until the next midnight at Google; now is in milliseconds */

ngx_msec_t ngx_http_llm_limits_midnight(uint64_t now);


#endif /* _NGX_HTTP_LLM_LIMITS_H_INCLUDED_ */
