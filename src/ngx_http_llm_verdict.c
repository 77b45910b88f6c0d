
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_verdict.h"
#include "ngx_http_llm_limits.h"


/*
 * A wait of 0, which providers do send, and one of a day would both do harm:
 * the first floods the provider, the second loses the key to a slip of theirs.
 * So what is longer is not believed, and the usual back-off takes its place:
 * an hour, too, would be lost.  A limit that counts by the day is over when the
 * day is: when its clocks are changed, a day has 25 hours.
 */

#define NGX_HTTP_LLM_WAIT_MIN      1000                               /* ms */
#define NGX_HTTP_LLM_WAIT_MAX      (60 * 60 * 1000)                   /* ms */
#define NGX_HTTP_LLM_WAIT_DAY_MAX  (25 * 60 * 60 * 1000)              /* ms */

#define NGX_HTTP_LLM_MINUTE        (60 * 1000)                        /* ms */


/* statuses that are errors, and those that are no fault of the request */

#define NGX_HTTP_LLM_VERDICT_ERROR    400
#define NGX_HTTP_LLM_VERDICT_FAILURE  500
#define NGX_HTTP_LLM_VERDICT_LIMITED  429


/* where the time comes from */

typedef enum {
    NGX_HTTP_LLM_FROM_NONE = 0,
    NGX_HTTP_LLM_FROM_TOLD,        /* the answer */
    NGX_HTTP_LLM_FROM_MINUTE,      /* the answer, or else the clock */
    NGX_HTTP_LLM_FROM_MIDNIGHT     /* of the Pacific coast */
} ngx_http_llm_verdict_from_e;


/*
 * Whether a header has to say when to come back.  One that cannot be believed
 * is a hint that there is a time, but not how long it is; and what comes with
 * a 200 has none, as headers tell about the 200.
 */

typedef enum {
    NGX_HTTP_LLM_HINT_ANY = 0,
    NGX_HTTP_LLM_HINT_HINTED,
    NGX_HTTP_LLM_HINT_UNHINTED
} ngx_http_llm_verdict_hint_e;


/* "*" in a code or in a message stands for any run of characters */

typedef struct {
    const char   *providers;       /* NULL: any */
    ngx_uint_t    status;          /* 0: any */
    const char   *code;            /* NULL: any */
    const char   *message;         /* NULL: any */
    ngx_uint_t    verdict;
    ngx_uint_t    scope;
    ngx_uint_t    from;
    ngx_uint_t    hint;
    const char   *reason;
} ngx_http_llm_verdict_row_t;


typedef struct {
    const char   *code;
    ngx_uint_t    status;
} ngx_http_llm_verdict_status_t;


#define ngx_http_llm_then(verdict, scope, from, hint)                         \
    NGX_HTTP_LLM_##verdict, NGX_HTTP_LLM_SCOPE_##scope,                       \
    NGX_HTTP_LLM_FROM_##from, NGX_HTTP_LLM_HINT_##hint


static ngx_uint_t ngx_http_llm_verdict_limits(ngx_http_llm_facts_t *facts);
static ngx_http_llm_verdict_row_t *ngx_http_llm_verdict_row(
    ngx_http_llm_facts_t *facts, ngx_uint_t hinted);
static ngx_uint_t ngx_http_llm_verdict_says(
    ngx_http_llm_complaint_t *complaint, ngx_http_llm_verdict_row_t *row);
static ngx_uint_t ngx_http_llm_verdict_hint(ngx_http_llm_facts_t *facts,
    uint64_t now, ngx_msec_t *wait);
static ngx_uint_t ngx_http_llm_verdict_believed(ngx_http_llm_facts_t *facts,
    ngx_str_t *value, ngx_uint_t msec, uint64_t now, ngx_msec_t *wait);
static ngx_msec_t ngx_http_llm_verdict_max(ngx_http_llm_facts_t *facts);
static ngx_msec_t ngx_http_llm_verdict_wait(ngx_http_llm_facts_t *facts,
    ngx_uint_t from, uint64_t now);


