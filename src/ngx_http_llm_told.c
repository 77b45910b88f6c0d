
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_told.h"
#include "ngx_http_llm_limits.h"


#define NGX_HTTP_LLM_TOLD_SECOND  1000                                /* ms */
#define NGX_HTTP_LLM_TOLD_MINUTE  (60 * 1000)                         /* ms */
#define NGX_HTTP_LLM_TOLD_HOUR    (60 * 60 * 1000)                    /* ms */
#define NGX_HTTP_LLM_TOLD_DAY     (24 * 60 * 60 * 1000)               /* ms */

/*
 * A reset of more windows than this is not believed, as it would lock the key,
 * and the window counts instead; but those of names that do not tell may be
 * longer than they look.  What counts by the day is over when that is, and a
 * day has 25 hours when the clocks are changed.
 */

#define NGX_HTTP_LLM_TOLD_WINDOWS    2
#define NGX_HTTP_LLM_TOLD_RESET_MIN  (10 * 60 * 1000)                 /* ms */
#define NGX_HTTP_LLM_TOLD_RESET_MAX  (25 * 60 * 60 * 1000)            /* ms */

/* all comes back at the reset */

#define NGX_HTTP_LLM_TOLD_FIXED   1

/* and that is when the clock's minute ends */

#define NGX_HTTP_LLM_TOLD_CLOCK   2

/* a reset of 0 means that it is not known */

#define NGX_HTTP_LLM_TOLD_VAGUE   4


typedef enum {
    NGX_HTTP_LLM_TOLD_LIMIT = 0,
    NGX_HTTP_LLM_TOLD_REMAINING,
    NGX_HTTP_LLM_TOLD_RESET,
    NGX_HTTP_LLM_TOLD_WINDOW,
    NGX_HTTP_LLM_TOLD_NOTHING
} ngx_http_llm_told_field_e;


/* "*" in a name is the place of the word that says which field it is */

typedef struct {
    const char   *providers;         /* NULL: any */
    const char   *name;
    ngx_uint_t    dimension;
    ngx_uint_t    rank;              /* the highest one describes it */
    ngx_msec_t    window;
    ngx_uint_t    flags;
} ngx_http_llm_told_row_t;


typedef struct {
    ngx_str_t     name;
    ngx_uint_t    field;
} ngx_http_llm_told_word_t;


static ngx_uint_t ngx_http_llm_told_field(const char *pattern,
    ngx_str_t *name);
static ngx_int_t ngx_http_llm_told_take(ngx_http_llm_told_limit_t *limit,
    ngx_http_llm_told_row_t *row, ngx_uint_t field, ngx_str_t *value,
    uint64_t now);
static ngx_int_t ngx_http_llm_told_reset(ngx_http_llm_told_limit_t *limit,
    ngx_http_llm_told_row_t *row, ngx_str_t *value, uint64_t now);
static ngx_int_t ngx_http_llm_told_window(ngx_http_llm_told_limit_t *limit,
    ngx_str_t *value);


static ngx_http_llm_told_word_t  ngx_http_llm_told_words[] = {
    { ngx_string("limit"), NGX_HTTP_LLM_TOLD_LIMIT },
    { ngx_string("remaining"), NGX_HTTP_LLM_TOLD_REMAINING },
    { ngx_string("reset"), NGX_HTTP_LLM_TOLD_RESET },
    { ngx_string("timeremaining"), NGX_HTTP_LLM_TOLD_RESET },
    { ngx_string("renewalperiod"), NGX_HTTP_LLM_TOLD_WINDOW },
    { ngx_null_string, 0 }
};


/* the first row that fits; names that many share come last */

