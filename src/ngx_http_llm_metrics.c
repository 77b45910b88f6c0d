
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_metrics.h"
#include "ngx_http_llm_overview.h"
#include "ngx_http_llm_text.h"
#include "ngx_http_llm_zone.h"


#define NGX_HTTP_LLM_METRICS_TYPE                                             \
    "text/plain; version=0.0.4; charset=utf-8"


typedef struct {
    ngx_http_llm_text_t      text;
    ngx_array_t              upstreams;  /* of ngx_http_llm_overview_t */
} ngx_http_llm_metrics_t;


/* a number for each of all keys, or upstreams */

typedef uint64_t (*ngx_http_llm_metrics_pt)(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key);

typedef struct {
    const char               *name;
    const char               *type;
    const char               *help;
    ngx_http_llm_metrics_pt   value;
    unsigned                  seconds:1;  /* the value is in ms */
} ngx_http_llm_metric_t;


static void ngx_http_llm_metrics_family(ngx_http_llm_metrics_t *m,
    const char *name, const char *type, const char *help);
static void ngx_http_llm_metrics_labels(ngx_http_llm_metrics_t *m,
    const char *name, ngx_http_llm_overview_t *status, ngx_uint_t key);
static void ngx_http_llm_metrics_simple(ngx_http_llm_metrics_t *m,
    const ngx_http_llm_metric_t *metrics, ngx_uint_t keys);
static void ngx_http_llm_metrics_states(ngx_http_llm_metrics_t *m);
static void ngx_http_llm_metrics_verdicts(ngx_http_llm_metrics_t *m,
    const char *name, ngx_uint_t keys);
static void ngx_http_llm_metrics_tokens(ngx_http_llm_metrics_t *m,
    const char *name, ngx_uint_t keys);
static void ngx_http_llm_metrics_spent(ngx_http_llm_metrics_t *m,
    ngx_http_llm_spent_t *spent, const char *name, ngx_http_llm_overview_t *s,
    ngx_uint_t key, ngx_str_t *label);
static void ngx_http_llm_metrics_limits(ngx_http_llm_metrics_t *m,
    const char *name, const char *help, ngx_uint_t remaining);
static void ngx_http_llm_metrics_histogram(ngx_http_llm_metrics_t *m,
    const char *name, const char *help, const ngx_msec_t *bounds,
    size_t offset);
static ngx_int_t ngx_http_llm_metrics_names(ngx_http_request_t *r,
    ngx_http_llm_metrics_t *m, ngx_uint_t clients);


static uint64_t
ngx_http_llm_metrics_usable(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key)
{
    return key->info.state == NGX_HTTP_LLM_KEY_USABLE;
}


static uint64_t
ngx_http_llm_metrics_cooldown(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key)
{
    return key->info.retry;
}


static uint64_t
ngx_http_llm_metrics_in_flight(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key)
{
    return key ? key->info.in_flight : status->view.in_flight;
}


static uint64_t
ngx_http_llm_metrics_requests(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key)
{
    return key ? key->count.spent.requests
               : status->view.count.spent.requests + status->view.failed;
}


static uint64_t
ngx_http_llm_metrics_outs(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key)
{
    return key->info.outs;
}


static uint64_t
ngx_http_llm_metrics_used(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key)
{
    return key->count.used;
}


static uint64_t
ngx_http_llm_metrics_failed(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key)
{
    return status->view.failed;
}


static uint64_t
ngx_http_llm_metrics_open(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key)
{
    return status->view.open ? 1 : 0;
}


static uint64_t
ngx_http_llm_metrics_waiting(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key)
{
    return status->view.waiting;
}


static uint64_t
ngx_http_llm_metrics_places(ngx_http_llm_overview_t *status,
    ngx_http_llm_view_t *key)
{
    return status->upstream->queue_number;
}


