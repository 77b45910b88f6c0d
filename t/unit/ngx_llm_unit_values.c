
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_catalog.h"
#include "../../src/ngx_http_llm_limits.h"
#include "../../src/ngx_http_llm_secret.h"


#define NOW  1767225600                        /* 2026-01-01 00:00:00 GMT */
#define BAD  ((ngx_msec_t) -1)


typedef struct {
    const char   *text;
    ngx_msec_t    wait;
} ngx_llm_unit_value_t;


static ngx_llm_unit_value_t  seconds[] = {
    { "0", 0 }, { "1", 1000 }, { "57", 57000 }, { "007", 7000 },
    { "1.5", 1500 }, { "0.001", 1 }, { "0.0001", 1 }, { "1.", 1000 },
    { ".5", 500 }, { "2.0000", 2000 }, { "1.2345", 1235 },
    { "86400", 86400000 }, { "90000.5", 90000500 },
    { "604800", NGX_HTTP_LLM_LIMITS_MAX },
    { "604801", NGX_HTTP_LLM_LIMITS_MAX },
    { "999999999", NGX_HTTP_LLM_LIMITS_MAX },
    { "1000000000", BAD }, { "1767225600", BAD }, { "1767225660", 60000 },
    { "1767225660.5", 60000 },
    { "99999999999", NGX_HTTP_LLM_LIMITS_MAX },
    { "1767225599999", BAD }, { "1767225601500", 1500 },
    { "99999999999999999999999999999999", BAD },
    { "18446744073709551616", BAD }, { "18446744073709551617.9", BAD },
    { "Thu, 01 Jan 2026 00:00:30 GMT", 30000 },
    { "Thursday, 01-Jan-26 00:01:00 GMT", 60000 },
    { "Thu Jan  1 00:00:05 2026", 5000 },
    { "Wed, 31 Dec 2025 23:59:59 GMT", BAD },
    { "Thu, 01 Jan 2026 00:00:00 GMT", BAD },
    { "Fri, 02 Jan 2099 00:00:00 GMT", NGX_HTTP_LLM_LIMITS_MAX },
    { "", BAD }, { ".", BAD }, { "-1", BAD }, { "+1", BAD }, { "1e3", BAD },
    { "0x10", BAD }, { "NaN", BAD }, { "inf", BAD }, { "1 ", BAD },
    { " 1", BAD }, { "1,5", BAD }, { "1.5.5", BAD }, { "soon", BAD },
    { "2026-01-01T00:00:30Z", BAD }, { "Thu, 99 Foo 2026", BAD },
    { NULL, 0 }
};


static ngx_llm_unit_value_t  durations[] = {
    { "12ms", 12 }, { "370ms", 370 }, { "6s", 6000 }, { "1m", 60000 },
    { "6m0s", 360000 }, { "3m6s", 186000 }, { "1h2m3.5s", 3723500 },
    { "4h17m", 15420000 }, { "26.5s", 26500 }, { "1.5h", 5400000 },
    { "500us", 0 }, { "500\xc2\xb5s", 0 }, { "9ns", 0 }, { "0s", 0 },
    { "1d", 86400000 }, { "7d", NGX_HTTP_LLM_LIMITS_MAX },
    { "8d", NGX_HTTP_LLM_LIMITS_MAX },
    { "99999999999999999999h99999999999999999999h", NGX_HTTP_LLM_LIMITS_MAX },
    { "", BAD }, { "6", BAD }, { "s", BAD }, { "6m0", BAD }, { "-6s", BAD },
    { "6s ", BAD }, { "6x", BAD }, { "1..5s", BAD }, { ".s", BAD },
    { "1e3s", BAD }, { "NaNs", BAD },
    { NULL, 0 }
};


/* now is 2026-01-01 00:00:00 GMT */