static ngx_http_llm_told_row_t  ngx_http_llm_told_rows[] = {

    /* requests count by the day, whatever the name says */

    { "groq", "x-ratelimit-*-requests",
      NGX_HTTP_LLM_REQUESTS_DAY, 8, NGX_HTTP_LLM_TOLD_DAY, 0 },

    { "azure", "x-ratelimit-*-requests",
      NGX_HTTP_LLM_REQUESTS, 8, NGX_HTTP_LLM_TOLD_MINUTE,
      NGX_HTTP_LLM_TOLD_VAGUE },
    { "azure", "x-ratelimit-*-tokens",
      NGX_HTTP_LLM_TOKENS, 8, NGX_HTTP_LLM_TOLD_MINUTE,
      NGX_HTTP_LLM_TOLD_VAGUE },

    { "mistral codestral", "x-ratelimit-*-req-minute",
      NGX_HTTP_LLM_REQUESTS, 8, NGX_HTTP_LLM_TOLD_MINUTE,
      NGX_HTTP_LLM_TOLD_FIXED|NGX_HTTP_LLM_TOLD_CLOCK },
    { "mistral codestral", "x-ratelimit-*-tokens-minute",
      NGX_HTTP_LLM_TOKENS, 8, NGX_HTTP_LLM_TOLD_MINUTE,
      NGX_HTTP_LLM_TOLD_FIXED|NGX_HTTP_LLM_TOLD_CLOCK },
    { "mistral codestral", "ratelimitbysize-*",
      NGX_HTTP_LLM_TOKENS, 7, NGX_HTTP_LLM_TOLD_MINUTE,
      NGX_HTTP_LLM_TOLD_FIXED },
    { "mistral codestral", "x-ratelimitbysize-*-minute",
      NGX_HTTP_LLM_TOKENS, 6, NGX_HTTP_LLM_TOLD_MINUTE,
      NGX_HTTP_LLM_TOLD_FIXED|NGX_HTTP_LLM_TOLD_CLOCK },

    { "together_ai", "x-ratelimit-*",
      NGX_HTTP_LLM_REQUESTS, 8, NGX_HTTP_LLM_TOLD_SECOND, 0 },
    { "together_ai", "x-tokenlimit-*",
      NGX_HTTP_LLM_TOKENS, 8, NGX_HTTP_LLM_TOLD_SECOND, 0 },

    { "openrouter", "x-ratelimit-*",
      NGX_HTTP_LLM_REQUESTS, 8, NGX_HTTP_LLM_TOLD_MINUTE,
      NGX_HTTP_LLM_TOLD_FIXED },

    { "github", "x-ratelimit-*",
      NGX_HTTP_LLM_REQUESTS, 8, NGX_HTTP_LLM_TOLD_MINUTE,
      NGX_HTTP_LLM_TOLD_FIXED },

    { NULL, "x-ratelimit-*-requests",
      NGX_HTTP_LLM_REQUESTS, 8, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "x-ratelimit-*-requests-minute",
      NGX_HTTP_LLM_REQUESTS, 8, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "x-ratelimit-*-requests-hour",
      NGX_HTTP_LLM_REQUESTS, 4, NGX_HTTP_LLM_TOLD_HOUR, 0 },
    { NULL, "x-ratelimit-*-requests-day",
      NGX_HTTP_LLM_REQUESTS_DAY, 8, NGX_HTTP_LLM_TOLD_DAY, 0 },

    { NULL, "x-ratelimit-*-tokens",
      NGX_HTTP_LLM_TOKENS, 8, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "x-ratelimit-*-tokens-minute",
      NGX_HTTP_LLM_TOKENS, 8, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "x-ratelimit-*-tokens-prompt",
      NGX_HTTP_LLM_TOKENS, 7, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "x-ratelimit-*-tokens-cache-adjusted-prompt",
      NGX_HTTP_LLM_TOKENS, 6, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "x-ratelimit-*-tokens-generated",
      NGX_HTTP_LLM_TOKENS, 5, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "x-ratelimit-*-tokens_usage_based",
      NGX_HTTP_LLM_TOKENS, 5, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "x-ratelimit-*-tokens-hour",
      NGX_HTTP_LLM_TOKENS, 4, NGX_HTTP_LLM_TOLD_HOUR, 0 },
    { NULL, "x-ratelimit-*-tokens-day",
      NGX_HTTP_LLM_TOKENS_DAY, 8, NGX_HTTP_LLM_TOLD_DAY, 0 },

    /* without more words, these are those of the tightest limit */

    { NULL, "anthropic-ratelimit-requests-*",
      NGX_HTTP_LLM_REQUESTS, 8, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "anthropic-ratelimit-tokens-*",
      NGX_HTTP_LLM_TOKENS, 8, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "anthropic-ratelimit-input-tokens-*",
      NGX_HTTP_LLM_TOKENS, 7, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "anthropic-ratelimit-output-tokens-*",
      NGX_HTTP_LLM_TOKENS, 6, NGX_HTTP_LLM_TOLD_MINUTE, 0 },

    { NULL, "x-ratelimit-*",
      NGX_HTTP_LLM_REQUESTS, 2, NGX_HTTP_LLM_TOLD_MINUTE, 0 },
    { NULL, "ratelimit-*",
      NGX_HTTP_LLM_REQUESTS, 1, NGX_HTTP_LLM_TOLD_MINUTE, 0 },

    { NULL, NULL, 0, 0, 0, 0 }
};


