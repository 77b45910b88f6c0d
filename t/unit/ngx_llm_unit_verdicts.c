
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_complaint.h"
#include "../../src/ngx_http_llm_told.h"
#include "../../src/ngx_http_llm_verdict.h"


#define NOW       1767225620000ULL            /* 2026-01-01 00:00:20 GMT */
#define MIDNIGHT  28780000                    /* until 08:00 GMT */


/*
 * Headers are "name: value" lines.  "-" behind the provider: without a model,
 * "+": with a 200.
 */

typedef struct {
    const char   *provider;
    ngx_uint_t    status;
    const char   *headers;
    const char   *body;
    ngx_uint_t    verdict;
    ngx_uint_t    scope;
    ngx_msec_t    wait;
} ngx_llm_unit_verdict_t;


typedef struct {
    const char   *provider;
    const char   *headers;
    const char   *told;
} ngx_llm_unit_told_t;


typedef struct {
    const char   *body;
    const char   *read;      /* codes | message | status | wait | error */
} ngx_llm_unit_complaint_t;


typedef struct {
    const char   *text;
    ngx_uint_t    whole;
    ngx_int_t     rc;
    const char   *data;
    ngx_uint_t    named;
} ngx_llm_unit_event_t;


#define OK         NGX_HTTP_LLM_OK, 0, 0
#define ILL        NGX_HTTP_LLM_ILL, 0, 0

#define ELSEWHERE(scope)                                                      \
    NGX_HTTP_LLM_ELSEWHERE, NGX_HTTP_LLM_SCOPE_##scope, 0
#define FINISHED(scope)                                                       \
    NGX_HTTP_LLM_FINISHED, NGX_HTTP_LLM_SCOPE_##scope, 0
#define WAIT(scope, wait)                                                     \
    NGX_HTTP_LLM_WAIT, NGX_HTTP_LLM_SCOPE_##scope, wait

#define CODE(code)  "{\"error\":{\"message\":\"m\",\"type\":\"t\","            \
                    "\"code\":\"" code "\"}}"
#define TYPE(type)  "{\"type\":\"error\",\"error\":{\"type\":\"" type "\","    \
                    "\"message\":\"m\"}}"
#define SAYS(text)  "{\"error\":{\"message\":\"" text "\",\"code\":null}}"
#define TOP(code)   "{\"object\":\"error\",\"message\":\"m\",\"code\":\""      \
                    code "\"}"
#define OPENROUTER(code, metadata)                                            \
    "{\"error\":{\"code\":" code ",\"message\":\"m\",\"metadata\":{"           \
    metadata "}}}"
#define GEMINI(code, status, details)                                         \
    "{\"error\":{\"code\":" code ",\"message\":\"m\",\"status\":\"" status     \
    "\",\"details\":[" details "]}}"
#define QUOTA(id)                                                             \
    "{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\","              \
    "\"violations\":[{\"quotaMetric\":\"x\",\"quotaId\":\"" id "\"}]}"
#define RETRY(delay)                                                          \
    "{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\","                 \
    "\"retryDelay\":\"" delay "\"}"
#define REASON(reason)                                                        \
    "{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\","                 \
    "\"reason\":\"" reason "\",\"domain\":\"googleapis.com\"}"

#define MINUTELY  "GenerateRequestsPerMinutePerProjectPerModel-FreeTier"
#define DAILY     "GenerateRequestsPerDayPerProjectPerModel-FreeTier"


