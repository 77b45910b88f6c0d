
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_catalog.h"
#include "../../src/ngx_http_llm_limits.h"
#include "../../src/ngx_http_llm_secret.h"
#include "../../src/ngx_http_llm_verdict.h"


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
    { "86400", NGX_HTTP_LLM_LIMITS_MAX },
    { "86401", NGX_HTTP_LLM_LIMITS_MAX },
    { "99999999999999999999999999999999", NGX_HTTP_LLM_LIMITS_MAX },
    { "18446744073709551616", NGX_HTTP_LLM_LIMITS_MAX },
    { "18446744073709551617.9", NGX_HTTP_LLM_LIMITS_MAX },
    { "Thu, 01 Jan 2026 00:00:30 GMT", 30000 },
    { "Thursday, 01-Jan-26 00:01:00 GMT", 60000 },
    { "Thu Jan  1 00:00:05 2026", 5000 },
    { "Wed, 31 Dec 2025 23:59:59 GMT", 0 },
    { "Fri, 02 Jan 2099 00:00:00 GMT", NGX_HTTP_LLM_LIMITS_MAX },
    { "", BAD }, { ".", BAD }, { "-1", BAD }, { "+1", BAD }, { "1e3", BAD },
    { "0x10", BAD }, { "NaN", BAD }, { "inf", BAD }, { "1 ", BAD },
    { " 1", BAD }, { "1,5", BAD }, { "1.5.5", BAD }, { "soon", BAD },
    { "2026-01-01T00:00:30Z", BAD }, { "Thu, 99 Foo 2026", BAD },
    { NULL, 0 }
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


static void ngx_llm_unit_lists(ngx_conf_t *cf);
static void ngx_llm_unit_verdicts(void);


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

        rc = ngx_http_llm_limits_retry_after(&text, NOW, &wait);

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

    for (i = 0; globs[i].pattern; i++) {
        pattern = str(globs[i].pattern);
        text = str(globs[i].text);

        ngx_llm_unit_ok(ngx_http_llm_glob(&pattern, &text) == globs[i].fits,
                        "glob: \"%V\" and \"%V\"", &pattern, &text);
    }

    ngx_llm_unit_lists(cf);
    ngx_llm_unit_verdicts();
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


static void
ngx_llm_unit_verdicts(void)
{
    ngx_str_t                  hint, msec;
    ngx_uint_t                 i;
    ngx_http_llm_facts_t       facts;
    ngx_http_llm_judgement_t   j;

    static struct {
        ngx_uint_t  status;
        ngx_uint_t  verdict;
        ngx_uint_t  hinted;
    } rows[] = {
        { 0, NGX_HTTP_LLM_ILL, NGX_HTTP_LLM_ILL },
        { 200, NGX_HTTP_LLM_OK, NGX_HTTP_LLM_OK },
        { 301, NGX_HTTP_LLM_OK, NGX_HTTP_LLM_OK },
        { 400, NGX_HTTP_LLM_OK, NGX_HTTP_LLM_OK },
        { 401, NGX_HTTP_LLM_FINISHED, NGX_HTTP_LLM_FINISHED },
        { 403, NGX_HTTP_LLM_OK, NGX_HTTP_LLM_OK },
        { 404, NGX_HTTP_LLM_OK, NGX_HTTP_LLM_OK },
        { 413, NGX_HTTP_LLM_OK, NGX_HTTP_LLM_OK },
        { 422, NGX_HTTP_LLM_OK, NGX_HTTP_LLM_OK },
        { 429, NGX_HTTP_LLM_WAIT, NGX_HTTP_LLM_WAIT },
        { 500, NGX_HTTP_LLM_ILL, NGX_HTTP_LLM_ILL },
        { 503, NGX_HTTP_LLM_ILL, NGX_HTTP_LLM_WAIT },
        { 529, NGX_HTTP_LLM_WAIT, NGX_HTTP_LLM_WAIT },
    };

    hint = str("30");
    msec = str("1500");

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {

        ngx_memzero(&facts, sizeof(facts));
        facts.status = rows[i].status;

        ngx_http_llm_verdict(&facts, NOW, &j);

        ngx_llm_unit_ok(j.verdict == rows[i].verdict
                        && j.wait == (j.verdict == NGX_HTTP_LLM_WAIT ? 5000
                                   : j.verdict == NGX_HTTP_LLM_FINISHED ? 60000
                                   : 0),
                        "verdict: %ui, %ui for %M", facts.status, j.verdict,
                        j.wait);

        facts.retry_after = &hint;

        ngx_http_llm_verdict(&facts, NOW, &j);

        ngx_llm_unit_ok(j.verdict == rows[i].hinted
                        && (j.verdict != NGX_HTTP_LLM_WAIT || j.wait == 30000),
                        "verdict: %ui with a hint", facts.status);
    }

    ngx_memzero(&facts, sizeof(facts));
    facts.status = 429;
    facts.retry_after = &hint;
    facts.retry_after_ms = &msec;

    ngx_http_llm_verdict(&facts, NOW, &j);
    ngx_llm_unit_ok(j.wait == 1500, "verdict: milliseconds come first");

    msec = str("nonsense");
    ngx_http_llm_verdict(&facts, NOW, &j);
    ngx_llm_unit_ok(j.wait == 30000, "verdict: unless they are none");

    hint = str("nonsense");
    ngx_http_llm_verdict(&facts, NOW, &j);
    ngx_llm_unit_ok(j.wait == 5000, "verdict: then the default");

    hint = str("0");
    ngx_http_llm_verdict(&facts, NOW, &j);
    ngx_llm_unit_ok(j.wait == 1000, "verdict: not less than a second");

    hint = str("100000");
    ngx_http_llm_verdict(&facts, NOW, &j);
    ngx_llm_unit_ok(j.wait == 3600000, "verdict: not more than an hour");
}
