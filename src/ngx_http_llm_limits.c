
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_limits.h"


/* numbers from here on are times since the epoch, in seconds or in ms */

#define NGX_HTTP_LLM_LIMITS_EPOCH       1000000000ULL
#define NGX_HTTP_LLM_LIMITS_EPOCH_MSEC  1000000000000ULL

/* what a double holds exactly, as JavaScript's numbers do */

#define NGX_HTTP_LLM_LIMITS_COUNT_MAX   (1LL << 53)


typedef struct {
    ngx_str_t    name;
    ngx_uint_t   scale;      /* ms; what is shorter than one does not count */
} ngx_http_llm_limits_unit_t;


static ngx_int_t ngx_http_llm_limits_number(ngx_str_t *value, uint64_t now,
    ngx_msec_t *wait);
static ngx_int_t ngx_http_llm_limits_until(uint64_t at, uint64_t now,
    ngx_msec_t *wait);
static ngx_int_t ngx_http_llm_limits_decimal(ngx_str_t *value,
    ngx_uint_t scale, ngx_msec_t *wait);
static ngx_int_t ngx_http_llm_limits_date(ngx_str_t *value, uint64_t *msec);
static ngx_int_t ngx_http_llm_limits_offset(u_char *p, u_char *last,
    ngx_int_t *seconds);
static ngx_int_t ngx_http_llm_limits_days(ngx_int_t year, ngx_int_t month,
    ngx_int_t day);
static ngx_int_t ngx_http_llm_limits_pacific(ngx_int_t now);


/* the longer name stands in front of its beginning */

static ngx_http_llm_limits_unit_t  ngx_http_llm_limits_units[] = {
    { ngx_string("ms"), 1 },
    { ngx_string("us"), 0 },
    { ngx_string("\xc2\xb5s"), 0 },
    { ngx_string("ns"), 0 },
    { ngx_string("s"), 1000 },
    { ngx_string("m"), 60 * 1000 },
    { ngx_string("h"), 60 * 60 * 1000 },
    { ngx_string("d"), 24 * 60 * 60 * 1000 },
    { ngx_null_string, 0 }
};


ngx_int_t
ngx_http_llm_limits_retry_after(ngx_str_t *value, uint64_t now,
    ngx_msec_t *wait)
{
    time_t     date;
    ngx_int_t  rc;

    rc = ngx_http_llm_limits_number(value, now, wait);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    date = ngx_parse_http_time(value->data, value->len);

    if (date == NGX_ERROR) {
        return NGX_ERROR;
    }

    return ngx_http_llm_limits_until((uint64_t) date * 1000, now, wait);
}


ngx_int_t
ngx_http_llm_limits_msec(ngx_str_t *value, ngx_msec_t *wait)
{
    return ngx_http_llm_limits_decimal(value, 1, wait);
}


/* seconds to come, or a time since the epoch; NGX_DECLINED: no number */

static ngx_int_t
ngx_http_llm_limits_number(ngx_str_t *value, uint64_t now, ngx_msec_t *wait)
{
    int64_t     number;
    uint64_t    at;
    ngx_msec_t  rest;

    if (ngx_http_llm_limits_count(value, &number) != NGX_OK) {

        /* nor is it one that begins with its point, or is beyond all times */

        if (ngx_http_llm_limits_decimal(value, 1000, &rest) != NGX_OK) {
            return NGX_DECLINED;
        }

        if (value->data[0] != '.') {
            return NGX_ERROR;
        }

        *wait = rest;

        return NGX_OK;
    }

    at = (uint64_t) number;

    if (at < NGX_HTTP_LLM_LIMITS_EPOCH) {
        return ngx_http_llm_limits_decimal(value, 1000, wait);
    }

    if (at < NGX_HTTP_LLM_LIMITS_EPOCH_MSEC) {
        at *= 1000;
    }

    return ngx_http_llm_limits_until(at, now, wait);
}