static ngx_llm_unit_verdict_t  verdicts[] = {

    /* statuses alone, whoever it is */

    { NULL, 0, "", "", ILL },
    { "openai", 200, "", "", OK },
    { "openai", 200, "Retry-After: 5", CODE("insufficient_quota"), OK },
    { "openai", 301, "", "", OK },
    { "openai", 400, "", "", OK },
    { "openai", 404, "", "", OK },
    { "openai", 413, "Retry-After: 5", "", OK },
    { "openai", 422, "", "", OK },
    { "openai", 424, "", "", OK },
    { "custom", 401, "", "", FINISHED(KEY) },
    { "custom", 402, "", "", FINISHED(GROUP) },
    { "custom", 402, "Retry-After: 7", "", WAIT(GROUP, 7000) },
    { "custom", 403, "", "", OK },
    { "custom", 408, "", "", ILL },
    { "custom", 429, "", "", WAIT(GROUP, 0) },
    { NULL, 429, "", "", WAIT(GROUP, 0) },
    { "custom", 498, "", "", WAIT(MODEL, 0) },
    { "custom", 500, "", "", ILL },
    { "custom", 501, "", "", ILL },
    { "custom", 502, "", "", ILL },
    { "custom", 503, "", "", ILL },
    { "custom", 503, "Retry-After: 30", "", WAIT(MODEL, 30000) },
    { "custom", 504, "", "", ILL },
    { "custom", 505, "", "", ILL },
    { "custom", 507, "", "", ILL },
    { "custom", 511, "", "", ILL },
    { "custom", 520, "", "", ILL },
    { "custom", 525, "", "", ILL },
    { "custom", 527, "", "", ILL },
    { "custom", 529, "", "", WAIT(MODEL, 0) },
    { "custom", 530, "", "", ILL },
    { "custom", 599, "", "", ILL },

    /* how long */

    { "openai", 429, "Retry-After: 30", "", WAIT(MODEL, 30000) },
    { "openai", 429, "Retry-After: 30\nretry-after-ms: 1500", "",
      WAIT(MODEL, 1500) },
    { "azure", 429, "Retry-After: 30\nx-ms-retry-after-ms: 1600", "",
      WAIT(MODEL, 1600) },
    { "openai", 429, "retry-after-ms: x\nRetry-After: 30", "",
      WAIT(MODEL, 30000) },
    { "openai", 429, "Retry-After: soon", "", WAIT(MODEL, 0) },
    { "openai", 429, "Retry-After: 0", "", WAIT(MODEL, 1000) },
    { "openai", 429, "Retry-After: 3600", "", WAIT(MODEL, 3600000) },
    { "openai", 429, "Retry-After: 3601", "", WAIT(MODEL, 0) },
    { "openai", 429, "Retry-After: 99999999999", "", WAIT(MODEL, 0) },
    { "openai", 429, "Retry-After: 1767225619", "", WAIT(MODEL, 0) },
    { "openai", 429, "Retry-After: 1767225650", "", WAIT(MODEL, 30000) },
    { "openai", 429, "Retry-After: 1767225650000", "", WAIT(MODEL, 30000) },
    { "openai", 429, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", "",
      WAIT(MODEL, 0) },
    { "openai", 429, "retry-after-ms: 3600001\nRetry-After: 30", "",
      WAIT(MODEL, 30000) },
    { "openai", 429, "Retry-After: 3601\nx-ratelimit-remaining-tokens: 0\n"
      "x-ratelimit-reset-tokens: 40s", "", WAIT(MODEL, 40000) },
    { "openai", 429, "", "{\"retry_after\":100000}", WAIT(MODEL, 0) },
    { "openai", 429, "", "{\"retry_after\":99999999999}", WAIT(MODEL, 0) },
    { "mistral", 429, "Retry-After: 100000", "", WAIT(MODEL, 40000) },
    { "anthropic", 429, "Retry-After: 100000", "", WAIT(MODEL, 0) },
    { "custom", 402, "Retry-After: 100000", "", FINISHED(GROUP) },
    { "custom", 503, "Retry-After: 100000", "", ILL },
    { "openai", 429, "x-ratelimit-remaining-tokens: 0\n"
      "x-ratelimit-reset-tokens: 6m0s\nx-ratelimit-remaining-requests: 9\n"
      "x-ratelimit-reset-requests: 20m", "", WAIT(MODEL, 360000) },
    { "openai", 429, "x-ratelimit-remaining-tokens: 5\n"
      "x-ratelimit-reset-tokens: 6m0s", "", WAIT(MODEL, 0) },
    { "openai", 429, "x-ratelimit-remaining-tokens: 0\n"
      "x-ratelimit-reset-tokens: 5h", "", WAIT(MODEL, 0) },
    { "openai", 429, "x-ratelimit-remaining-tokens: 0\n"
      "x-ratelimit-reset-tokens: 40s",
      SAYS("Rate limit reached. Please try again in 2s."),
      WAIT(MODEL, 40000) },
    { "openai", 429, "", SAYS("Rate limit reached for gpt-4o in organization "
      "org-x on tokens per min (TPM): Limit 30000, Used 29000, Requested "
      "2000. Please try again in 6m0s. Visit the page to learn more."),
      WAIT(MODEL, 360000) },
    { "custom", 429, "", "{\"retry_after\":12}", WAIT(GROUP, 12000) },
    { "custom", 429, "", "<html>try again in 9s</html>", WAIT(GROUP, 0) },
    { "custom", 429, "", "\037\213\010", WAIT(GROUP, 0) },
    { "custom", 429, "", CODE("rate_limit_exceeded") "trailing",
      WAIT(GROUP, 0) },

    /* a body that was cut short */

    { "openai", 429, "", "{\"error\":{\"type\":\"insufficient_quota\",\"me",
      FINISHED(GROUP) },

    /* OpenAI */

    { "openai", 429, "", CODE("insufficient_quota"), FINISHED(GROUP) },
    { "openai", 429, "Retry-After: 1", TYPE("insufficient_quota"),
      FINISHED(GROUP) },
    { "openai", 429, "", CODE("credit_balance_exhausted"), FINISHED(GROUP) },
    { "openai", 429, "", CODE("organization_spend_limit_exceeded"),
      FINISHED(GROUP) },
    { "openai", 429, "", CODE("organization_usage_limit_exceeded"),
      FINISHED(GROUP) },
    { "openai", 429, "", CODE("project_spend_limit_exceeded"),
      FINISHED(GROUP) },
    { "openai", 429, "", CODE("rate_limit_exceeded"), WAIT(MODEL, 0) },
    { "openai", 401, "", CODE("invalid_api_key"), FINISHED(KEY) },
    { "openai", 401, "", CODE("account_deactivated"), FINISHED(GROUP) },
    { "openai", 401, "", SAYS("You must be a member of an organization to use "
      "the API."), FINISHED(GROUP) },
    { "openai", 401, "", CODE("ip_not_authorized"), FINISHED(GROUP) },
    { "openai", 401, "", SAYS("Your IP is not authorized to use this API"),
      FINISHED(GROUP) },
    { "openai", 401, "", SAYS("You have insufficient permissions for this "
      "operation. Missing scopes: model.request"), ELSEWHERE(KEY) },
    { "openai", 404, "", CODE("model_not_found"), ELSEWHERE(GROUP) },
    { "openai", 403, "", CODE("model_not_found"), ELSEWHERE(GROUP) },
    { "openai", 403, "", CODE("unsupported_country_region_territory"), OK },
    { "openai", 400, "", CODE("context_length_exceeded"), OK },
    { "openai", 400, "", CODE("insufficient_quota"), OK },
    { "openai", 400, "", CODE("invalid_api_key"), OK },
    { "openai", 400, "", CODE("content_policy_violation"), OK },
    { "openai", 400, "", CODE("billing_hard_limit_reached"),
      FINISHED(GROUP) },
    { "openai", 409, "", "", ILL },
    { "openai", 503, "", CODE("slow_down"), ILL },

    /* Azure */

    { "azure", 429, "", SAYS("Requests have exceeded the limit. Please retry "
      "after 37 seconds."), WAIT(MODEL, 37000) },
    { "azure", 429, "", SAYS("System is experiencing high demand"),
      WAIT(MODEL, 0) },
    { "azure", 429, "x-ratelimit-remaining-requests: 0\n"
      "x-ratelimit-reset-requests: 0", "", WAIT(MODEL, 0) },
    { "azure", 401, "", CODE("401"), FINISHED(KEY) },
    { "azure", 403, "", "", FINISHED(MODEL) },
    { "azure", 400, "", CODE("content_filter"), OK },
    { "azure", 404, "", CODE("DeploymentNotFound"), OK },

    /* Anthropic */

    { "anthropic", 429, "Retry-After: 12", TYPE("rate_limit_error"),
      WAIT(MODEL, 12000) },
    { "anthropic", 429, "", TYPE("rate_limit_error"), FINISHED(GROUP) },
    { "anthropic +", 429, "", TYPE("rate_limit_error"), WAIT(MODEL, 0) },
    { "anthropic +", 429, "", SAYS("m"), WAIT(MODEL, 0) },
    { "anthropic", 429, "x-should-retry: true", TYPE("rate_limit_error"),
      WAIT(MODEL, 0) },
    { "anthropic", 401, "", TYPE("authentication_error"), FINISHED(KEY) },
    { "anthropic", 401, "", SAYS("CORS requests are not allowed for this "
      "organization"), OK },
    { "anthropic", 402, "", TYPE("billing_error"), FINISHED(GROUP) },
    { "anthropic", 403, "", TYPE("permission_error"), ELSEWHERE(MODEL) },
    { "anthropic", 403, "", TYPE("forbidden"), OK },
    { "anthropic", 400, "", TYPE("invalid_request_error"), OK },
    { "anthropic", 400, "", SAYS("Your credit balance is too low to access "
      "the API."), FINISHED(GROUP) },
    { "anthropic", 400, "", SAYS("You said: Your credit balance is too low"),
      OK },
    { "anthropic", 400, "", SAYS("You have reached your specified API usage "
      "limits. You will regain access on 2026-02-01."), FINISHED(GROUP) },
    { "anthropic", 400, "", SAYS("You have reached your specified workspace "
      "API usage limits."), FINISHED(GROUP) },
    { "anthropic", 400, "", SAYS("This organization has been disabled."),
      FINISHED(GROUP) },
    { "anthropic", 529, "", TYPE("overloaded_error"), WAIT(MODEL, 0) },
    { "anthropic", 500, "", TYPE("api_error"), ILL },
    { "anthropic", 504, "", TYPE("timeout_error"), ILL },
    { "anthropic", 409, "", TYPE("conflict_error"), ILL },
    { "anthropic", 413, "", TYPE("request_too_large"), OK },

    /* Gemini */

    { "gemini", 429, "", GEMINI("429", "RESOURCE_EXHAUSTED", QUOTA(MINUTELY)
      "," RETRY("26s")), WAIT(MODEL, 26000) },
    { "gemini", 429, "", GEMINI("429", "RESOURCE_EXHAUSTED", QUOTA(MINUTELY)
      "," RETRY("26.5s")), WAIT(MODEL, 26500) },
    { "gemini", 429, "", GEMINI("429", "RESOURCE_EXHAUSTED", QUOTA(DAILY)
      "," RETRY("5s")),
      NGX_HTTP_LLM_FINISHED, NGX_HTTP_LLM_SCOPE_MODEL, MIDNIGHT },
    { "gemini", 429, "", GEMINI("429", "RESOURCE_EXHAUSTED", QUOTA(MINUTELY)
      "," QUOTA(DAILY) "," RETRY("5s")),
      NGX_HTTP_LLM_FINISHED, NGX_HTTP_LLM_SCOPE_MODEL, MIDNIGHT },
    { "gemini", 429, "", GEMINI("429", "RESOURCE_EXHAUSTED",
      QUOTA("RequestsPerDayPerProject")),
      NGX_HTTP_LLM_FINISHED, NGX_HTTP_LLM_SCOPE_GROUP, MIDNIGHT },
    { "gemini", 429, "", "[" GEMINI("429", "RESOURCE_EXHAUSTED", QUOTA(DAILY))
      "]",
      NGX_HTTP_LLM_FINISHED, NGX_HTTP_LLM_SCOPE_MODEL, MIDNIGHT },
    { "gemini", 429, "", GEMINI("429", "RESOURCE_EXHAUSTED", ""),
      WAIT(MODEL, 0) },
    { "gemini", 429, "", SAYS("Your prepayment credits are depleted. Go to "
      "AI Studio."), FINISHED(GROUP) },
    { "gemini", 402, "", "", FINISHED(GROUP) },
    { "gemini", 400, "", GEMINI("400", "INVALID_ARGUMENT",
      REASON("API_KEY_INVALID")), FINISHED(KEY) },
    { "gemini", 400, "", "[" GEMINI("400", "INVALID_ARGUMENT",
      REASON("API_KEY_INVALID")) "]", FINISHED(KEY) },
    { "gemini", 400, "", "[" SAYS("API key not valid. Please pass a valid "
      "API key.") "]", FINISHED(KEY) },
    { "gemini", 400, "", SAYS("API Key not found. Please pass a valid one."),
      FINISHED(KEY) },
    { "gemini", 400, "", SAYS("API key expired. Please renew the API key."),
      FINISHED(KEY) },
    { "gemini", 400, "", GEMINI("400", "INVALID_ARGUMENT", ""), OK },
    { "gemini", 400, "", GEMINI("400", "FAILED_PRECONDITION", ""), OK },
    { "gemini", 400, "", SAYS("User location is not supported for the API "
      "use."), FINISHED(GROUP) },
    { "gemini", 400, "", "{\"error\":{\"status\":\"FAILED_PRECONDITION\","
      "\"message\":\"Gemini API free tier is not available in your country. "
      "Please enable billing\"}}", FINISHED(GROUP) },
    { "gemini", 403, "", GEMINI("403", "PERMISSION_DENIED", ""), OK },
    { "gemini", 403, "", SAYS("Your API key was reported as leaked. Please "
      "use another API key."), FINISHED(KEY) },
    { "gemini", 403, "", GEMINI("403", "PERMISSION_DENIED",
      REASON("SERVICE_DISABLED")), FINISHED(GROUP) },
    { "gemini", 403, "", GEMINI("403", "PERMISSION_DENIED",
      REASON("API_KEY_SERVICE_BLOCKED")), FINISHED(KEY) },
    { "gemini", 503, "", GEMINI("503", "UNAVAILABLE", ""), ILL },
    { "gemini", 500, "", GEMINI("500", "INTERNAL", ""), ILL },

    /* Mistral: to the end of the minute */

    { "mistral", 429, "", TOP("1300"), WAIT(MODEL, 40000) },
    { "codestral", 429, "", TOP("1300"), WAIT(MODEL, 40000) },
    { "mistral", 429, "Retry-After: 3", TOP("1300"), WAIT(MODEL, 3000) },
    { "mistral", 429, "", "{\"object\":\"error\",\"message\":\"Service tier "
      "capacity exceeded for this model.\",\"code\":\"3505\"}",
      WAIT(MODEL, 0) },
    { "mistral", 429, "", "{\"type\":\"service_tier_capacity_exceeded\"}",
      WAIT(MODEL, 0) },
    { "mistral", 401, "", "", FINISHED(KEY) },
    { "mistral", 402, "", "", FINISHED(GROUP) },
    { "mistral", 422, "", "", OK },

    /* OpenRouter */

    { "openrouter", 402, "", OPENROUTER("402",
      "\"reason\":\"in_flight_budget_exhausted\""), WAIT(GROUP, 0) },
    { "openrouter", 402, "", OPENROUTER("402",
      "\"reason\":\"weight_exceeds_budget\""), OK },
    { "openrouter", 402, "", OPENROUTER("402",
      "\"limit_source\":\"openrouter_key_limit\""), FINISHED(KEY) },
    { "openrouter", 402, "", OPENROUTER("402",
      "\"limit_source\":\"openrouter_credits\""), FINISHED(GROUP) },
    { "openrouter", 402, "", OPENROUTER("402", ""), FINISHED(GROUP) },
    { "openrouter", 402, "Retry-After: 3", OPENROUTER("402", ""),
      WAIT(GROUP, 3000) },
    { "openrouter", 429, "", OPENROUTER("429", ""), WAIT(GROUP, 0) },
    { "openrouter", 429, "X-RateLimit-Remaining: 0\n"
      "X-RateLimit-Reset: 1767225650000", OPENROUTER("429", ""),
      WAIT(GROUP, 30000) },
    { "openrouter", 429, "", OPENROUTER("429", "\"headers\":{"
      "\"X-RateLimit-Reset\":\"1767225650000\"}"), WAIT(GROUP, 30000) },
    { "openrouter", 429, "X-RateLimit-Remaining: 0\n"
      "X-RateLimit-Reset: 1767304800000",
      SAYS("Rate limit exceeded: free-models-per-day. Add 10 credits"),
      WAIT(MODEL, 79180000) },
    { "openrouter", 429, "", SAYS("Rate limit exceeded: free-models-per-min. "),
      WAIT(MODEL, 0) },
    { "openrouter", 429, "", OPENROUTER("429", "\"provider_name\":\"X\","
      "\"raw\":\"busy\""), WAIT(MODEL, 0) },
    { "openrouter", 403, "", OPENROUTER("403", "\"provider_name\":\"X\""),
      OK },
    { "openrouter", 401, "", OPENROUTER("401", ""), FINISHED(KEY) },
    { "openrouter", 408, "", "", ILL },
    { "openrouter", 502, "", "", ILL },
    { "openrouter", 524, "", "", ILL },
    { "openrouter", 529, "", "", WAIT(MODEL, 0) },

    /* Groq */

    { "groq", 413, "Retry-After: 9", CODE("rate_limit_exceeded"), OK },
    { "groq", 429, "Retry-After: 9", CODE("rate_limit_exceeded"),
      WAIT(MODEL, 9000) },
    { "groq", 429, "x-ratelimit-remaining-requests: 100\n"
      "x-ratelimit-reset-requests: 5h", SAYS("try again in 7.66s. Need more "
      "tokens?"), WAIT(MODEL, 7660) },
    { "groq", 429, "x-ratelimit-remaining-requests: 0\n"
      "x-ratelimit-reset-requests: 5h", "", WAIT(MODEL, 18000000) },
    { "groq", 429, "x-ratelimit-remaining-requests: 0\nRetry-After: 18000\n"
      "x-ratelimit-reset-requests: 6h", "", WAIT(MODEL, 18000000) },
    { "groq", 429, "x-ratelimit-remaining-requests: 0\nRetry-After: 90000\n"
      "x-ratelimit-reset-requests: 6h", "", WAIT(MODEL, 90000000) },
    { "groq", 429, "x-ratelimit-remaining-requests: 0\nRetry-After: 90001\n"
      "x-ratelimit-reset-requests: 6h", "", WAIT(MODEL, 21600000) },
    { "groq", 400, "", CODE("organization_restricted"), FINISHED(GROUP) },
    { "groq", 401, "", SAYS("Organization has been restricted. Please reach "
      "out"), FINISHED(GROUP) },
    { "groq", 498, "", CODE("capacity_exceeded"), WAIT(MODEL, 0) },
    { "groq", 424, "", "", OK },

    /* DeepSeek, Perplexity, Hugging Face */

    { "deepseek", 402, "", SAYS("Insufficient Balance"), FINISHED(GROUP) },
    { "deepseek", 429, "", "", WAIT(GROUP, 0) },
    { "perplexity", 401, "", "", FINISHED(KEY) },
    { "huggingface", 402, "x-error-message: depleted", "", FINISHED(GROUP) },
    { "huggingface", 429, "", "", WAIT(GROUP, 0) },

    /* xAI */

    { "xai", 429, "", "{\"code\":\"Some resource has been exhausted\","
      "\"error\":\"Your team 1-2 has either used all available credits or "
      "reached its monthly spending limit.\"}", FINISHED(GROUP) },
    { "xai", 403, "", "{\"code\":\"Some resource has been exhausted\","
      "\"error\":\"Your team 1-2 has either used all available credits or "
      "reached its monthly spending limit.\"}", FINISHED(GROUP) },
    { "xai", 429, "", "{\"code\":\"Some resource has been exhausted\","
      "\"error\":\"Too many requests for team\"}", WAIT(GROUP, 0) },
    { "xai", 403, "", "{\"code\":\"x\",\"error\":\"Content violates\"}", OK },
    { "xai", 400, "", "{\"code\":\"Client specified an invalid argument\","
      "\"error\":\"Incorrect API key provided: x\"}", FINISHED(KEY) },
    { "xai", 400, "", "{\"code\":\"Client specified an invalid argument\","
      "\"error\":\"Bad model\"}", OK },

    /* Together, Fireworks */

    { "together_ai", 403, "", SAYS("too long"), OK },
    { "together_ai", 403, "", CODE("invalid_api_key"), OK },
    { "together_ai", 402, "", "", FINISHED(GROUP) },
    { "together_ai", 429, "", "", WAIT(MODEL, 0) },
    { "fireworks_ai", 412, "", "{\"error\":\"Account x is suspended\"}",
      FINISHED(GROUP) },
    { "fireworks_ai", 412, "", "{\"error\":\"cannot load LoRA\"}",
      FINISHED(MODEL) },
    { "fireworks_ai", 403, "", "", FINISHED(MODEL) },
    { "fireworks_ai", 429, "", "", WAIT(GROUP, 0) },
    { "openai", 412, "", "", OK },

    /* Cerebras */

    { "cerebras", 429, "Retry-After: 58", "{\"code\":"
      "\"request_quota_exceeded\"}", WAIT(MODEL, 58000) },
    { "cerebras", 429, "x-should-retry: false", "{\"message\":\"m\",\"param\":"
      "\"queue\",\"code\":\"queue_exceeded\"}", WAIT(MODEL, 0) },

    /* Cohere, NVIDIA, SambaNova, DeepInfra */

    { "cohere", 429, "", "{\"message\":\"You are using a Trial key, which is "
      "limited to 20 API calls / minute.\"}", WAIT(GROUP, 0) },
    { "cohere", 429, "", "{\"message\":\"You are using a Trial key, which is "
      "limited to 1000 API calls / month.\"}", FINISHED(GROUP) },
    { "cohere", 499, "", "", ILL },
    { "nvidia_nim", 429, "", "{\"status\":429,\"title\":\"Too Many "
      "Requests\"}", WAIT(GROUP, 0) },
    { "nvidia_nim", 403, "", "", FINISHED(MODEL) },
    { "sambanova", 403, "", "", FINISHED(MODEL) },
    { "sambanova", 429, "x-ratelimit-remaining-requests-day: 0\n"
      "x-ratelimit-reset-requests-day: 4h17m", "", WAIT(MODEL, 15420000) },
    { "deepinfra", 403, "", "", FINISHED(MODEL) },

    /* Moonshot */

    { "moonshot", 429, "", TYPE("rate_limit_reached_error"), WAIT(GROUP, 0) },
    { "moonshot", 429, "", TYPE("exceeded_current_quota_error"),
      FINISHED(GROUP) },
    { "moonshot", 429, "", TYPE("engine_overloaded_error"), WAIT(MODEL, 0) },
    { "moonshot", 401, "", TYPE("invalid_authentication_error"),
      FINISHED(KEY) },
    { "moonshot", 403, "", "", FINISHED(MODEL) },
    { "moonshot", 400, "", TYPE("content_filter"), OK },

    /* Z.ai */

    { "zai", 429, "", CODE("1302"), WAIT(GROUP, 0) },
    { "zai", 429, "", CODE("1113"), FINISHED(GROUP) },
    { "zai", 429, "", CODE("1112"), FINISHED(GROUP) },
    { "zai", 429, "", CODE("1121"), FINISHED(GROUP) },
    { "zai", 401, "", CODE("1000"), FINISHED(KEY) },
    { "zai", 401, "", CODE("1004"), FINISHED(KEY) },
    { "zai", 500, "", CODE("1305"), WAIT(MODEL, 0) },
    { "zai", 400, "", CODE("1211"), OK },

    /* DashScope */

    { "dashscope", 429, "", CODE("insufficient_quota"), WAIT(MODEL, 0) },
    { "dashscope", 429, "", CODE("Throttling.RateQuota"), WAIT(MODEL, 0) },
    { "dashscope", 429, "", "{\"code\":\"Throttling.AllocationQuota\","
      "\"message\":\"m\",\"request_id\":\"r\"}", WAIT(MODEL, 0) },
    { "dashscope", 400, "", CODE("Arrearage"), FINISHED(GROUP) },
    { "dashscope", 400, "", CODE("DataInspectionFailed"), OK },
    { "dashscope", 403, "", CODE("AccessDenied.Unpurchased"),
      FINISHED(GROUP) },
    { "dashscope", 403, "", CODE("AccessDenied"), OK },
    { "dashscope", 429, "", CODE("PostpaidBillOverdue"), FINISHED(GROUP) },
    { "dashscope", 429, "", CODE("BudgetLimitExceeded"), FINISHED(GROUP) },
    { "dashscope", 401, "", CODE("InvalidApiKey"), FINISHED(KEY) },
    { "dashscope", 500, "", CODE("InternalError.Algo"), ILL },
    { "dashscope", 500, "", CODE("Throttling.ServiceOverloaded"),
      WAIT(MODEL, 0) },

    /* MiniMax: the status is ours */

    { "minimax", 500, "", "{\"base_resp\":{\"status_code\":1002}}",
      WAIT(GROUP, 0) },
    { "minimax", 500, "", "{\"base_resp\":{\"status_code\":1004}}",
      FINISHED(KEY) },
    { "minimax", 500, "", "{\"base_resp\":{\"status_code\":1008}}",
      FINISHED(GROUP) },
    { "minimax", 500, "", "{\"base_resp\":{\"status_code\":2056}}",
      FINISHED(GROUP) },
    { "minimax", 500, "", "{\"base_resp\":{\"status_code\":2013}}", OK },
    { "minimax", 500, "", "{\"base_resp\":{\"status_code\":1026}}", OK },
    { "minimax", 500, "", "{\"base_resp\":{\"status_code\":1013}}", ILL },

    /* Novita, Nebius, Vercel, GitHub */

    { "novita", 403, "", "{\"code\":403,\"reason\":\"NOT_ENOUGH_BALANCE\","
      "\"message\":\"m\"}", FINISHED(GROUP) },
    { "novita", 403, "", "{\"code\":403,\"reason\":\"INVALID_API_KEY\"}",
      FINISHED(KEY) },
    { "novita", 403, "", "", OK },
    { "nebius", 429, "Retry-After: 2", "", WAIT(MODEL, 2000) },
    { "vercel_ai_gateway", 429, "", TYPE("rate_limit_exceeded"),
      WAIT(GROUP, 0) },
    { "vercel_ai_gateway", 403, "", TYPE("forbidden"), FINISHED(MODEL) },
    { "vercel_ai_gateway", 403, "", SAYS("AI Gateway requires a valid credit "
      "card on file to service requests."), FINISHED(GROUP) },
    { "vercel_ai_gateway", 424, "", TYPE("failed_dependency"), ILL },
    { "vercel_ai_gateway", 404, "", TYPE("model_not_found"), OK },
    { "github", 429, "Retry-After: 0\nx-ratelimit-type: "
      "UserConcurrentRequests", "", WAIT(GROUP, 1000) },
    { "github", 429, "x-ratelimit-remaining-requests: 0\n"
      "x-ratelimit-timeremaining: 55", "", WAIT(GROUP, 55000) },
    { "github", 403, "", "", FINISHED(MODEL) },
    { "ollama", 500, "", "{\"error\":\"model is loading\"}", ILL },
    { "hosted_vllm", 404, "", "{\"error\":\"text\"}", OK },

    /* codes that several share */

    { "custom", 403, "", TYPE("authentication_error"), FINISHED(KEY) },
    { "custom", 403, "", TYPE("billing_error"), FINISHED(GROUP) },
    { "github", 403, "", CODE("invalid_api_key"), FINISHED(KEY) },
    { "moonshot", 403, "", CODE("account_deactivated"), FINISHED(GROUP) },

    /* requests without a model */

    { "github -", 403, "", "", ELSEWHERE(KEY) },
    { "github -", 403, "", CODE("invalid_api_key"), FINISHED(KEY) },
    { "fireworks_ai -", 412, "", "", ELSEWHERE(KEY) },
    { "gemini -", 429, "", GEMINI("429", "RESOURCE_EXHAUSTED", QUOTA(DAILY)),
      NGX_HTTP_LLM_FINISHED, NGX_HTTP_LLM_SCOPE_MODEL, MIDNIGHT },
    { "custom", 404, "", CODE("model_not_found"), ELSEWHERE(GROUP) },

    { NULL, 0, NULL, NULL, OK }
};