static ngx_llm_unit_value_t  resets[] = {
    { "37", 37000 }, { "0", 0 }, { "45.5", 45500 },
    { "33011.382867", 33011383 },
    { "6m0s", 360000 }, { "86400", 86400000 },
    { "999999999", NGX_HTTP_LLM_LIMITS_MAX },
    { "1767225660", 60000 }, { "1767225600", BAD }, { "1767225599", BAD },
    { "1767225660000", 60000 }, { "1767225600001", 1 },
    { "1767225600000", BAD }, { "1767000000000", BAD },
    { "1999999999999", NGX_HTTP_LLM_LIMITS_MAX },
    { "9007199254740991", NGX_HTTP_LLM_LIMITS_MAX },
    { "9007199254740992", BAD }, { "99999999999999999999999999", BAD },
    { "2026-01-01T00:00:30Z", 30000 }, { "2026-01-01t00:00:30z", 30000 },
    { "2026-01-01T00:00:30.999Z", 30000 },
    { "2026-01-01T01:00:30+01:00", 30000 },
    { "2025-12-31T19:00:30-05:00", 30000 },
    { "2026-01-01T00:00:00Z", BAD }, { "2025-12-31T23:59:59Z", BAD },
    { "2027-01-01T00:00:00Z", NGX_HTTP_LLM_LIMITS_MAX },
    { "2026-01-01T00:00:30", BAD }, { "2026-01-01", BAD },
    { "2026-13-01T00:00:30Z", BAD }, { "2026-01-32T00:00:30Z", BAD },
    { "2026-01-01T24:00:30Z", BAD }, { "2026-01-01T00:60:30Z", BAD },
    { "2026-01-01T00:00:61Z", BAD }, { "2026-01-01T00:00:30+0100", BAD },
    { "2026-01-01T00:00:30+24:00", BAD }, { "2026-01-01T00:00:30ZZ", BAD },
    { "0000-01-01T00:00:30Z", BAD }, { "20x6-01-01T00:00:30Z", BAD },
    { "", BAD }, { "-1", BAD }, { "+1", BAD }, { "NaN", BAD }, { "inf", BAD },
    { "1e9", BAD }, { ".", BAD }, { ".5", 500 }, { "soon", BAD },
    { "1 ", BAD },
    { NULL, 0 }
};


static ngx_llm_unit_value_t  counts[] = {
    { "0", 0 }, { "1", 1 }, { "007", 7 }, { "150000", 150000 },
    { "99.9", 99 }, { "5.", 5 }, { "9007199254740991", 9007199254740991 },
    { "9007199254740992", BAD }, { "18446744073709551617", BAD },
    { "", BAD }, { "-1", BAD }, { "+1", BAD }, { "1,000", BAD }, { "1k", BAD },
    { "NaN", BAD }, { ".5", BAD }, { " 1", BAD }, { "0x1", BAD },
    { NULL, 0 }
};


/* seconds since the epoch, and until midnight on the Pacific coast */

static struct {
    uint64_t      now;
    ngx_msec_t    wait;
} midnights[] = {
    { 1767225600, 28800000 },          /* 2026-01-01 00:00 GMT */
    { 1767254400, 86400000 },          /* 2026-01-01 08:00 GMT: it is now */
    { 1767254399, 1000 },
    { 1782864000, 25200000 },          /* 2026-07-01 00:00 GMT */
    { 1772956800, 82800000 },          /* 2026-03-08 08:00 GMT: 23 hours */
    { 1772963999, 75601000 },          /* 2026-03-08 01:59:59 PST */
    { 1772964000, 75600000 },          /* 2026-03-08 03:00 PDT */
    { 1793516400, 90000000 },          /* 2026-11-01 07:00 GMT: 25 hours */
    { 1793523600, 82800000 },          /* 2026-11-01 01:00 PST */
    { 1709251200, 28800000 },          /* 2024-03-01 00:00 GMT, leap day */
    { 1704067199, 28801000 },          /* 2023-12-31 23:59:59 GMT */
    { 0, 0 }
};


typedef struct {
    const char   *text;
    ngx_uint_t    lines;
    const char   *keys;
    ngx_uint_t    empty;
    ngx_uint_t    trimmed;
    ngx_uint_t    duplicate;
    ngx_uint_t    broken;
} ngx_llm_unit_list_t;


