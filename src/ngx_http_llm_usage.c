
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_usage.h"


/* more than anybody has, and sums of it fit */

#define NGX_HTTP_LLM_USAGE_MAX  1000000000000000

#define NGX_HTTP_LLM_USAGE_DOCUMENT_POOL  1024


typedef enum {
    NGX_HTTP_LLM_USAGE_PROMPT = 0,
    NGX_HTTP_LLM_USAGE_COMPLETION,
    NGX_HTTP_LLM_USAGE_INPUT,
    NGX_HTTP_LLM_USAGE_OUTPUT,
    NGX_HTTP_LLM_USAGE_TOTAL,
    NGX_HTTP_LLM_USAGE_CACHED,
    NGX_HTTP_LLM_USAGE_REASONING,
    NGX_HTTP_LLM_USAGE_CACHE_HIT,
    NGX_HTTP_LLM_USAGE_NUM_CACHED,
    NGX_HTTP_LLM_USAGE_CACHE_READ,
    NGX_HTTP_LLM_USAGE_CACHE_CREATION,
    NGX_HTTP_LLM_USAGE_GEMINI_PROMPT,
    NGX_HTTP_LLM_USAGE_GEMINI_CANDIDATES,
    NGX_HTTP_LLM_USAGE_GEMINI_TOOL_USE,
    NGX_HTTP_LLM_USAGE_GEMINI_THOUGHTS,
    NGX_HTTP_LLM_USAGE_GEMINI_CACHED,
    NGX_HTTP_LLM_USAGE_GEMINI_TOTAL,
    NGX_HTTP_LLM_USAGE_OLLAMA_PROMPT,
    NGX_HTTP_LLM_USAGE_OLLAMA_EVAL,
    NGX_HTTP_LLM_USAGE_COST
} ngx_http_llm_usage_name_e;


/* kinds of paths: where each begins in the list */

typedef enum {
    NGX_HTTP_LLM_USAGE_INSIDE = 0,
    NGX_HTTP_LLM_USAGE_WEAK = 8,
    NGX_HTTP_LLM_USAGE_NUMBER = NGX_HTTP_LLM_USAGE_WEAK + 3,
    NGX_HTTP_LLM_USAGE_TOP = NGX_HTTP_LLM_USAGE_NUMBER
                             + NGX_HTTP_LLM_USAGE_OLLAMA_PROMPT,
    NGX_HTTP_LLM_USAGE_ID = NGX_HTTP_LLM_USAGE_NUMBER
                            + NGX_HTTP_LLM_USAGE_NAMES
} ngx_http_llm_usage_path_e;


typedef enum {
    sw_line = 0,
    sw_colon,
    sw_value,
    sw_skip
} ngx_http_llm_usage_state_e;


static void ngx_http_llm_usage_paths(void);
static void ngx_http_llm_usage_cleanup(void *data);
static void ngx_http_llm_usage_lines(ngx_http_llm_usage_t *usage,
    u_char *data, size_t len);
static void ngx_http_llm_usage_events(ngx_http_llm_usage_t *usage,
    u_char *data, size_t len);
static u_char *ngx_http_llm_usage_eol(u_char *p, u_char *last);
static void ngx_http_llm_usage_document(ngx_http_llm_usage_t *usage,
    u_char *data, size_t len);
static void ngx_http_llm_usage_document_end(ngx_http_llm_usage_t *usage);
static ngx_int_t ngx_http_llm_usage_value(void *data,
    ngx_http_llm_json_value_t *value);
static void ngx_http_llm_usage_number(ngx_http_llm_usage_t *usage,
    ngx_uint_t name, ngx_http_llm_json_value_t *value);
static void ngx_http_llm_usage_id(ngx_http_llm_usage_t *usage, uint64_t id);
static void ngx_http_llm_usage_resolve(ngx_http_llm_usage_t *usage);


/*
 * Numbers are looked for by name in any depth, and count if one of the first
 * paths has led to them: where they are is told before what they are called.
 * Behind these paths are those of the bind room.
 */