/* limit/remaining/reset/window, "f" if fixed, parted by spaces */

static ngx_llm_unit_told_t  tolds[] = {
    { "openai", "x-ratelimit-limit-requests: 100\n"
      "x-ratelimit-remaining-requests: 0\n"
      "x-ratelimit-reset-requests: 99999999\n"
      "x-ratelimit-reset-tokens: 601", "100/0/?/60000 - - - " },
    { "openai", "x-ratelimit-reset-requests: 10m\n"
      "x-ratelimit-reset-tokens: 1767226220", "?/?/600000/60000 "
      "?/?/600000/60000 - - " },
    { "cerebras", "x-ratelimit-reset-tokens-hour: 7200\n"
      "x-ratelimit-reset-requests-hour: 7201\n"
      "x-ratelimit-reset-requests-day: 90001\n"
      "x-ratelimit-reset-tokens-day: 90000",
      "- ?/?/7200000/3600000 - ?/?/90000000/86400000 " },
    { "openrouter", "x-ratelimit-limit: 20\nx-ratelimit-reset: 99999999",
      "20/?/?/60000f - - - " },
    { "mistral", "x-ratelimit-limit-req-minute: 60\n"
      "x-ratelimit-reset-req-minute: 99999999", "60/?/40000/60000f - - - " },
    { "openai", "x-ratelimit-limit-requests: 500\n"
      "x-ratelimit-remaining-requests: 499\nx-ratelimit-reset-requests: 120ms\n"
      "x-ratelimit-limit-tokens: 30000\nx-ratelimit-remaining-tokens: 29000\n"
      "x-ratelimit-reset-tokens: 6m0s\nopenai-organization: acme",
      "500/499/120/60000 30000/29000/360000/60000 - - acme" },
    { "groq", "x-ratelimit-limit-requests: 14400\n"
      "x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 1h\n"
      "x-ratelimit-remaining-tokens: 5",
      "- ?/5/?/60000 14400/0/3600000/86400000 - " },
    { "cerebras", "x-ratelimit-limit-requests-day: 10\n"
      "x-ratelimit-reset-requests-day: 33011.382867\n"
      "x-ratelimit-limit-tokens-hour: 7\nx-ratelimit-limit-tokens-minute: 6\n"
      "x-ratelimit-remaining-tokens-hour: 1\n"
      "x-ratelimit-remaining-tokens-day: 2",
      "- 6/?/?/60000 10/?/33011383/86400000 ?/2/?/86400000 " },
    { "cerebras", "x-ratelimit-limit-tokens-hour: 7", "- 7/?/?/3600000 - - " },
    { "mistral", "x-ratelimit-limit-req-minute: 60\n"
      "x-ratelimit-remaining-req-minute: 59\n"
      "x-ratelimit-remaining-tokens-minute: 100\n"
      "x-ratelimit-tokens-query-cost: 3",
      "60/59/40000/60000f ?/100/40000/60000f - - " },
    { "mistral", "ratelimitbysize-limit: 500\nratelimitbysize-remaining: 0\n"
      "ratelimitbysize-reset: 42\nratelimitbysize-query-cost: 9\n"
      "x-ratelimitbysize-remaining-month: 1",
      "- 500/0/42000/60000f - - " },
    { "openai", "x-ratelimit-limit-req-minute: 60", "- - - - " },
    { "anthropic", "anthropic-ratelimit-input-tokens-limit: 1\n"
      "anthropic-ratelimit-input-tokens-remaining: 2\n"
      "anthropic-ratelimit-requests-reset: 2026-01-01T00:00:50Z\n"
      "anthropic-ratelimit-tokens-limit: 80000\n"
      "anthropic-ratelimit-output-tokens-remaining: 3\n"
      "anthropic-priority-input-tokens-limit: 9",
      "?/?/30000/60000 80000/?/?/60000 - - " },
    { "anthropic", "anthropic-ratelimit-output-tokens-limit: 8\n"
      "anthropic-ratelimit-input-tokens-limit: 9", "- 9/?/?/60000 - - " },
    { "together_ai", "x-ratelimit-limit: 10\nx-ratelimit-remaining: 9\n"
      "x-ratelimit-reset: 1\nx-tokenlimit-limit: 3000\n"
      "x-tokenlimit-remaining: 2999",
      "10/9/1000/1000 3000/2999/?/1000 - - " },
    { "fireworks_ai", "x-ratelimit-limit-tokens-generated: 1\n"
      "x-ratelimit-limit-tokens-prompt: 2\n"
      "x-ratelimit-remaining-tokens-cache-adjusted-prompt: 3\n"
      "x-ratelimit-over-limit: yes\nx-ratelimit-limit-requests: 4",
      "4/?/?/60000 2/?/?/60000 - - " },
    { "sambanova", "x-ratelimit-limit-requests-day: 400\n"
      "x-ratelimit-reset-requests-day: 86400\nx-ratelimit-limit-requests: 10",
      "10/?/?/60000 - 400/?/86400000/86400000 - " },
    { "github", "x-ratelimit-limit-requests: 10\n"
      "x-ratelimit-renewalperiod-requests: 3600\n"
      "x-ratelimit-timeremaining: 55", "10/?/55000/3600000 - - - " },
    { "openrouter", "x-ratelimit-limit: 20\nx-ratelimit-remaining: 0\n"
      "x-ratelimit-reset: 1767225650000", "20/0/30000/60000f - - - " },
    { "openrouter", "x-ratelimit-remaining: 0\n"
      "x-ratelimit-reset: 1767304800000", "?/0/79180000/86400000f - - - " },
    { "azure", "x-ratelimit-reset-requests: 37\n"
      "x-ratelimit-reset-tokens: 0\nx-ratelimit-remaining-tokens: -1",
      "?/?/37000/60000 - - - " },
    { "azure", "x-ratelimit-reset-tokens: -1", "- - - - " },
    { "custom", "ratelimit-limit: 1\nx-ratelimit-limit: 2\n"
      "ratelimit-remaining: 3", "2/?/?/60000 - - - " },
    { NULL, "x-ratelimit-limit-requests: 5", "5/?/?/60000 - - - " },

    /* what comes again, and what is none */

    { "openai", "x-ratelimit-limit-tokens: 1\nx-ratelimit-limit-tokens: 2",
      "- 1/?/?/60000 - - " },
    { "openai", "x-ratelimit-limit-tokens: -1\nx-ratelimit-limit-tokens: NaN\n"
      "x-ratelimit-limit-tokens: \nx-ratelimit-limit-tokens: many\n"
      "x-ratelimit-limit-tokens: 9007199254740992\n"
      "x-ratelimit-reset-tokens: never\nx-ratelimit-reset-tokens: 1767225620\n"
      "x-ratelimit-reset-tokens: 2020-01-01T00:00:00Z\n"
      "x-ratelimit-reset-tokens: -5s\nx-ratelimit-reset-tokens: NaN",
      "- - - - " },
    { "openai", "x-ratelimit-limit-tokens: x\nx-ratelimit-limit-tokens: 7",
      "- 7/?/?/60000 - - " },
    { "openai", "x-ratelimit-limit: \nx-ratelimit-: 1\nx-ratelimit: 1\n"
      "x-ratelimit--requests: 1\nlimit: 1\nx-ratelimit-limit-requests-x: 1",
      "- - - - " },

    { NULL, NULL, NULL }
};