static ngx_llm_unit_list_t  lists[] = {
    { "a",                0, "a",     0, 0, 0, 0 },
    { "a,b",              0, "a|b",   0, 0, 0, 0 },
    { "",                 0, "",      1, 0, 0, 0 },
    { ",",                0, "",      2, 0, 0, 0 },
    { "a,",               0, "a",     1, 0, 0, 0 },
    { ",a,,b,",           0, "a|b",   3, 0, 0, 0 },
    { " a ,\tb",          0, "a|b",   0, 2, 0, 0 },
    { "\"a\",'b'",        0, "a|b",   0, 2, 0, 0 },
    { "\"a,b\"",          0, "a|b",   0, 1, 0, 0 },
    { "\"\",a",           0, "a",     1, 0, 0, 0 },
    { "\"a,b",            0, "\"a|b", 0, 0, 0, 0 },
    { "a,b,a,a",          0, "a|b",   0, 0, 2, 0 },
    { "a\n",              0, "a",     0, 0, 0, 0 },
    { "a\r\n",            0, "a",     0, 0, 0, 0 },
    { "a\nb",             0, "",      0, 0, 0, 1 },
    { "a,b c",            0, "a",     0, 0, 0, 2 },
    { "a,b\001",          0, "a",     0, 0, 0, 2 },
    { "a,b\177",          0, "a",     0, 0, 0, 2 },
    { "a\nb\n",           1, "a|b",   0, 0, 0, 0 },
    { "a\r\n\r\nb\r\n",   1, "a|b",   0, 0, 0, 0 },
    { "\n\n",             1, "",      0, 0, 0, 0 },
    { "a,b\nc",           1, "a|b|c", 0, 0, 0, 0 },
    { "a,\nb",            1, "a|b",   0, 0, 0, 0 },
    { " a\n b",           1, "a|b",   0, 2, 0, 0 },
    { "a\nb\tc",          1, "a",     0, 0, 0, 2 },
    { NULL, 0, NULL, 0, 0, 0, 0 }
};


typedef struct {
    const char   *pattern;
    const char   *text;
    ngx_uint_t    fits;
} ngx_llm_unit_glob_t;


static ngx_llm_unit_glob_t  globs[] = {
    { "", "", 1 }, { "", "a", 0 }, { "a", "a", 1 }, { "a", "b", 0 },
    { "a", "ab", 0 }, { "ab", "a", 0 }, { "*", "", 1 }, { "*", "abc", 1 },
    { "a*", "a", 1 }, { "a*", "abc", 1 }, { "a*", "ba", 0 }, { "*a", "ba", 1 },
    { "*a", "ab", 0 }, { "a*c", "ac", 1 }, { "a*c", "abbc", 1 },
    { "a*c", "abcd", 0 }, { "*b*", "abc", 1 }, { "a*b*c", "aXbYbZc", 1 },
    { "a**c", "abc", 1 }, { "*ab", "aab", 1 }, { "*aab", "aaab", 1 },
    { "gpt-*", "gpt-4o", 1 }, { "gpt-*", "GPT-4o", 0 }, { "a.c", "abc", 0 },
    { NULL, NULL, 0 }
};


static void ngx_llm_unit_times(void);
static void ngx_llm_unit_lists(ngx_conf_t *cf);


static ngx_str_t
str(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = text ? ngx_strlen(text) : 0;

    return s;
}


void
ngx_llm_unit_values(ngx_conf_t *cf)
{
    ngx_int_t    rc;
    ngx_str_t    text, pattern;
    ngx_uint_t   i;
    ngx_msec_t   wait;

    for (i = 0; seconds[i].text; i++) {
        text = str(seconds[i].text);
        wait = 0;

        rc = ngx_http_llm_limits_retry_after(&text, (uint64_t) NOW * 1000,
                                             &wait);

        ngx_llm_unit_ok(seconds[i].wait == BAD
                        ? rc == NGX_ERROR
                        : (rc == NGX_OK && wait == seconds[i].wait),
                        "limits: Retry-After \"%V\" is %M", &text, wait);
    }

    text = str("1250");
    ngx_llm_unit_ok(ngx_http_llm_limits_msec(&text, &wait) == NGX_OK
                    && wait == 1250, "limits: milliseconds");

    text = str("0.25");
    ngx_llm_unit_ok(ngx_http_llm_limits_msec(&text, &wait) == NGX_OK
                    && wait == 1, "limits: less than a millisecond");

    text = str("Thu, 01 Jan 2026 00:00:30 GMT");
    ngx_llm_unit_ok(ngx_http_llm_limits_msec(&text, &wait) == NGX_ERROR,
                    "limits: no date in milliseconds");

    ngx_llm_unit_times();

    for (i = 0; globs[i].pattern; i++) {
        pattern = str(globs[i].pattern);
        text = str(globs[i].text);

        ngx_llm_unit_ok(ngx_http_llm_glob(&pattern, &text) == globs[i].fits,
                        "glob: \"%V\" and \"%V\"", &pattern, &text);
    }

    ngx_llm_unit_lists(cf);
}