static ngx_http_llm_json_path_t
    ngx_http_llm_usage_all[NGX_HTTP_LLM_JSON_PATHS + 1] =
{
    { { "usage", "**", NULL } },
    { { "x_groq", "usage", "**", NULL } },
    { { "choices", "[0]", "usage", "**", NULL } },
    { { "response", "usage", "**", NULL } },
    { { "message", "usage", "**", NULL } },
    { { "delta", "usage", "**", NULL } },
    { { "usageMetadata", "**", NULL } },
    { { "meta", "**", NULL } },

    /* the same names again, for what is billed or for parts of the whole */

    { { "usage", "billed_units", "**", NULL } },
    { { "delta", "usage", "billed_units", "**", NULL } },
    { { "usage", "iterations", "**", NULL } },

    { { "**", "prompt_tokens", NULL } },
    { { "**", "completion_tokens", NULL } },
    { { "**", "input_tokens", NULL } },
    { { "**", "output_tokens", NULL } },
    { { "**", "total_tokens", NULL } },
    { { "**", "cached_tokens", NULL } },
    { { "**", "reasoning_tokens", NULL } },
    { { "**", "prompt_cache_hit_tokens", NULL } },
    { { "**", "num_cached_tokens", NULL } },
    { { "**", "cache_read_input_tokens", NULL } },
    { { "**", "cache_creation_input_tokens", NULL } },
    { { "**", "promptTokenCount", NULL } },
    { { "**", "candidatesTokenCount", NULL } },
    { { "**", "toolUsePromptTokenCount", NULL } },
    { { "**", "thoughtsTokenCount", NULL } },
    { { "**", "cachedContentTokenCount", NULL } },
    { { "**", "totalTokenCount", NULL } },
    { { "prompt_eval_count", NULL } },
    { { "eval_count", NULL } },
    { { "usage", "cost", NULL } },
    { { NULL } }
};


ngx_uint_t
ngx_http_llm_usage_kind(ngx_str_t *content_type)
{
    u_char  *p, *last;

    p = content_type->data;
    last = ngx_strlchr(p, p + content_type->len, ';');

    if (last == NULL) {
        last = p + content_type->len;
    }

    if (last - p < (ssize_t) sizeof("json") - 1) {
        return NGX_HTTP_LLM_USAGE_NONE;
    }

    if (ngx_strlcasestrn(p, last, (u_char *) "event-stream",
                         sizeof("event-stream") - 2))
    {
        return NGX_HTTP_LLM_USAGE_EVENTS;
    }

    if (ngx_strlcasestrn(p, last, (u_char *) "ndjson", sizeof("ndjson") - 2)
        || ngx_strlcasestrn(p, last, (u_char *) "jsonl", sizeof("jsonl") - 2))
    {
        return NGX_HTTP_LLM_USAGE_LINES;
    }

    return ngx_strlcasestrn(p, last, (u_char *) "json", sizeof("json") - 2)
           ? NGX_HTTP_LLM_USAGE_JSON : NGX_HTTP_LLM_USAGE_NONE;
}