static ngx_llm_unit_complaint_t  complaints[] = {
    { "", "||0|-|0" },
    { "x", "||0|-|0" },
    { "{", "||0|-|0" },
    { "[]", "||0|-|0" },
    { "null", "||0|-|0" },
    { "{\"error\":null}", "||0|-|0" },
    { "{\"error\":\"\"}", "||0|-|0" },
    { "{\"error\":false,\"code\":null}", "||0|-|0" },
    { "{\"error\":{\"message\":\"m\",\"type\":\"t\",\"param\":null,"
      "\"code\":\"c\"}}", "t,c|m|0|-|1" },
    { "{\"error\":{\"message\":\"m\",\"code\":429}}", "429|m|429|-|1" },
    { "{\"error\":{\"code\":200}}", "200||0|-|1" },
    { "[{\"error\":{\"code\":\"a\"}}]", "a||0|-|1" },
    { "{\"object\":\"error\",\"type\":\"rate_limited\",\"code\":\"1300\"}",
      "rate_limited,1300||0|-|1" },
    { "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}",
      "overloaded_error||0|-|1" },
    { "{\"code\":\"c\",\"error\":\"text\"}", "c,text|text|0|-|1" },
    { "{\"message\":\"m\"}", "|m|0|-|0" },
    { "{\"status\":429,\"title\":\"x\"}", "429||429|-|0" },
    { "{\"base_resp\":{\"status_code\":0,\"status_msg\":\"success\"}}",
      "|success|0|-|0" },
    { "{\"base_resp\":{\"status_code\":1008,\"status_msg\":\"m\"}}",
      "1008|m|0|-|1" },
    { "{\"error\":{\"code\":\"a\\u0062\\n\"}}", "ab\n||0|-|1" },
    { "{\"error\":{\"code\":\"a\",\"message\":\"cut", "a||0|-|1" },
    { "{\"choices\":[{\"error\":{\"code\":\"a\"}}],\"x\":{\"code\":\"b\"}}",
      "||0|-|0" },

    /* waits: the longest */

    { "{\"retry_after\":5,\"error\":{\"retry_after\":7}}", "||0|7000|1" },
    { "{\"error\":{\"details\":[{\"retryDelay\":\"26.5s\"},"
      "{\"retryDelay\":\"3s\"}]}}", "||0|26500|1" },
    { "{\"retry_after\":-5}", "||0|-|0" },
    { "{\"retry_after\":\"soon\"}", "||0|-|0" },
    { "{\"retry_after\":null}", "||0|-|0" },
    { "{\"retry_after\":1e999}", "||0|-|0" },
    { "{\"message\":\"Please try again in 370ms.\"}",
      "|Please try again in 370ms.|0|370|0" },
    { "{\"message\":\"Retry after 1 seconds\"}",
      "|Retry after 1 seconds|0|1000|0" },
    { "{\"message\":\"Please retry after 37 second\"}",
      "|Please retry after 37 second|0|37000|0" },
    { "{\"message\":\"try again in a while\"}",
      "|try again in a while|0|-|0" },
    { "{\"message\":\"try again in 5 minutes\"}",
      "|try again in 5 minutes|0|-|0" },
    { "{\"message\":\"try again in \"}", "|try again in |0|-|0" },
    { "{\"message\":\"try again in .\"}", "|try again in .|0|-|0" },

    { NULL, NULL }
};