ngx_int_t
ngx_http_llm_told_header(ngx_http_llm_told_t *told,
    const ngx_http_llm_provider_t *provider, ngx_str_t *name,
    ngx_str_t *value, uint64_t now)
{
    ngx_int_t                 rc;
    ngx_str_t                 owner;
    ngx_uint_t                field;
    ngx_http_llm_told_row_t  *row;

    /* a word of all names below, so that other headers cost little */

    if (ngx_strnstr(name->data, "limit", name->len) == NULL) {

        if (told->organization.len == 0
            && name->len == sizeof("openai-organization") - 1
            && ngx_strncmp(name->data, "openai-organization", name->len) == 0)
        {
            told->organization = *value;
        }

        return NGX_OK;
    }

    if (provider) {
        owner = provider->name;

    } else {
        ngx_str_null(&owner);
    }

    for (row = ngx_http_llm_told_rows; row->name; row++) {

        field = ngx_http_llm_told_field(row->name, name);

        if (field == NGX_HTTP_LLM_TOLD_NOTHING
            || (row->providers
                && !ngx_http_llm_catalog_has(row->providers, &owner)))
        {
            continue;
        }

        rc = ngx_http_llm_told_take(&told->limits[row->dimension], row, field,
                                    value, now);

        /* some say by a number that they do not know */

        return (row->flags & NGX_HTTP_LLM_TOLD_VAGUE) ? NGX_OK : rc;
    }

    return NGX_OK;
}


static ngx_uint_t
ngx_http_llm_told_field(const char *pattern, ngx_str_t *name)
{
    size_t                     before, behind;
    const char                *star;
    ngx_str_t                  word;
    ngx_http_llm_told_word_t  *w;

    star = strchr(pattern, '*');
    before = star - pattern;
    behind = ngx_strlen(star + 1);

    if (name->len < before + behind
        || ngx_strncmp(name->data, pattern, before) != 0
        || ngx_strncmp(name->data + name->len - behind, star + 1, behind) != 0)
    {
        return NGX_HTTP_LLM_TOLD_NOTHING;
    }

    word.data = name->data + before;
    word.len = name->len - before - behind;

    for (w = ngx_http_llm_told_words; w->name.len; w++) {
        if (w->name.len == word.len
            && ngx_strncmp(w->name.data, word.data, word.len) == 0)
        {
            return w->field;
        }
    }

    return NGX_HTTP_LLM_TOLD_NOTHING;
}