static const ngx_http_llm_metric_t  ngx_http_llm_metrics_keys[] = {

    { "llm_key_usable", "gauge", "Whether a key can be used.",
      ngx_http_llm_metrics_usable, 0 },

    { "llm_key_cooldown_seconds", "gauge",
      "Time until a key that is out is tried again.",
      ngx_http_llm_metrics_cooldown, 1 },

    { "llm_key_in_flight", "gauge", "Requests that a key is used for.",
      ngx_http_llm_metrics_in_flight, 0 },

    { "llm_key_requests_total", "counter",
      "Requests that were answered with a key.",
      ngx_http_llm_metrics_requests, 0 },

    { "llm_key_outs_total", "counter", "Times that a key was put out.",
      ngx_http_llm_metrics_outs, 0 },

    { "llm_key_last_used_timestamp_seconds", "gauge",
      "When a key got an answer the last time, 0 if never.",
      ngx_http_llm_metrics_used, 1 },

    { NULL, NULL, NULL, NULL, 0 }
};


static const ngx_http_llm_metric_t  ngx_http_llm_metrics_upstreams[] = {

    { "llm_upstream_requests_total", "counter",
      "Requests, answered or failed.", ngx_http_llm_metrics_requests, 0 },

    { "llm_upstream_errors_total", "counter",
      "Requests that failed with each key, or for want of one.",
      ngx_http_llm_metrics_failed, 0 },

    { "llm_upstream_in_flight", "gauge", "Requests that are sent or answered.",
      ngx_http_llm_metrics_in_flight, 0 },

    { "llm_upstream_open", "gauge",
      "Whether an upstream is left alone, as it failed too often.",
      ngx_http_llm_metrics_open, 0 },

    { "llm_queue_waiting", "gauge", "Requests that wait for a key.",
      ngx_http_llm_metrics_waiting, 0 },

    { "llm_queue_places", "gauge", "Requests that may wait for a key.",
      ngx_http_llm_metrics_places, 0 },

    { NULL, NULL, NULL, NULL, 0 }
};