static ngx_llm_unit_event_t  events[] = {
    { "", 0, NGX_AGAIN, "", 0 },
    { "", 1, NGX_DECLINED, "", 0 },
    { "data: x", 0, NGX_AGAIN, "", 0 },
    { "data: x\n", 0, NGX_AGAIN, "", 0 },
    { "data: x\n\n", 0, NGX_OK, "x", 0 },
    { "data:x\r\n\r\n", 0, NGX_OK, "x", 0 },
    { "data: x", 1, NGX_OK, "x", 0 },
    { "data: x\n", 1, NGX_OK, "x", 0 },
    { "\n\r\n\ndata: x\n\n", 0, NGX_OK, "x", 0 },
    { "\n\n", 0, NGX_AGAIN, "", 0 },
    { "data: x\n\ndata: y\n\n", 0, NGX_OK, "x", 0 },
    { "data: x\ndata:  y\ndata:\ndata: z\n\n", 0, NGX_OK, "x\n y\n\nz", 0 },
    { "event: error\ndata: x\n\n", 0, NGX_OK, "x", 1 },
    { "data: x\nevent:error\n\n", 0, NGX_OK, "x", 1 },
    { "event: errors\ndata: x\n\n", 0, NGX_OK, "x", 0 },
    { "id: 1\nretry: 5\ndata: x\n\n", 0, NGX_OK, "x", 0 },
    { "dataset: x\n\n", 0, NGX_OK, "", 0 },
    { ":", 0, NGX_DECLINED, "", 0 },
    { ": keep-alive", 0, NGX_DECLINED, "", 0 },
    { ": keep-alive\n\ndata: x\n\n", 0, NGX_DECLINED, "", 0 },
    { "\n: keep-alive\n", 0, NGX_DECLINED, "", 0 },
    { "data: x\n: a comment\n\n", 0, NGX_OK, "x", 0 },
    { "data: x\n:", 0, NGX_AGAIN, "", 0 },
    { NULL, 0, 0, NULL, 0 }
};