static ngx_int_t
ngx_http_llm_told_take(ngx_http_llm_told_limit_t *limit,
    ngx_http_llm_told_row_t *row, ngx_uint_t field, ngx_str_t *value,
    uint64_t now)
{
    int64_t                    number;
    ngx_int_t                  rc;
    ngx_http_llm_told_limit_t  taken;

    if (row->rank < limit->rank) {
        return NGX_OK;
    }

    taken = *limit;

    if (row->rank > limit->rank) {

        /* parts of different limits do not make one */

        ngx_memzero(&taken, sizeof(ngx_http_llm_told_limit_t));

        taken.rank = row->rank;
        taken.window = row->window;
        taken.fixed = (row->flags & NGX_HTTP_LLM_TOLD_FIXED) ? 1 : 0;
    }

    switch (field) {

    case NGX_HTTP_LLM_TOLD_LIMIT:

        if (taken.limited) {
            return NGX_OK;
        }

        if (ngx_http_llm_limits_count(value, &number) != NGX_OK) {
            return NGX_ERROR;
        }

        taken.limit = number;
        taken.limited = 1;
        break;

    case NGX_HTTP_LLM_TOLD_REMAINING:

        if (taken.remains) {
            return NGX_OK;
        }

        if (ngx_http_llm_limits_count(value, &number) != NGX_OK) {
            return NGX_ERROR;
        }

        taken.remaining = number;
        taken.remains = 1;
        break;

    case NGX_HTTP_LLM_TOLD_RESET:
        rc = ngx_http_llm_told_reset(&taken, row, value, now);

        if (rc != NGX_OK) {
            return rc;
        }

        break;

    default: /* NGX_HTTP_LLM_TOLD_WINDOW */
        rc = ngx_http_llm_told_window(&taken, value);

        if (rc != NGX_OK) {
            return rc;
        }

        break;
    }

    if ((row->flags & NGX_HTTP_LLM_TOLD_CLOCK) && !taken.resets) {
        taken.reset = row->window - (ngx_msec_t) (now % row->window);
        taken.resets = 1;
    }

    *limit = taken;

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_told_reset(ngx_http_llm_told_limit_t *limit,
    ngx_http_llm_told_row_t *row, ngx_str_t *value, uint64_t now)
{
    ngx_msec_t  reset, max;

    max = ngx_max(limit->window * NGX_HTTP_LLM_TOLD_WINDOWS,
                  NGX_HTTP_LLM_TOLD_RESET_MIN);

    if (limit->fixed || max > NGX_HTTP_LLM_TOLD_RESET_MAX) {
        max = NGX_HTTP_LLM_TOLD_RESET_MAX;
    }

    if (limit->resets) {
        return NGX_DECLINED;
    }

    if (ngx_http_llm_limits_reset(value, now, &reset) != NGX_OK
        || reset > max
        || (reset == 0 && (row->flags & NGX_HTTP_LLM_TOLD_VAGUE)))
    {
        return NGX_ERROR;
    }

    limit->reset = reset;
    limit->resets = 1;

    /* the same headers stand for the limit of a minute and that of a day */

    if (limit->fixed && reset > limit->window) {
        limit->window = (reset > NGX_HTTP_LLM_TOLD_HOUR)
                        ? NGX_HTTP_LLM_TOLD_DAY : NGX_HTTP_LLM_TOLD_HOUR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_told_window(ngx_http_llm_told_limit_t *limit, ngx_str_t *value)
{
    int64_t  seconds;

    if (ngx_http_llm_limits_count(value, &seconds) != NGX_OK
        || seconds == 0 || seconds > NGX_HTTP_LLM_TOLD_DAY / 1000)
    {
        return NGX_ERROR;
    }

    limit->window = (ngx_msec_t) seconds * 1000;

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_told_exhausted(ngx_http_llm_told_t *told, ngx_msec_t *wait)
{
    ngx_int_t                   rc;
    ngx_uint_t                  i;
    ngx_msec_t                  longest;
    ngx_http_llm_told_limit_t  *limit;

    rc = NGX_DECLINED;
    longest = 0;

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
        limit = &told->limits[i];

        if (limit->remains && limit->remaining <= 0 && limit->resets) {
            longest = ngx_max(longest, limit->reset);
            rc = NGX_OK;
        }
    }

    if (rc == NGX_OK) {
        *wait = longest;
    }

    return rc;
}


ngx_uint_t
ngx_http_llm_told_any(ngx_http_llm_told_t *told)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
        if (told->limits[i].limited && told->limits[i].remains) {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_llm_told_day_over(ngx_http_llm_told_t *told)
{
    ngx_uint_t                  i;
    ngx_http_llm_told_limit_t  *limit;

    for (i = 0; i < NGX_HTTP_LLM_DIMENSIONS; i++) {
        limit = &told->limits[i];

        if (limit->remains && limit->remaining <= 0
            && limit->window == NGX_HTTP_LLM_TOLD_DAY)
        {
            return 1;
        }
    }

    return 0;
}