ngx_http_llm_usage_t *
ngx_http_llm_usage_create(ngx_pool_t *pool, ngx_uint_t kind, ngx_uint_t reads)
{
    ngx_pool_cleanup_t    *cln;
    ngx_http_llm_usage_t  *usage;

    ngx_http_llm_usage_paths();

    usage = ngx_pcalloc(pool, sizeof(ngx_http_llm_usage_t));
    if (usage == NULL) {
        return NULL;
    }

    cln = ngx_pool_cleanup_add(pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    cln->handler = ngx_http_llm_usage_cleanup;
    cln->data = usage;

    usage->pool = pool;
    usage->kind = kind;
    usage->reads = reads;

    return usage;
}


/* once in a process */

static void
ngx_http_llm_usage_paths(void)
{
    ngx_uint_t  i;

    if (ngx_http_llm_usage_all[NGX_HTTP_LLM_USAGE_ID].names[0]) {
        return;
    }

    for (i = 0;
         ngx_http_llm_bind_paths[i].names[0]
         && NGX_HTTP_LLM_USAGE_ID + i < NGX_HTTP_LLM_JSON_PATHS;
         i++)
    {
        ngx_http_llm_usage_all[NGX_HTTP_LLM_USAGE_ID + i] =
                                                   ngx_http_llm_bind_paths[i];
    }
}


static void
ngx_http_llm_usage_cleanup(void *data)
{
    ngx_http_llm_usage_t *usage = data;

    if (usage->document) {
        ngx_destroy_pool(usage->document);
        usage->document = NULL;
        usage->json = NULL;
    }
}


void
ngx_http_llm_usage_feed(ngx_http_llm_usage_t *usage, u_char *data, size_t len)
{
    if (len == 0) {
        return;
    }

    switch (usage->kind) {

    case NGX_HTTP_LLM_USAGE_JSON:
        ngx_http_llm_usage_document(usage, data, len);
        break;

    case NGX_HTTP_LLM_USAGE_EVENTS:
        ngx_http_llm_usage_events(usage, data, len);
        break;

    case NGX_HTTP_LLM_USAGE_LINES:
        ngx_http_llm_usage_lines(usage, data, len);
        break;
    }

    if (usage->told) {
        ngx_http_llm_usage_resolve(usage);
    }
}


void
ngx_http_llm_usage_finish(ngx_http_llm_usage_t *usage)
{
    ngx_http_llm_usage_document_end(usage);

    usage->kind = NGX_HTTP_LLM_USAGE_NONE;
}


static void
ngx_http_llm_usage_lines(ngx_http_llm_usage_t *usage, u_char *data, size_t len)
{
    u_char  *p, *last, *end;

    last = data + len;

    for (p = data; p < last; p = end + 1) {

        end = memchr(p, LF, last - p);

        if (end == NULL) {
            ngx_http_llm_usage_document(usage, p, last - p);
            return;
        }

        ngx_http_llm_usage_document(usage, p, end - p);
        ngx_http_llm_usage_document_end(usage);
    }
}


/* lines end with LF, CR or both; an empty one ends the event */

static void
ngx_http_llm_usage_events(ngx_http_llm_usage_t *usage, u_char *data,
    size_t len)
{
    u_char  ch, *p, *last, *end;

    static u_char  field[] = "data";

    last = data + len;

    for (p = data; p < last; /* void */) {

        ch = *p;

        if (usage->cr) {
            usage->cr = 0;

            if (ch == LF) {
                p++;
                continue;
            }
        }

        if (ch == CR || ch == LF) {

            if (usage->state == sw_value) {
                ngx_http_llm_usage_document(usage, p, 1);

            } else if (usage->state == sw_line && usage->matched == 0) {
                ngx_http_llm_usage_document_end(usage);
            }

            usage->cr = (ch == CR);
            usage->matched = 0;
            usage->state = sw_line;

            p++;
            continue;
        }

        switch (usage->state) {

        case sw_line:

            if (usage->matched == sizeof(field) - 1) {
                usage->state = (ch == ':') ? sw_colon : sw_skip;

            } else if (ch != field[usage->matched++]) {
                usage->state = sw_skip;
            }

            p++;
            break;

        case sw_colon:

            usage->state = sw_value;
            p += (ch == ' ');
            break;

        case sw_value:

            end = ngx_http_llm_usage_eol(p, last);
            ngx_http_llm_usage_document(usage, p, end - p);
            p = end;
            break;

        default: /* sw_skip */

            p = ngx_http_llm_usage_eol(p, last);
            break;
        }
    }
}


static u_char *
ngx_http_llm_usage_eol(u_char *p, u_char *last)
{
    u_char  *end;

    end = memchr(p, LF, last - p);

    if (end) {
        last = end;
    }

    end = memchr(p, CR, last - p);

    return end ? end : last;
}


/* a document has a pool of its own, since a stream may have any number */

static void
ngx_http_llm_usage_document(ngx_http_llm_usage_t *usage, u_char *data,
    size_t len)
{
    if (usage->broken || len == 0) {
        return;
    }

    usage->size += len;

    if (usage->size > NGX_HTTP_LLM_USAGE_SIZE) {
        goto broken;
    }

    if (usage->json == NULL) {
        usage->inside = -1;
        usage->weak = -1;

        usage->document = ngx_create_pool(NGX_HTTP_LLM_USAGE_DOCUMENT_POOL,
                                          usage->pool->log);
        if (usage->document == NULL) {
            goto broken;
        }

        /* Gemini's stream without alt=sse is one array */

        usage->json = ngx_http_llm_json_create(usage->document,
                                               ngx_http_llm_usage_all, 1,
                                               ngx_http_llm_usage_value,
                                               usage);
        if (usage->json == NULL) {
            goto broken;
        }
    }

    if (ngx_http_llm_json_feed(usage->json, data, len) == NGX_OK) {
        return;
    }

broken:

    ngx_http_llm_usage_cleanup(usage);

    usage->broken = 1;
}


static void
ngx_http_llm_usage_document_end(ngx_http_llm_usage_t *usage)
{
    ngx_http_llm_usage_cleanup(usage);

    usage->size = 0;
    usage->broken = 0;
}


static ngx_int_t
ngx_http_llm_usage_value(void *data, ngx_http_llm_json_value_t *value)
{
    ngx_http_llm_usage_t *usage = data;

    if (value->path >= NGX_HTTP_LLM_USAGE_ID) {
        ngx_http_llm_usage_id(usage,
                              ngx_http_llm_bind_value(usage->reads,
                                        value->path - NGX_HTTP_LLM_USAGE_ID,
                                        value));
        return NGX_OK;
    }

    if (value->path < NGX_HTTP_LLM_USAGE_WEAK) {
        usage->inside = value->start;
        return NGX_OK;
    }

    if (value->path < NGX_HTTP_LLM_USAGE_NUMBER) {
        usage->weak = value->start;
        return NGX_OK;
    }

    if (value->path >= NGX_HTTP_LLM_USAGE_TOP
        || value->start == usage->inside)
    {
        ngx_http_llm_usage_number(usage,
                                  value->path - NGX_HTTP_LLM_USAGE_NUMBER,
                                  value);
    }

    return NGX_OK;
}


static void
ngx_http_llm_usage_number(ngx_http_llm_usage_t *usage, ngx_uint_t name,
    ngx_http_llm_json_value_t *value)
{
    u_char      ch;
    size_t      i;
    uint32_t    bit;
    uint64_t    n;

    if (value->type != NGX_HTTP_LLM_JSON_NUMBER
        || !(usage->reads & NGX_HTTP_LLM_READ_TOKENS))
    {
        return;
    }

    if (name == NGX_HTTP_LLM_USAGE_COST) {
        usage->tokens.costed = ngx_http_llm_price_parse(&value->text,
                                                        &usage->tokens.cost)
                               == NGX_OK;
        return;
    }

    n = 0;

    for (i = 0; i < value->text.len; i++) {
        ch = value->text.data[i];

        /* some write "12.0" */

        if (ch == '.' && i) {
            break;
        }

        if (ch < '0' || ch > '9') {
            return;
        }

        n = ngx_min(n * 10 + (ch - '0'), NGX_HTTP_LLM_USAGE_MAX);
    }

    bit = (uint32_t) 1 << name;

    if (value->start != usage->weak) {
        usage->weakly &= ~bit;

    } else if ((usage->told & bit) && !(usage->weakly & bit)) {
        return;

    } else {
        usage->weakly |= bit;
    }

    usage->told |= bit;
    usage->numbers[name] = n;
}


static void
ngx_http_llm_usage_id(ngx_http_llm_usage_t *usage, uint64_t id)
{
    ngx_uint_t  i;

    if (id == 0 || usage->nids == NGX_HTTP_LLM_USAGE_IDS) {
        return;
    }

    /* in a stream it is mostly the latest again */

    for (i = usage->nids; i; i--) {
        if (usage->ids[i - 1] == id) {
            return;
        }
    }

    if (usage->ids == NULL) {
        usage->ids = ngx_palloc(usage->pool,
                                NGX_HTTP_LLM_USAGE_IDS * sizeof(uint64_t));
        if (usage->ids == NULL) {
            return;
        }
    }

    usage->ids[usage->nids++] = id;
}


static void
ngx_http_llm_usage_resolve(ngx_http_llm_usage_t *usage)
{
    uint64_t               *n, sum;
    ngx_uint_t              sides;
    ngx_http_llm_tokens_t  *tokens;

    n = usage->numbers;
    tokens = &usage->tokens;

    tokens->known = 1;

#define told(name)  (usage->told & (uint32_t) 1 << NGX_HTTP_LLM_USAGE_##name)
#define number(name)  n[NGX_HTTP_LLM_USAGE_##name]

    /* a number that was not told is 0 */

    if (told(PROMPT)) {
        tokens->input = number(PROMPT);

    } else if (told(INPUT)) {
        tokens->input = number(INPUT);

        /* Anthropic counts the cache beside, and gives no total */

        if (!told(TOTAL)) {
            tokens->input += number(CACHE_READ) + number(CACHE_CREATION);
        }

    } else if (told(OLLAMA_PROMPT)) {
        tokens->input = number(OLLAMA_PROMPT);

    } else {
        tokens->input = number(GEMINI_PROMPT) + number(GEMINI_TOOL_USE);
    }

    if (told(COMPLETION)) {
        tokens->output = number(COMPLETION);

    } else if (told(OUTPUT)) {
        tokens->output = number(OUTPUT);

    } else if (told(OLLAMA_EVAL)) {
        tokens->output = number(OLLAMA_EVAL);

    } else {
        tokens->output = number(GEMINI_CANDIDATES) + number(GEMINI_THOUGHTS);
    }

    tokens->cached = told(CACHED) ? number(CACHED)
                   : told(CACHE_HIT) ? number(CACHE_HIT)
                   : told(NUM_CACHED) ? number(NUM_CACHED)
                   : told(CACHE_READ) ? number(CACHE_READ)
                   : number(GEMINI_CACHED);

    tokens->reasoning = told(REASONING) ? number(REASONING)
                                        : number(GEMINI_THOUGHTS);

    tokens->total = told(TOTAL) ? number(TOTAL) : number(GEMINI_TOTAL);

    sides = told(PROMPT) || told(INPUT) || told(GEMINI_PROMPT)
            || told(COMPLETION) || told(OUTPUT) || told(GEMINI_CANDIDATES);

#undef told
#undef number

    sum = tokens->input + tokens->output;

    if (tokens->total <= sum) {
        tokens->total = sum;

    } else if (sides) {

        /* some count the reasoning in the total only */

        tokens->output = tokens->total - tokens->input;

    } else {
        tokens->input = tokens->total;
        tokens->output = 0;
    }
}