static void ngx_llm_unit_judge(ngx_pool_t *pool);
static void ngx_llm_unit_tell(void);
static void ngx_llm_unit_complain(ngx_pool_t *pool);
static void ngx_llm_unit_events(ngx_pool_t *pool);
static void ngx_llm_unit_statuses(ngx_pool_t *pool);


static ngx_str_t
str(const char *text)
{
    ngx_str_t  s;

    s.data = (u_char *) text;
    s.len = text ? ngx_strlen(text) : 0;

    return s;
}


void
ngx_llm_unit_verdicts(ngx_pool_t *pool)
{
    ngx_llm_unit_judge(pool);
    ngx_llm_unit_tell();
    ngx_llm_unit_complain(pool);
    ngx_llm_unit_events(pool);
    ngx_llm_unit_statuses(pool);
}


static const ngx_http_llm_provider_t *
provider_of(const char *text)
{
    ngx_str_t  name;

    if (text == NULL) {
        return NULL;
    }

    name = str(text);
    name.len = strcspn(text, " ");

    return ngx_http_llm_catalog_find(&name);
}


/* the next "Name: value" line, its name in lower case in a buffer */

static ngx_uint_t
next_header(const char **headers, u_char *low, ngx_str_t *name,
    ngx_str_t *value)
{
    const char  *p, *colon, *end;

    p = *headers;

    if (*p == '\0') {
        return 0;
    }

    end = strchr(p, '\n');
    end = end ? end : p + ngx_strlen(p);
    colon = strchr(p, ':');

    name->len = colon - p;
    name->data = low;
    ngx_strlow(low, (u_char *) p, name->len);
    low[name->len] = '\0';

    value->data = (u_char *) colon + 2;
    value->len = end - (colon + 2);

    *headers = (*end == '\n') ? end + 1 : end;

    return 1;
}