static ngx_int_t
ngx_http_llm_limits_until(uint64_t at, uint64_t now, ngx_msec_t *wait)
{
    if (at <= now) {
        return NGX_ERROR;
    }

    *wait = (ngx_msec_t) ngx_min(at - now, NGX_HTTP_LLM_LIMITS_MAX);

    return NGX_OK;
}


/* digits [ "." digits ], in units of scale milliseconds, rounded up */

static ngx_int_t
ngx_http_llm_limits_decimal(ngx_str_t *value, ngx_uint_t scale,
    ngx_msec_t *wait)
{
    u_char      *p, *last;
    uint64_t     msec;
    ngx_uint_t   digits, unit, rest;

    p = value->data;
    last = value->data + value->len;
    msec = 0;
    digits = 0;

    for ( /* void */ ; p < last && *p >= '0' && *p <= '9'; p++) {
        msec = ngx_min(msec * 10 + (uint64_t) (*p - '0') * scale,
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

    *wait = (ngx_msec_t) ngx_min(msec + rest, NGX_HTTP_LLM_LIMITS_MAX);

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_limits_duration(ngx_str_t *value, ngx_msec_t *wait)
{
    u_char                      *p, *last;
    ngx_str_t                    number;
    ngx_msec_t                   part, total;
    ngx_http_llm_limits_unit_t  *unit;

    p = value->data;
    last = value->data + value->len;
    total = 0;

    if (p == last) {
        return NGX_ERROR;
    }

    while (p < last) {
        number.data = p;

        while (p < last && ((*p >= '0' && *p <= '9') || *p == '.')) {
            p++;
        }

        number.len = p - number.data;

        for (unit = ngx_http_llm_limits_units; unit->name.len; unit++) {
            if ((size_t) (last - p) >= unit->name.len
                && ngx_strncmp(p, unit->name.data, unit->name.len) == 0)
            {
                break;
            }
        }

        if (unit->name.len == 0
            || ngx_http_llm_limits_decimal(&number, unit->scale, &part)
               != NGX_OK)
        {
            return NGX_ERROR;
        }

        p += unit->name.len;
        total = ngx_min(total + part, NGX_HTTP_LLM_LIMITS_MAX);
    }

    *wait = total;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_limits_reset(ngx_str_t *value, uint64_t now, ngx_msec_t *wait)
{
    uint64_t   at;
    ngx_int_t  rc;

    rc = ngx_http_llm_limits_number(value, now, wait);

    if (rc != NGX_DECLINED) {
        return rc;
    }

    if (ngx_http_llm_limits_duration(value, wait) == NGX_OK) {
        return NGX_OK;
    }

    if (ngx_http_llm_limits_date(value, &at) != NGX_OK) {
        return NGX_ERROR;
    }

    return ngx_http_llm_limits_until(at, now, wait);
}


ngx_int_t
ngx_http_llm_limits_count(ngx_str_t *value, int64_t *count)
{
    u_char   *p, *last;
    int64_t   n;

    p = value->data;
    last = value->data + value->len;

    if (p == last || *p == '.') {
        return NGX_ERROR;
    }

    for (n = 0; p < last && *p >= '0' && *p <= '9'; p++) {
        n = n * 10 + (*p - '0');

        if (n >= NGX_HTTP_LLM_LIMITS_COUNT_MAX) {
            return NGX_ERROR;
        }
    }

    if (p < last && *p == '.') {
        for (p++; p < last && *p >= '0' && *p <= '9'; p++) { /* void */ }
    }

    if (p < last) {
        return NGX_ERROR;
    }

    *count = n;

    return NGX_OK;
}


/* 2026-05-04T12:34:56[.789](Z|+01:00) */

static ngx_int_t
ngx_http_llm_limits_date(ngx_str_t *value, uint64_t *msec)
{
    u_char     *p, *last;
    ngx_int_t   year, month, day, hour, minute, second, offset, seconds;

    p = value->data;
    last = value->data + value->len;

    if (value->len < sizeof("2026-05-04T12:34:56Z") - 1
        || p[4] != '-' || p[7] != '-' || p[13] != ':' || p[16] != ':'
        || (p[10] != 'T' && p[10] != 't' && p[10] != ' '))
    {
        return NGX_ERROR;
    }

    year = ngx_atoi(p, 4);
    month = ngx_atoi(p + 5, 2);
    day = ngx_atoi(p + 8, 2);
    hour = ngx_atoi(p + 11, 2);
    minute = ngx_atoi(p + 14, 2);
    second = ngx_atoi(p + 17, 2);

    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31
        || hour < 0 || hour > 23 || minute < 0 || minute > 59
        || second < 0 || second > 60)
    {
        return NGX_ERROR;
    }

    p += 19;

    if (*p == '.') {
        for (p++; p < last && *p >= '0' && *p <= '9'; p++) { /* void */ }
    }

    if (ngx_http_llm_limits_offset(p, last, &offset) != NGX_OK) {
        return NGX_ERROR;
    }

    seconds = ngx_http_llm_limits_days(year, month, day) * 86400
              + hour * 3600 + minute * 60 + second - offset;

    if (seconds < 0) {
        return NGX_ERROR;
    }

    *msec = (uint64_t) seconds * 1000;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_limits_offset(u_char *p, u_char *last, ngx_int_t *seconds)
{
    ngx_int_t  hour, minute;

    if (last - p == 1 && (*p == 'Z' || *p == 'z')) {
        *seconds = 0;
        return NGX_OK;
    }

    if (last - p != 6 || (*p != '+' && *p != '-') || p[3] != ':') {
        return NGX_ERROR;
    }

    hour = ngx_atoi(p + 1, 2);
    minute = ngx_atoi(p + 4, 2);

    if (hour < 0 || hour > 23 || minute < 0 || minute > 59) {
        return NGX_ERROR;
    }

    *seconds = hour * 3600 + minute * 60;

    if (*p == '-') {
        *seconds = -*seconds;
    }

    return NGX_OK;
}


/* days since the epoch; a year that begins in March ends with its leap day */

static ngx_int_t
ngx_http_llm_limits_days(ngx_int_t year, ngx_int_t month, ngx_int_t day)
{
    month -= 3;

    if (month < 0) {
        month += 12;
        year--;
    }

    return 365 * year + year / 4 - year / 100 + year / 400
           + (153 * month + 2) / 5 + day - 1 - 719468;
}


ngx_msec_t
ngx_http_llm_limits_midnight(uint64_t now)
{
    ngx_int_t  second, midnight;

    second = (ngx_int_t) (now / 1000);

    midnight = second + ngx_http_llm_limits_pacific(second);
    midnight += 86400 - midnight % 86400;

    /* the clocks are changed at two, so it has the offset of its hour */

    midnight -= ngx_http_llm_limits_pacific(midnight + 7 * 3600);

    return (ngx_msec_t) ((uint64_t) midnight * 1000 - now);
}


/* the offset of Pacific time from UTC at a time, in seconds */

static ngx_int_t
ngx_http_llm_limits_pacific(ngx_int_t now)
{
    ngx_int_t  year, march, november;

    /* good enough: a year begins and ends in winter */

    year = 1970 + now / 31556952;

    march = ngx_http_llm_limits_days(year, 3, 8);
    november = ngx_http_llm_limits_days(year, 11, 1);

    /* the next Sunday, or this day; the epoch began on a Thursday */

    march += (10 - march % 7) % 7;
    november += (10 - november % 7) % 7;

    /* from 2:00 standard time to 2:00 daylight saving time */

    return (now >= march * 86400 + 10 * 3600
            && now < november * 86400 + 9 * 3600)
           ? -7 * 3600 : -8 * 3600;
}