/*
 * The first row that fits.  What a client can bring about, by a model, a file
 * or a header of its choice, must not put out a key: so codes of a 400, 403 or
 * 404 stand here one by one, and all others go back to the client.
 */

static ngx_http_llm_verdict_row_t  ngx_http_llm_verdicts[] = {

    /* Gemini: the longest of several quotas comes first */

    { "gemini", 429, "*PerDay*PerModel*", NULL,
      ngx_http_llm_then(FINISHED, MODEL, MIDNIGHT, ANY), "daily_quota" },
    { "gemini", 429, "*PerDay*", NULL,
      ngx_http_llm_then(FINISHED, GROUP, MIDNIGHT, ANY), "daily_quota" },
    { "gemini", 429, NULL, "Your prepayment credits are depleted*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "credits_depleted" },
    { "gemini", 429, NULL, "Your prepay credits are depleted*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "credits_depleted" },
    { "gemini", 402, NULL, NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "credits_depleted" },
    { "gemini", 0, "API_KEY_INVALID", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "api_key_invalid" },
    { "gemini", 0, "API_KEY_EXPIRED", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "api_key_expired" },
    { "gemini", 400, NULL, "API key not valid*",
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "api_key_invalid" },
    { "gemini", 400, NULL, "API Key not found*",
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "api_key_invalid" },
    { "gemini", 400, NULL, "API key expired*",
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "api_key_expired" },

    /* a file that is not ready is FAILED_PRECONDITION as well */

    { "gemini", 400, "FAILED_PRECONDITION", "User location is not supported*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "location" },
    { "gemini", 400, "FAILED_PRECONDITION",
      "Gemini API free tier is not available*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "billing" },
    { "gemini", 400, NULL, "User location is not supported*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "location" },

    /* a file of another project is PERMISSION_DENIED, too */

    { "gemini", 403, NULL, "Your API key was reported as leaked*",
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "api_key_leaked" },
    { "gemini", 403, "API_KEY_SERVICE_BLOCKED", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "api_key_blocked" },
    { "gemini", 403, "API_KEY_IP_ADDRESS_BLOCKED", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "api_key_blocked" },
    { "gemini", 403, "CONSUMER_SUSPENDED", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "consumer_suspended" },
    { "gemini", 403, "CONSUMER_INVALID", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "consumer_invalid" },
    { "gemini", 403, "SERVICE_DISABLED", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "service_disabled" },
    { "gemini", 403, "BILLING_DISABLED", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "billing" },

    /* OpenAI */

    { "openai azure", 401, "account_deactivated", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "account_deactivated" },
    { "openai", 401, "ip_not_authorized", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "ip_not_authorized" },
    { "openai", 401, NULL, "*IP* not authorized*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "ip_not_authorized" },
    { "openai", 401, NULL, "You must be a member of an organization*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "organization" },
    { "openai", 0, NULL,
      "You have insufficient permissions for this operation*",
      ngx_http_llm_then(ELSEWHERE, KEY, NONE, ANY), "permissions" },
    { "openai", 400, "billing_hard_limit_reached", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "billing_hard_limit" },
    { "openai", 403, "model_not_found", NULL,
      ngx_http_llm_then(ELSEWHERE, GROUP, NONE, ANY), "model_not_found" },
    { "openai custom", 404, "model_not_found", NULL,
      ngx_http_llm_then(ELSEWHERE, GROUP, NONE, ANY), "model_not_found" },
    { "openai", 409, NULL, NULL,
      ngx_http_llm_then(ILL, KEY, NONE, ANY), "conflict" },

    /* Azure */

    { "azure", 429, NULL, "System is experiencing high demand*",
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "capacity" },

    /* Anthropic: a 429 without a time is the monthly limit */

    { "anthropic", 401, NULL, "CORS requests are not allowed*",
      ngx_http_llm_then(OK, KEY, NONE, ANY), "cors" },
    { "anthropic", 0, "overloaded_error", NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "overloaded" },
    { "anthropic", 400, NULL, "Your credit balance is too low*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "credit_balance" },
    { "anthropic", 400, NULL, "You have reached your specified *usage limits*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "spend_limit" },
    { "anthropic", 0, NULL, "This organization has been disabled*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "organization_disabled" },
    { "anthropic", 402, NULL, NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "billing_error" },
    { "anthropic", 403, "permission_error", NULL,
      ngx_http_llm_then(ELSEWHERE, MODEL, NONE, ANY), "permission_error" },
    { "anthropic", 409, NULL, NULL,
      ngx_http_llm_then(ILL, KEY, NONE, ANY), "conflict" },
    { "anthropic", 429, NULL, NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, UNHINTED), "spend_cap" },

    /* Mistral counts by the minute of the clock */

    { "mistral codestral", 429, "service_tier_capacity_exceeded", NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "capacity" },
    { "mistral codestral", 429, NULL, "Service tier capacity exceeded*",
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "capacity" },
    { "mistral codestral", 429, NULL, NULL,
      ngx_http_llm_then(WAIT, MODEL, MINUTE, ANY), "rate_limited" },

    /* OpenRouter: free models have a limit of their own */

    { "openrouter", 402, "in_flight_budget_exhausted", NULL,
      ngx_http_llm_then(WAIT, GROUP, TOLD, ANY), "in_flight_budget" },
    { "openrouter", 402, "weight_exceeds_budget", NULL,
      ngx_http_llm_then(OK, KEY, NONE, ANY), "request" },
    { "openrouter", 402, "openrouter_key_limit", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "key_limit" },
    { "openrouter", 402, "openrouter_credits", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "credits" },
    { "openrouter", 429, NULL, "Rate limit exceeded: free-models-per-day*",
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "free_models_per_day" },
    { "openrouter", 429, NULL, "Rate limit exceeded: free-models-per-*",
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "free_models_per_min" },
    { "openrouter", 429, "provider_name", NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "upstream_limit" },
    { "openrouter", 429, NULL, NULL,
      ngx_http_llm_then(WAIT, GROUP, TOLD, ANY), "rate_limited" },

    /* Groq: 413 is a request that never fits, whatever it says of a retry */

    { "groq", 413, NULL, NULL,
      ngx_http_llm_then(OK, KEY, NONE, ANY), "request" },
    { "groq", 0, "organization_restricted", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "restricted" },
    { "groq", 0, NULL, "Organization has been restricted*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "restricted" },
    { "groq", 498, NULL, NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "capacity" },

    /* xAI answers to a wrong key with 400 */

    { "xai", 400, NULL, "Incorrect API key provided*",
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "invalid_api_key" },
    { "xai", 0, NULL, "Your team *has either used all available credits*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "credits" },
    { "xai", 403, NULL, "Your newly created team*credits*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "credits" },

    /* Together: 403 is a context that is too long */

    { "together_ai", 403, NULL, NULL,
      ngx_http_llm_then(OK, KEY, NONE, ANY), "request" },

    /* Fireworks: a LoRA that cannot be loaded is a 412 as well */

    { "fireworks_ai", 412, NULL, "Account *suspended*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "account_suspended" },
    { "fireworks_ai", 412, NULL, NULL,
      ngx_http_llm_then(FINISHED, MODEL, NONE, ANY), "precondition" },

    /* Cerebras: the queue of all */

    { "cerebras", 429, "queue_exceeded", NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "queue_exceeded" },

    /* Cohere */

    { "cohere", 429, NULL,
      "You are using a Trial key, which is limited to 1000 API calls / month*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "trial_month" },
    { "cohere", 499, NULL, NULL,
      ngx_http_llm_then(ILL, KEY, NONE, ANY), "closed" },

    /* Moonshot has three */

    { "moonshot", 429, "exceeded_current_quota_error", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "current_quota" },
    { "moonshot", 0, "engine_overloaded_error", NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "engine_overloaded" },

    /* Z.ai */

    { "zai", 429, "1113", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "balance" },
    { "zai", 0, "1112", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "account_locked" },
    { "zai", 0, "1121", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "account_anomaly" },
    { "zai", 0, "1305", NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "overloaded" },
    { "zai", 0, "1000", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "authentication" },
    { "zai", 0, "1001", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "authentication" },
    { "zai", 0, "1002", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "authentication" },
    { "zai", 0, "1003", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "authentication" },
    { "zai", 0, "1004", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "authentication" },

    /* DashScope: insufficient_quota are tokens per minute */

    { "dashscope", 0, "Arrearage", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "arrearage" },
    { "dashscope", 0, "InvalidApiKey", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "invalid_api_key" },
    { "dashscope", 403, "AccessDenied.Unpurchased", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "unpurchased" },
    { "dashscope", 429, "*PostpaidBillOverdue", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "bill_overdue" },
    { "dashscope", 429, "*PrepaidBillOverdue", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "bill_overdue" },
    { "dashscope", 429, "*BudgetLimitExceeded", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "budget_limit" },
    { "dashscope", 0, "Throttling.ServiceOverloaded", NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "overloaded" },
    { "dashscope", 429, NULL, NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "throttling" },

    /* MiniMax: the status is one that we gave it */

    { "minimax", 0, "1002", NULL,
      ngx_http_llm_then(WAIT, GROUP, TOLD, ANY), "rate_limited" },
    { "minimax", 0, "1039", NULL,
      ngx_http_llm_then(WAIT, GROUP, TOLD, ANY), "rate_limited" },
    { "minimax", 0, "1004", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "authentication" },
    { "minimax", 0, "2049", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "authentication" },
    { "minimax", 0, "1008", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "balance" },
    { "minimax", 0, "2056", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "plan_exhausted" },
    { "minimax", 0, "2013", NULL,
      ngx_http_llm_then(OK, KEY, NONE, ANY), "request" },
    { "minimax", 0, "1026", NULL,
      ngx_http_llm_then(OK, KEY, NONE, ANY), "content" },
    { "minimax", 0, "1027", NULL,
      ngx_http_llm_then(OK, KEY, NONE, ANY), "content" },
    { "minimax", 0, "1000", NULL,
      ngx_http_llm_then(ILL, KEY, NONE, ANY), "failed" },
    { "minimax", 0, "1001", NULL,
      ngx_http_llm_then(ILL, KEY, NONE, ANY), "timeout" },
    { "minimax", 0, "1013", NULL,
      ngx_http_llm_then(ILL, KEY, NONE, ANY), "failed" },

    /* others */

    { "novita", 403, "NOT_ENOUGH_BALANCE", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "balance" },
    { "novita", 403, "INVALID_API_KEY", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "invalid_api_key" },
    { "huggingface", 402, NULL, NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "credits" },
    { "vercel_ai_gateway", 0, NULL,
      "AI Gateway requires a valid credit card on file*",
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "credit_card" },
    { "vercel_ai_gateway", 424, NULL, NULL,
      ngx_http_llm_then(ILL, KEY, NONE, ANY), "failed_dependency" },

    /* what several providers share */

    { NULL, 429, "insufficient_quota", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "insufficient_quota" },
    { NULL, 429, "credit_balance_exhausted", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "credit_balance" },
    { NULL, 429, "*_spend_limit_exceeded", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "spend_limit_exceeded" },
    { NULL, 429, "*_usage_limit_exceeded", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "usage_limit_exceeded" },
    { NULL, 429, "billing_*", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "billing" },
    { NULL, 403, "insufficient_quota", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "insufficient_quota" },
    { NULL, 403, "invalid_api_key", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "invalid_api_key" },
    { NULL, 403, "account_deactivated", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "account_deactivated" },
    { NULL, 403, "authentication_error", NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "authentication_error" },
    { NULL, 403, "billing_error", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "billing_error" },
    { NULL, 401, "account_deactivated", NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "account_deactivated" },

    /* by the status alone; a model may be forbidden as well as a key */

    { NULL, 401, NULL, NULL,
      ngx_http_llm_then(FINISHED, KEY, NONE, ANY), "unauthorized" },
    { "azure fireworks_ai moonshot nvidia_nim sambanova deepinfra github",
      403, NULL, NULL,
      ngx_http_llm_then(FINISHED, MODEL, NONE, ANY), "forbidden" },
    { "vercel_ai_gateway", 403, "forbidden", NULL,
      ngx_http_llm_then(FINISHED, MODEL, NONE, ANY), "forbidden" },
    { NULL, 402, NULL, NULL,
      ngx_http_llm_then(WAIT, GROUP, TOLD, HINTED), "payment_required" },
    { NULL, 402, NULL, NULL,
      ngx_http_llm_then(FINISHED, GROUP, NONE, ANY), "payment_required" },
    { NULL, 408, NULL, NULL,
      ngx_http_llm_then(ILL, KEY, NONE, ANY), "timeout" },
    { "openai azure groq mistral codestral anthropic "
      "gemini together_ai cerebras sambanova dashscope nebius deepinfra",
      429, NULL,
      NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "rate_limited" },
    { NULL, 429, NULL, NULL,
      ngx_http_llm_then(WAIT, GROUP, TOLD, ANY), "rate_limited" },
    { NULL, 498, NULL, NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "capacity" },
    { NULL, 503, NULL, NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, HINTED), "unavailable" },
    { NULL, 529, NULL, NULL,
      ngx_http_llm_then(WAIT, MODEL, TOLD, ANY), "overloaded" },

    { NULL, 0, NULL, NULL,
      ngx_http_llm_then(OK, KEY, NONE, ANY), NULL }
};


/* codes of errors that begin a stream, or come with a 200 otherwise */

static ngx_http_llm_verdict_status_t  ngx_http_llm_verdict_statuses[] = {
    { "overloaded_error", 529 },
    { "insufficient_quota", 429 },
    { "rate_limit_*", 429 },
    { "rate_limited", 429 },
    { "tokens", 429 },
    { "requests", 429 },
    { "RESOURCE_EXHAUSTED", 429 },
    { "queue_exceeded", 429 },
    { "engine_overloaded_error", 429 },
    { "exceeded_current_quota_error", 429 },
    { "authentication_error", 401 },
    { "invalid_api_key", 401 },
    { "UNAUTHENTICATED", 401 },
    { "billing_error", 402 },
    { "permission_error", 403 },
    { "PERMISSION_DENIED", 403 },
    { "not_found_error", 404 },
    { "model_not_found", 404 },
    { "NOT_FOUND", 404 },
    { "request_too_large", 413 },
    { "timeout_error", 504 },
    { "UNAVAILABLE", 503 },
    { "server_is_overloaded", 503 },
    { "slow_down", 503 },
    { "invalid_*", 400 },
    { "INVALID_ARGUMENT", 400 },
    { "FAILED_PRECONDITION", 400 },
    { "context_length_exceeded", 400 },
    { "content_*", 400 },
    { NULL, 0 }
};


void
ngx_http_llm_verdict(ngx_http_llm_facts_t *facts, uint64_t now,
    ngx_http_llm_judgement_t *judgement)
{
    ngx_msec_t                   wait;
    ngx_uint_t                   hinted;
    ngx_http_llm_verdict_row_t  *row;

    ngx_memzero(judgement, sizeof(ngx_http_llm_judgement_t));

    judgement->told = facts->told;

    if (facts->status == 0) {
        judgement->verdict = NGX_HTTP_LLM_ILL;
        judgement->reason = "no answer";
        return;
    }

    if (facts->status < NGX_HTTP_LLM_VERDICT_ERROR) {

        if (ngx_http_llm_told_any(&facts->told)) {
            judgement->scope = ngx_http_llm_verdict_limits(facts);
        }

        return;
    }

    hinted = ngx_http_llm_verdict_hint(facts, now, &wait)
             || (facts->x_should_retry
                 && facts->x_should_retry->len == sizeof("true") - 1
                 && ngx_strncmp(facts->x_should_retry->data, "true", 4) == 0);

    row = ngx_http_llm_verdict_row(facts, hinted);

    if (row->reason == NULL) {

        /* it is in no row */

        if (facts->status >= NGX_HTTP_LLM_VERDICT_FAILURE) {
            judgement->verdict = NGX_HTTP_LLM_ILL;
            judgement->reason = "failed";

        } else if (ngx_http_llm_told_any(&facts->told)) {
            judgement->scope = ngx_http_llm_verdict_limits(facts);
        }

        return;
    }

    judgement->verdict = row->verdict;
    judgement->scope = row->scope;

    if (row->verdict == NGX_HTTP_LLM_FINISHED
        && row->scope == NGX_HTTP_LLM_SCOPE_MODEL
        && row->from == NGX_HTTP_LLM_FROM_NONE
        && facts->modelless)
    {
        /* what was refused is the thing that was asked for, not the key */

        judgement->verdict = NGX_HTTP_LLM_ELSEWHERE;
        judgement->scope = NGX_HTTP_LLM_SCOPE_KEY;
    }

    judgement->limited = (facts->status == NGX_HTTP_LLM_VERDICT_LIMITED
                          && row->verdict == NGX_HTTP_LLM_WAIT);
    judgement->reason = row->reason;
    judgement->wait = ngx_http_llm_verdict_wait(facts, row->from, now);
}


/* what limits of the provider count for: the same as a refusal by them */

static ngx_uint_t
ngx_http_llm_verdict_limits(ngx_http_llm_facts_t *facts)
{
    ngx_http_llm_facts_t  refusal;

    ngx_memzero(&refusal, sizeof(ngx_http_llm_facts_t));

    refusal.provider = facts->provider;
    refusal.status = NGX_HTTP_LLM_VERDICT_LIMITED;

    return ngx_http_llm_verdict_row(&refusal, 0)->scope;
}


static ngx_http_llm_verdict_row_t *
ngx_http_llm_verdict_row(ngx_http_llm_facts_t *facts, ngx_uint_t hinted)
{
    ngx_str_t                    owner;
    ngx_http_llm_verdict_row_t  *row;

    if (facts->provider) {
        owner = facts->provider->name;

    } else {
        ngx_str_null(&owner);
    }

    for (row = ngx_http_llm_verdicts; row->reason; row++) {

        if (row->status && row->status != facts->status) {
            continue;
        }

        if ((row->hint == NGX_HTTP_LLM_HINT_HINTED && !hinted)
            || (row->hint == NGX_HTTP_LLM_HINT_UNHINTED
                && (hinted
                    || facts->event
                    || facts->retry_after
                    || facts->retry_after_ms
                    || facts->x_ms_retry_after_ms)))
        {
            continue;
        }

        if (row->providers
            && !ngx_http_llm_catalog_has(row->providers, &owner))
        {
            continue;
        }

        if ((row->code || row->message)
            && !ngx_http_llm_verdict_says(facts->complaint, row))
        {
            continue;
        }

        break;
    }

    return row;
}


static ngx_uint_t
ngx_http_llm_verdict_says(ngx_http_llm_complaint_t *complaint,
    ngx_http_llm_verdict_row_t *row)
{
    ngx_str_t  glob;

    if (complaint == NULL) {
        return 0;
    }

    if (row->code && !ngx_http_llm_complaint_has(complaint, row->code)) {
        return 0;
    }

    if (row->message) {
        glob.data = (u_char *) row->message;
        glob.len = ngx_strlen(row->message);

        return ngx_http_llm_glob(&glob, &complaint->message);
    }

    return 1;
}


/* what the headers say that are meant for this */

static ngx_uint_t
ngx_http_llm_verdict_hint(ngx_http_llm_facts_t *facts, uint64_t now,
    ngx_msec_t *wait)
{
    return ngx_http_llm_verdict_believed(facts, facts->retry_after_ms, 1, now,
                                         wait)
           || ngx_http_llm_verdict_believed(facts, facts->x_ms_retry_after_ms,
                                            1, now, wait)
           || ngx_http_llm_verdict_believed(facts, facts->retry_after, 0, now,
                                            wait);
}


static ngx_uint_t
ngx_http_llm_verdict_believed(ngx_http_llm_facts_t *facts, ngx_str_t *value,
    ngx_uint_t msec, uint64_t now, ngx_msec_t *wait)
{
    ngx_int_t  rc;

    if (value == NULL) {
        return 0;
    }

    rc = msec ? ngx_http_llm_limits_msec(value, wait)
              : ngx_http_llm_limits_retry_after(value, now, wait);

    return rc == NGX_OK && *wait <= ngx_http_llm_verdict_max(facts);
}


ngx_str_t *
ngx_http_llm_verdict_doubted(ngx_http_llm_facts_t *facts, uint64_t now,
    const char **name)
{
    ngx_msec_t  wait;

    if (facts->retry_after_ms
        && !ngx_http_llm_verdict_believed(facts, facts->retry_after_ms, 1, now,
                                          &wait))
    {
        *name = "retry-after-ms";
        return facts->retry_after_ms;
    }

    if (facts->x_ms_retry_after_ms
        && !ngx_http_llm_verdict_believed(facts, facts->x_ms_retry_after_ms, 1,
                                          now, &wait))
    {
        *name = "x-ms-retry-after-ms";
        return facts->x_ms_retry_after_ms;
    }

    if (facts->retry_after
        && !ngx_http_llm_verdict_believed(facts, facts->retry_after, 0, now,
                                          &wait))
    {
        *name = "retry-after";
        return facts->retry_after;
    }

    return NULL;
}


/* the longest wait that is believed */

static ngx_msec_t
ngx_http_llm_verdict_max(ngx_http_llm_facts_t *facts)
{
    return ngx_http_llm_told_day_over(&facts->told)
           ? NGX_HTTP_LLM_WAIT_DAY_MAX : NGX_HTTP_LLM_WAIT_MAX;
}


static ngx_msec_t
ngx_http_llm_verdict_wait(ngx_http_llm_facts_t *facts, ngx_uint_t from,
    uint64_t now)
{
    ngx_msec_t                 wait, max;
    ngx_http_llm_complaint_t  *complaint;

    complaint = facts->complaint;

    if (from == NGX_HTTP_LLM_FROM_NONE) {
        return 0;
    }

    if (from == NGX_HTTP_LLM_FROM_MIDNIGHT) {
        return ngx_max(ngx_http_llm_limits_midnight(now),
                       NGX_HTTP_LLM_WAIT_MIN);
    }

    /* from == NGX_HTTP_LLM_FROM_TOLD || from == NGX_HTTP_LLM_FROM_MINUTE */

    max = ngx_http_llm_verdict_max(facts);

    if (ngx_http_llm_verdict_hint(facts, now, &wait)
        || (ngx_http_llm_told_exhausted(&facts->told, &wait) == NGX_OK
            && wait <= max))
    {
        return ngx_max(wait, NGX_HTTP_LLM_WAIT_MIN);
    }

    if (complaint && complaint->waits && complaint->wait <= max) {
        return ngx_max(complaint->wait, NGX_HTTP_LLM_WAIT_MIN);
    }

    if (from == NGX_HTTP_LLM_FROM_MINUTE) {
        wait = NGX_HTTP_LLM_MINUTE - (ngx_msec_t) (now % NGX_HTTP_LLM_MINUTE);

        return ngx_max(wait, NGX_HTTP_LLM_WAIT_MIN);
    }

    return 0;
}


ngx_uint_t
ngx_http_llm_verdict_status(ngx_http_llm_complaint_t *complaint)
{
    ngx_http_llm_verdict_status_t  *status;

    if (complaint->status) {
        return complaint->status;
    }

    for (status = ngx_http_llm_verdict_statuses; status->code; status++) {
        if (ngx_http_llm_complaint_has(complaint, status->code)) {
            return status->status;
        }
    }

    return NGX_HTTP_LLM_VERDICT_FAILURE;
}