static void
ngx_llm_unit_judge(ngx_pool_t *pool)
{
    u_char                     low[64];
    ngx_int_t                  rc;
    ngx_str_t                  body, name, value[8];
    ngx_uint_t                 i, n;
    const char                *headers;
    ngx_llm_unit_verdict_t    *v;
    ngx_http_llm_facts_t       facts;
    ngx_http_llm_complaint_t   complaint;
    ngx_http_llm_judgement_t   j;

    for (i = 0; verdicts[i].headers; i++) {
        v = &verdicts[i];

        ngx_memzero(&facts, sizeof(facts));

        facts.provider = provider_of(v->provider);
        facts.status = v->status;
        facts.modelless = (v->provider && strchr(v->provider, '-') != NULL);
        facts.event = (v->provider && strchr(v->provider, '+') != NULL);

        headers = v->headers;

        for (n = 0; next_header(&headers, low, &name, &value[n]); n++) {

            if (ngx_strcmp(low, "retry-after") == 0) {
                facts.retry_after = &value[n];

            } else if (ngx_strcmp(low, "retry-after-ms") == 0) {
                facts.retry_after_ms = &value[n];

            } else if (ngx_strcmp(low, "x-ms-retry-after-ms") == 0) {
                facts.x_ms_retry_after_ms = &value[n];

            } else if (ngx_strcmp(low, "x-should-retry") == 0) {
                facts.x_should_retry = &value[n];
            }

            ngx_http_llm_told_header(&facts.told, facts.provider, &name,
                                     &value[n], NOW);
        }

        body = str(v->body);
        rc = ngx_http_llm_complaint_read(&complaint, pool, &body, NOW);

        if (body.len) {
            facts.complaint = &complaint;
        }

        ngx_http_llm_verdict(&facts, NOW, &j);

        ngx_llm_unit_ok(rc == NGX_OK
                        && (v->provider == NULL || facts.provider)
                        && j.verdict == v->verdict && j.scope == v->scope
                        && j.wait == v->wait
                        && (j.reason || v->verdict == NGX_HTTP_LLM_OK),
                        "verdict: %ui, %s %ui is %ui of %ui for %M (%s)", i,
                        v->provider ? v->provider : "any", v->status,
                        j.verdict, j.scope, j.wait,
                        j.reason ? j.reason : "none");
    }
}


