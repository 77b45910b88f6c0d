
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Whether something can be used: a key, a group of keys that share their
 * limits, either of them for one model, or a whole upstream.  Times are those
 * of a monotonic clock in ms.
 */


#ifndef _NGX_HTTP_LLM_NODE_H_INCLUDED_
#define _NGX_HTTP_LLM_NODE_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include "ngx_http_llm_count.h"
#include "ngx_http_llm_quota.h"
#include "ngx_http_llm_window.h"


#define NGX_HTTP_LLM_FINGERPRINT_LEN    16


typedef enum {
    NGX_HTTP_LLM_KEY_USABLE = 0,
    NGX_HTTP_LLM_KEY_COOLING,
    NGX_HTTP_LLM_KEY_FINISHED,
    NGX_HTTP_LLM_KEY_DOWN,
    NGX_HTTP_LLM_KEY_PARKED,
    NGX_HTTP_LLM_KEY_DRAINING
} ngx_http_llm_key_state_e;


/* what an operator did to a key */

typedef enum {
    NGX_HTTP_LLM_HELD_NOT = 0,
    NGX_HTTP_LLM_HELD_PARKED,
    NGX_HTTP_LLM_HELD_DRAINING
} ngx_http_llm_held_e;


/* bytes of the reason that it is out */

#define NGX_HTTP_LLM_NODE_REASON  24


typedef struct {
    u_char                   id[NGX_HTTP_LLM_FINGERPRINT_LEN];
    uint32_t                 refs;       /* of lanes; 0: may be forgotten */
    uint32_t                 next;       /* in the table, 0: the last */

    uint32_t                 state;
    uint32_t                 refusal;    /* the state it was in last */
    uint32_t                 level;      /* refusals in a row */
    u_char                   reason[NGX_HTTP_LLM_NODE_REASON];
    ngx_msec_t               until;      /* if it is out */
    ngx_msec_t               since;      /* of the last refusal */
    uint32_t                 served;     /* answers since then */
    uint32_t                 worked;     /* it has answered before that */
    uint64_t                 outs;       /* times it was put out */
    uint64_t                 line;       /* not 0: it only tells that this
                                            model has a line, see the store */

    /* of an upstream */
    ngx_msec_t               ill_since;
    uint32_t                 ill;
    uint32_t                 well;
    ngx_atomic_t             failed;     /* requests, counted without lock */
    ngx_http_llm_times_t    *times;      /* NULL: not measured */

    /* of an upstream, or of a key */
    uint32_t                 in_flight;
    ngx_http_llm_count_t     count;

    /* of a key */
    uint32_t                 held;       /* by an operator */
    uint64_t                 tries;
    uint64_t                 organization;    /* as it was told, 0: unknown */
    ngx_http_llm_window_t    window;

    /* of a group, or of a group for one model */
    ngx_http_llm_quota_t     quota;
} ngx_http_llm_node_t;


#define ngx_http_llm_node_passed(now, until)                                  \
    ((ngx_msec_int_t) ((now) - (until)) >= 0)


/* whether it is out at the moment */

#define ngx_http_llm_node_out(node, now)                                      \
    ((node)->state != NGX_HTTP_LLM_KEY_USABLE                                 \
     && !ngx_http_llm_node_passed(now, (node)->until))


/*
 * It is used for a try.  What was finished and may come back gets one try: it
 * is out for the others until there is an answer, or for 30 s.
 */

void ngx_http_llm_node_take(ngx_http_llm_node_t *node, ngx_msec_t now);

/* the try that began then was not made */

void ngx_http_llm_node_untake(ngx_http_llm_node_t *node, ngx_msec_t begun,
    ngx_msec_t now);

/*
 * A try that began at the time of "begun" was refused: it is out for wait, or
 * if that is 0 for a time that is usual; out again soon means then out for
 * longer.  A deadline never moves nearer.  Returns 1 if it was in, or out for
 * another reason; *wait is the time it is out then.
 */

ngx_uint_t ngx_http_llm_node_refuse(ngx_http_llm_node_t *node,
    ngx_uint_t state, ngx_msec_t begun, ngx_msec_t now, ngx_msec_t *wait);

/* a try was answered: 1 if it was finished until now */

ngx_uint_t ngx_http_llm_node_serve(ngx_http_llm_node_t *node,
    ngx_msec_t begun);

/* it is in again, whatever put it out */

void ngx_http_llm_node_restore(ngx_http_llm_node_t *node);

/*
 * For an upstream: counts an answer, or the lack of one.  Returns 1 when it
 * opens, which means that nobody is sent there for *wait, or when it closes,
 * with a *wait of 0.
 */

ngx_uint_t ngx_http_llm_node_report(ngx_http_llm_node_t *node, ngx_uint_t ill,
    ngx_msec_t begun, ngx_msec_t now, ngx_msec_t *wait);

/* opens it at once */

void ngx_http_llm_node_open(ngx_http_llm_node_t *node, ngx_msec_t begun,
    ngx_msec_t now, ngx_msec_t *wait);


#endif /* _NGX_HTTP_LLM_NODE_H_INCLUDED_ */