static void
ngx_llm_unit_times(void)
{
    int64_t      count;
    ngx_int_t    rc;
    ngx_str_t    text;
    ngx_uint_t   i;
    ngx_msec_t   wait;

    for (i = 0; durations[i].text; i++) {
        text = str(durations[i].text);
        wait = 0;

        rc = ngx_http_llm_limits_duration(&text, &wait);

        ngx_llm_unit_ok(durations[i].wait == BAD
                        ? rc == NGX_ERROR
                        : (rc == NGX_OK && wait == durations[i].wait),
                        "limits: duration \"%V\" is %M", &text, wait);
    }

    for (i = 0; resets[i].text; i++) {
        text = str(resets[i].text);
        wait = 0;

        rc = ngx_http_llm_limits_reset(&text, (uint64_t) NOW * 1000, &wait);

        ngx_llm_unit_ok(resets[i].wait == BAD
                        ? rc == NGX_ERROR
                        : (rc == NGX_OK && wait == resets[i].wait),
                        "limits: reset \"%V\" is %M", &text, wait);
    }

    for (i = 0; counts[i].text; i++) {
        text = str(counts[i].text);
        count = 0;

        rc = ngx_http_llm_limits_count(&text, &count);

        ngx_llm_unit_ok(counts[i].wait == BAD
                        ? rc == NGX_ERROR
                        : (rc == NGX_OK
                           && count == (int64_t) counts[i].wait),
                        "limits: count \"%V\" is %L", &text, count);
    }

    for (i = 0; midnights[i].now; i++) {
        wait = ngx_http_llm_limits_midnight(midnights[i].now * 1000);

        ngx_llm_unit_ok(wait == midnights[i].wait,
                        "limits: midnight after %uL is in %M",
                        midnights[i].now, wait);
    }
}


static void
ngx_llm_unit_lists(ngx_conf_t *cf)
{
    u_char                       *p, joined[64];
    ngx_int_t                     rc;
    ngx_str_t                     text, *key;
    ngx_uint_t                    i, k;
    ngx_array_t                   keys;
    ngx_llm_unit_list_t          *list;
    ngx_http_llm_secret_flaws_t   flaws;

    for (i = 0; lists[i].text; i++) {
        list = &lists[i];
        text = str(list->text);

        (void) ngx_array_init(&keys, cf->pool, 1, sizeof(ngx_str_t));
        ngx_memzero(&flaws, sizeof(flaws));

        rc = ngx_http_llm_secret_split(&text, list->lines, &keys, &flaws);

        p = joined;
        key = keys.elts;

        for (k = 0; k < keys.nelts; k++) {
            p = ngx_sprintf(p, "%s%V", k ? "|" : "", &key[k]);
        }

        *p = '\0';

        ngx_llm_unit_ok(rc == (list->broken ? NGX_ERROR : NGX_OK)
                        && ngx_strcmp(joined, list->keys) == 0
                        && flaws.empty == list->empty
                        && flaws.trimmed == list->trimmed
                        && flaws.duplicate == list->duplicate
                        && flaws.broken == list->broken,
                        "secret: list %ui, \"%s\", flaws %ui %ui %ui %ui", i,
                        joined, flaws.empty, flaws.trimmed, flaws.duplicate,
                        flaws.broken);
    }
}