static void
ngx_llm_unit_tell(void)
{
    u_char                     *p, low[64], text[512];
    ngx_str_t                   name, value;
    ngx_uint_t                  i, n;
    ngx_msec_t                  wait;
    const char                 *headers;
    ngx_http_llm_told_t         told;
    ngx_http_llm_told_limit_t  *limit;

    for (i = 0; tolds[i].headers; i++) {

        ngx_memzero(&told, sizeof(told));

        headers = tolds[i].headers;

        while (next_header(&headers, low, &name, &value)) {
            ngx_http_llm_told_header(&told, provider_of(tolds[i].provider),
                                     &name, &value, NOW);
        }

        p = text;

        for (n = 0; n < NGX_HTTP_LLM_DIMENSIONS; n++) {
            limit = &told.limits[n];

            if (!limit->limited && !limit->remains && !limit->resets) {
                p = ngx_sprintf(p, "- ");
                continue;
            }

            p = limit->limited ? ngx_sprintf(p, "%L/", limit->limit)
                               : ngx_sprintf(p, "?/");
            p = limit->remains ? ngx_sprintf(p, "%L/", limit->remaining)
                               : ngx_sprintf(p, "?/");
            p = limit->resets ? ngx_sprintf(p, "%M/", limit->reset)
                              : ngx_sprintf(p, "?/");
            p = ngx_sprintf(p, "%M%s ", limit->window,
                            limit->fixed ? "f" : "");
        }

        *ngx_sprintf(p, "%V", &told.organization) = '\0';

        ngx_llm_unit_ok(ngx_strcmp(text, tolds[i].told) == 0,
                        "told: %ui, %s", i, text);
    }

    ngx_memzero(&told, sizeof(told));

    ngx_llm_unit_ok(ngx_http_llm_told_exhausted(&told, &wait) == NGX_DECLINED
                    && !ngx_http_llm_told_day_over(&told),
                    "told: nothing is exhausted");

    told.limits[0].remains = 1;

    ngx_llm_unit_ok(ngx_http_llm_told_exhausted(&told, &wait) == NGX_DECLINED,
                    "told: exhausted, but until when");

    told.limits[0].resets = 1;
    told.limits[0].reset = 5;
    told.limits[1] = told.limits[0];
    told.limits[1].reset = 7;
    told.limits[2] = told.limits[0];
    told.limits[2].reset = 9;
    told.limits[2].remaining = 1;

    ngx_llm_unit_ok(ngx_http_llm_told_exhausted(&told, &wait) == NGX_OK
                    && wait == 7, "told: the longest of those exhausted");
}


static void
ngx_llm_unit_complain(ngx_pool_t *pool)
{
    u_char                    *p, text[1024];
    ngx_int_t                  rc;
    ngx_str_t                  body, big;
    ngx_uint_t                 i, n;
    ngx_http_llm_complaint_t   b, c;

    for (i = 0; complaints[i].body; i++) {

        body = str(complaints[i].body);
        rc = ngx_http_llm_complaint_read(&c, pool, &body, NOW);

        p = text;

        for (n = 0; n < c.ncodes; n++) {
            p = ngx_sprintf(p, "%s%V", n ? "," : "", &c.codes[n]);
        }

        p = ngx_sprintf(p, "|%V|%ui|", &c.message, c.status);
        p = c.waits ? ngx_sprintf(p, "%M", c.wait) : ngx_sprintf(p, "-");
        *ngx_sprintf(p, "|%d", c.error) = '\0';

        ngx_llm_unit_ok(rc == NGX_OK
                        && ngx_strcmp(text, complaints[i].read) == 0,
                        "complaint: %ui, %s", i, complaints[i].read);
    }

    /* sizes are bounded: the message, a code, their number, the body */

    big.data = ngx_palloc(pool, 65536);

    if (big.data == NULL) {
        ngx_llm_unit_ok(0, "complaint: no memory");
        return;
    }

    p = ngx_sprintf(big.data, "{\"code\":\"%*C\",", (size_t) 200, 'c');
    p = ngx_cpymem(p, "\"error\":{\"message\":\"", 20);
    ngx_memset(p, 'm', 1000);
    p = ngx_sprintf(p + 1000, "Please try again in 3s.\",\"details\":[");

    for (i = 0; i < 30; i++) {
        p = ngx_sprintf(p, "%s{\"reason\":\"r%ui\"}", i ? "," : "", i);
    }

    p = ngx_sprintf(p, "]}}");
    big.len = p - big.data;

    rc = ngx_http_llm_complaint_read(&c, pool, &big, NOW);

    ngx_llm_unit_ok(rc == NGX_OK
                    && c.message.len == NGX_HTTP_LLM_COMPLAINT_MESSAGE
                    && c.ncodes == NGX_HTTP_LLM_COMPLAINT_CODES
                    && c.wait == 3000, "complaint: bounds");

    p = ngx_cpymem(big.data, "{\"error\":{\"code\":\"first\",\"x\":\"", 30);
    ngx_memset(p, 'x', 20000);
    p = ngx_sprintf(p + 20000, "\",\"type\":\"late\"}}");
    big.len = p - big.data;

    rc = ngx_http_llm_complaint_read(&c, pool, &big, NOW);

    ngx_llm_unit_ok(rc == NGX_OK && c.ncodes == 1, "complaint: only the "
                    "beginning of a body");

    /* cut short anywhere, in memory of just that size */

    body = str("[{\"error\":{\"code\":429,\"message\":\"try again in 6m0s.\","
               "\"details\":[{\"violations\":[{\"quotaId\":\"a\\u00e9b\"}]},"
               "{\"retryDelay\":\"26.5s\"}]}}]");

    for (i = 0; i <= body.len; i++) {
        big.len = i;
        big.data = ngx_alloc(i + 1, pool->log);

        if (big.data == NULL) {
            break;
        }

        ngx_memcpy(big.data, body.data, i);

        rc = ngx_http_llm_complaint_read(&b, pool, &big, NOW);

        ngx_free(big.data);

        if (rc != NGX_OK || b.wait > 360000) {
            break;
        }
    }

    ngx_llm_unit_ok(i > body.len && b.ncodes == 2 && b.wait == 360000,
                    "complaint: cut short anywhere");

    ngx_llm_unit_ok(ngx_http_llm_complaint_has(&c, "first")
                    && ngx_http_llm_complaint_has(&c, "f*t")
                    && !ngx_http_llm_complaint_has(&c, "fir"),
                    "complaint: patterns");
}


static void
ngx_llm_unit_events(ngx_pool_t *pool)
{
    ngx_int_t              rc;
    ngx_str_t              text, data, want;
    ngx_uint_t             i, named;
    ngx_llm_unit_event_t  *e;

    for (i = 0; events[i].text; i++) {
        e = &events[i];
        text = str(e->text);
        want = str(e->data);

        text.data = ngx_pstrdup(pool, &text);

        if (text.data == NULL) {
            ngx_llm_unit_ok(0, "event: no memory");
            return;
        }

        rc = ngx_http_llm_complaint_event(&text, e->whole, &data, &named);

        ngx_llm_unit_ok(rc == e->rc
                        && (rc != NGX_OK
                            || (data.len == want.len
                                && ngx_strncmp(data.data, want.data, data.len)
                                   == 0
                                && named == e->named)),
                        "event: %ui is %i", i, rc);
    }
}


static void
ngx_llm_unit_statuses(ngx_pool_t *pool)
{
    ngx_str_t                  body;
    ngx_uint_t                 i, status;
    ngx_http_llm_complaint_t   c;

    static struct {
        const char  *body;
        ngx_uint_t   status;
    } rows[] = {
        { TYPE("overloaded_error"), 529 },
        { TYPE("rate_limit_error"), 429 },
        { TYPE("authentication_error"), 401 },
        { TYPE("api_error"), 500 },
        { TYPE("invalid_request_error"), 400 },
        { CODE("insufficient_quota"), 429 },
        { CODE("server_error"), 500 },
        { CODE("context_length_exceeded"), 400 },
        { OPENROUTER("502", ""), 502 },
        { GEMINI("503", "UNAVAILABLE", ""), 503 },
        { SAYS("m"), 500 },
        { "{}", 500 },
    };

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        body = str(rows[i].body);

        (void) ngx_http_llm_complaint_read(&c, pool, &body, NOW);

        status = ngx_http_llm_verdict_status(&c);

        ngx_llm_unit_ok(status == rows[i].status, "verdict: %V is a %ui",
                        &body, status);
    }
}