ngx_int_t
ngx_http_llm_metrics(ngx_http_request_t *r)
{
    ngx_http_llm_zone_t       *zone;
    ngx_http_llm_text_t       *text;
    ngx_http_llm_metrics_t     m;
    ngx_http_llm_main_conf_t  *lmcf;

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);
    zone = lmcf->zone;
    text = &m.text;

    if (ngx_http_llm_overview(r, &m.upstreams) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_http_llm_text_start(text, r->pool);

    ngx_http_llm_metrics_family(&m, "llm_build_info", "gauge",
                                "The version of the balancer.");
    ngx_http_llm_text_add(text, "llm_build_info{version=\""
                          NGX_HTTP_LLM_VERSION "\"} 1\n");

    ngx_http_llm_metrics_states(&m);
    ngx_http_llm_metrics_simple(&m, ngx_http_llm_metrics_keys, 1);
    ngx_http_llm_metrics_verdicts(&m, "llm_key_tries_total", 1);
    ngx_http_llm_metrics_tokens(&m, "llm_key_tokens_total", 1);
    ngx_http_llm_metrics_limits(&m, "llm_key_limit",
                                "Limits of a key, told or configured.", 0);
    ngx_http_llm_metrics_limits(&m, "llm_key_remaining",
                                "What is left of the limits of a key.", 1);

    ngx_http_llm_metrics_simple(&m, ngx_http_llm_metrics_upstreams, 0);
    ngx_http_llm_metrics_verdicts(&m, "llm_upstream_tries_total", 0);
    ngx_http_llm_metrics_tokens(&m, "llm_upstream_tokens_total", 0);

    ngx_http_llm_metrics_histogram(&m,
                          "gen_ai_server_time_to_first_token_seconds",
                          "Time until the first event of a streamed answer.",
                          ngx_http_llm_count_first,
                          offsetof(ngx_http_llm_times_t, first));
    ngx_http_llm_metrics_histogram(&m,
                          "gen_ai_client_operation_duration_seconds",
                          "Time until the end of an answer.",
                          ngx_http_llm_count_duration,
                          offsetof(ngx_http_llm_times_t, duration));

    if (ngx_http_llm_metrics_names(r, &m, 0) != NGX_OK
        || ngx_http_llm_metrics_names(r, &m, 1) != NGX_OK)
    {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (zone) {
        ngx_http_llm_metrics_family(&m, "llm_zone_size_bytes", "gauge",
                                    "The size of llm_zone.");
        ngx_http_llm_text_add(text, "llm_zone_size_bytes %uz\n",
                              lmcf->zone_size);

        ngx_http_llm_metrics_family(&m, "llm_zone_nodes", "gauge",
                                    "Keys, groups and models that are known.");
        ngx_http_llm_text_add(text, "llm_zone_nodes %ui\n", zone->sh->used);

        ngx_http_llm_metrics_family(&m, "llm_zone_capacity", "gauge",
                                    "Keys, groups and models that there is "
                                    "room for.");
        ngx_http_llm_text_add(text, "llm_zone_capacity %ui\n",
                              zone->sh->capacity);
    }

    return ngx_http_llm_text_send(r, text, NGX_HTTP_OK,
                                  NGX_HTTP_LLM_METRICS_TYPE);
}


static void
ngx_http_llm_metrics_family(ngx_http_llm_metrics_t *m, const char *name,
    const char *type, const char *help)
{
    ngx_http_llm_text_add(&m->text, "# HELP %s %s\n# TYPE %s %s\n", name, help,
                          name, type);
}


/* of a key, or of the upstream itself; the set of them is left open */

static void
ngx_http_llm_metrics_labels(ngx_http_llm_metrics_t *m, const char *name,
    ngx_http_llm_overview_t *status, ngx_uint_t key)
{
    ngx_http_llm_upstream_t  *upstream;

    upstream = status->upstream;

    ngx_http_llm_text_add(&m->text, "%s{upstream=", name);
    ngx_http_llm_text_quote(&m->text, &upstream->name);
    ngx_http_llm_text_add(&m->text, ",gen_ai_provider_name=");
    ngx_http_llm_text_quote(&m->text, &upstream->provider->name);

    if (key < upstream->pool.nkeys) {
        ngx_http_llm_text_add(&m->text, ",key=");
        ngx_http_llm_text_quote(&m->text, &upstream->pool.keys[key].name);
    }
}


static void
ngx_http_llm_metrics_simple(ngx_http_llm_metrics_t *m,
    const ngx_http_llm_metric_t *metrics, ngx_uint_t keys)
{
    uint64_t                  value;
    ngx_uint_t                i, n, last;
    ngx_http_llm_overview_t  *status;
    const ngx_http_llm_metric_t  *metric;

    status = m->upstreams.elts;

    for (metric = metrics; metric->name; metric++) {

        ngx_http_llm_metrics_family(m, metric->name, metric->type,
                                    metric->help);

        for (i = 0; i < m->upstreams.nelts; i++) {
            last = status[i].upstream->pool.nkeys;

            for (n = keys ? 0 : last; n < last + !keys; n++) {
                ngx_http_llm_metrics_labels(m, metric->name, &status[i], n);

                value = metric->value(&status[i],
                                      keys ? &status[i].keys[n] : NULL);

                ngx_http_llm_text_add(&m->text, "} ");

                if (metric->seconds) {
                    ngx_http_llm_text_seconds(&m->text, value);

                } else {
                    ngx_http_llm_text_add(&m->text, "%uL", value);
                }

                ngx_http_llm_text_add(&m->text, "\n");
            }
        }
    }
}


static void
ngx_http_llm_metrics_states(ngx_http_llm_metrics_t *m)
{
    ngx_uint_t                i, n, state;
    ngx_http_llm_overview_t  *status;

    status = m->upstreams.elts;

    ngx_http_llm_metrics_family(m, "llm_key_state", "gauge",
                                "The state of a key: 1 is the one it is in.");

    for (i = 0; i < m->upstreams.nelts; i++) {
        for (n = 0; n < status[i].upstream->pool.nkeys; n++) {
            for (state = 0; ngx_http_llm_overview_states[state]; state++) {
                ngx_http_llm_metrics_labels(m, "llm_key_state", &status[i], n);
                ngx_http_llm_text_add(&m->text, ",state=\"%s\"} %d\n",
                                      ngx_http_llm_overview_states[state],
                                      status[i].keys[n].info.state == state);
            }
        }
    }
}


static void
ngx_http_llm_metrics_verdicts(ngx_http_llm_metrics_t *m, const char *name,
    ngx_uint_t keys)
{
    ngx_uint_t                i, n, v, last;
    ngx_http_llm_count_t     *count;
    ngx_http_llm_overview_t  *status;

    status = m->upstreams.elts;

    ngx_http_llm_metrics_family(m, name, "counter",
                                "Tries, by what the answer said: ok, wait, "
                                "finished, ill or elsewhere.");

    for (i = 0; i < m->upstreams.nelts; i++) {
        last = status[i].upstream->pool.nkeys;

        for (n = keys ? 0 : last; n < last + !keys; n++) {
            count = keys ? &status[i].keys[n].count : &status[i].view.count;

            for (v = 0; v < NGX_HTTP_LLM_COUNT_VERDICTS; v++) {
                ngx_http_llm_metrics_labels(m, name, &status[i], n);
                ngx_http_llm_text_add(&m->text, ",verdict=\"%s\"} %uL\n",
                                      ngx_http_llm_overview_verdicts[v],
                                      count->verdicts[v]);
            }
        }
    }
}


static void
ngx_http_llm_metrics_tokens(ngx_http_llm_metrics_t *m, const char *name,
    ngx_uint_t keys)
{
    ngx_uint_t                i, n, last;
    ngx_http_llm_overview_t  *status;

    status = m->upstreams.elts;

    ngx_http_llm_metrics_family(m, name, "counter",
                                "Tokens; cached are some of the input, "
                                "reasoning some of the output.");

    for (i = 0; i < m->upstreams.nelts; i++) {
        last = status[i].upstream->pool.nkeys;

        for (n = keys ? 0 : last; n < last + !keys; n++) {
            ngx_http_llm_metrics_spent(m, keys
                                       ? &status[i].keys[n].count.spent
                                       : &status[i].view.count.spent,
                                       name, &status[i], n, NULL);
        }
    }
}


/* four lines, with the labels of a key or with one of another kind */

static void
ngx_http_llm_metrics_spent(ngx_http_llm_metrics_t *m,
    ngx_http_llm_spent_t *spent, const char *name, ngx_http_llm_overview_t *s,
    ngx_uint_t key, ngx_str_t *label)
{
    uint64_t     values[4];
    ngx_uint_t   i;

    static const char *const  types[] = {
        "input", "output", "cached", "reasoning"
    };

    values[0] = spent->input;
    values[1] = spent->output;
    values[2] = spent->cached;
    values[3] = spent->reasoning;

    for (i = 0; i < 4; i++) {

        if (label) {
            ngx_http_llm_text_add(&m->text, "%s=", name);
            ngx_http_llm_text_quote(&m->text, label);

        } else {
            ngx_http_llm_metrics_labels(m, name, s, key);
        }

        ngx_http_llm_text_add(&m->text, ",gen_ai_token_type=\"%s\"} %uL\n",
                              types[i], values[i]);
    }
}


static void
ngx_http_llm_metrics_limits(ngx_http_llm_metrics_t *m, const char *name,
    const char *help, ngx_uint_t remaining)
{
    ngx_uint_t                  i, n, w;
    ngx_http_llm_overview_t    *status;
    ngx_http_llm_view_limit_t  *limit;

    status = m->upstreams.elts;

    ngx_http_llm_metrics_family(m, name, "gauge", help);

    for (i = 0; i < m->upstreams.nelts; i++) {
        for (n = 0; n < status[i].upstream->pool.nkeys; n++) {
            for (w = 0; w < NGX_HTTP_LLM_VIEW_LIMITS; w++) {
                limit = &status[i].keys[n].limits[w];

                if (!limit->known) {
                    continue;
                }

                ngx_http_llm_metrics_labels(m, name, &status[i], n);
                ngx_http_llm_text_add(&m->text, ",what=\"%s\"} %L\n",
                                      ngx_http_llm_overview_limits[w],
                                      remaining ? ngx_max(limit->remaining, 0)
                                                : (int64_t) limit->limit);
            }
        }
    }
}


static void
ngx_http_llm_metrics_histogram(ngx_http_llm_metrics_t *m, const char *name,
    const char *help, const ngx_msec_t *bounds, size_t offset)
{
    u_char                     line[80];
    uint64_t                   sum;
    ngx_uint_t                 i, n, none;
    ngx_http_llm_overview_t   *status;
    ngx_http_llm_histogram_t  *histogram;

    status = m->upstreams.elts;

    ngx_http_llm_metrics_family(m, name, "histogram", help);

    for (i = 0; i < m->upstreams.nelts; i++) {
        none = status[i].upstream->pool.nkeys;
        sum = 0;

        histogram = (ngx_http_llm_histogram_t *)
                                  ((char *) &status[i].view.times + offset);

        *ngx_sprintf(line, "%s_bucket", name) = '\0';

        for (n = 0; bounds[n]; n++) {
            sum += histogram->counts[n];

            ngx_http_llm_metrics_labels(m, (char *) line, &status[i], none);
            ngx_http_llm_text_add(&m->text, ",le=\"%ui.%03ui\"} %uL\n",
                                  bounds[n] / 1000, bounds[n] % 1000, sum);
        }

        sum += histogram->counts[n];

        ngx_http_llm_metrics_labels(m, (char *) line, &status[i], none);
        ngx_http_llm_text_add(&m->text, ",le=\"+Inf\"} %uL\n", sum);

        *ngx_sprintf(line, "%s_sum", name) = '\0';

        ngx_http_llm_metrics_labels(m, (char *) line, &status[i], none);
        ngx_http_llm_text_add(&m->text, "} ");
        ngx_http_llm_text_seconds(&m->text, histogram->sum);

        *ngx_sprintf(line, "%s_count", name) = '\0';

        ngx_http_llm_text_add(&m->text, "\n");
        ngx_http_llm_metrics_labels(m, (char *) line, &status[i], none);
        ngx_http_llm_text_add(&m->text, "} %uL\n", sum);
    }
}


static ngx_int_t
ngx_http_llm_metrics_names(ngx_http_request_t *r, ngx_http_llm_metrics_t *m,
    ngx_uint_t clients)
{
    u_char                       label[80];
    ngx_str_t                    name;
    ngx_uint_t                   i;
    ngx_http_llm_main_conf_t    *lmcf;
    ngx_http_llm_count_names_t  *names;
    ngx_http_llm_count_entry_t  *entry;

    static const char *const  texts[2][5] = {
        { "llm_model_requests_total", "Requests that were answered by a model.",
          "llm_model_tokens_total", "Tokens of a model.",
          "{gen_ai_request_model" },
        { "llm_client_requests_total", "Requests of a client, answered.",
          "llm_client_tokens_total", "Tokens of a client.", "{client" }
    };

    lmcf = ngx_http_get_module_main_conf(r, ngx_http_llm_balancer_module);

    names = ngx_pcalloc(r->pool, sizeof(ngx_http_llm_count_names_t));
    if (names == NULL) {
        return NGX_ERROR;
    }

    names->max = NGX_HTTP_LLM_COUNT_NAMES;

    if (lmcf->zone) {
        ngx_http_llm_zone_names(lmcf->zone, clients, names);
    }

    ngx_http_llm_metrics_family(m, texts[clients][0], "counter",
                                texts[clients][1]);

    for (i = 0; i < names->n; i++) {
        entry = &names->entries[i];
        name.data = entry->name;
        name.len = entry->len;

        ngx_http_llm_text_add(&m->text, "%s%s=", texts[clients][0],
                              texts[clients][4]);
        ngx_http_llm_text_quote(&m->text, &name);
        ngx_http_llm_text_add(&m->text, "} %uL\n", entry->spent.requests);
    }

    ngx_http_llm_text_add(&m->text, "%s%s=\"other\"} %uL\n", texts[clients][0],
                          texts[clients][4], names->other.requests);

    ngx_http_llm_metrics_family(m, texts[clients][2], "counter",
                                texts[clients][3]);

    *ngx_sprintf(label, "%s%s", texts[clients][2], texts[clients][4]) = '\0';

    for (i = 0; i < names->n; i++) {
        entry = &names->entries[i];
        name.data = entry->name;
        name.len = entry->len;

        ngx_http_llm_metrics_spent(m, &entry->spent, (char *) label, NULL, 0,
                                   &name);
    }

    ngx_str_set(&name, "other");

    ngx_http_llm_metrics_spent(m, &names->other, (char *) label, NULL, 0,
                               &name);

    return NGX_OK;
}
