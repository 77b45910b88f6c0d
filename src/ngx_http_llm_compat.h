
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


/*
 * Differences between nginx versions: the only file that looks at
 * nginx_version or at a private nginx layout.
 */


#ifndef _NGX_HTTP_LLM_COMPAT_H_INCLUDED_
#define _NGX_HTTP_LLM_COMPAT_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


#if (nginx_version < 1022000)
#error "nginx 1.22.0 or later is required"
#endif

#if !(NGX_HTTP_SSL)
#error "nginx must be built with the SSL module"
#endif


/* header lists are linked since 1.23.0, and ngx_list_push() zeroes nothing */

#if (nginx_version >= 1023000)
#define ngx_http_llm_header_link(h)  (h)->next = NULL
#else
#define ngx_http_llm_header_link(h)
#endif


/* peer.notify is used by http upstreams since 1.29.6 */

#ifdef NGX_HTTP_UPSTREAM_NOTIFY_HEADER
#define NGX_HTTP_LLM_HAVE_NOTIFY  1
#else
#define NGX_HTTP_LLM_HAVE_NOTIFY  0
#endif


/* process_header() may report early hints since 1.29.0 */

#ifdef NGX_HTTP_UPSTREAM_EARLY_HINTS
#define ngx_http_llm_early_hints(rc)  ((rc) == NGX_HTTP_UPSTREAM_EARLY_HINTS)
#else
#define ngx_http_llm_early_hints(rc)  0
#endif


/* keeping trailers became an option in 1.27.2 */

#if (nginx_version >= 1027002)
#define ngx_http_llm_parse_chunked(r, b, ctx)                                 \
    ngx_http_parse_chunked(r, b, ctx, 0)
#else
#define ngx_http_llm_parse_chunked(r, b, ctx)                                 \
    ngx_http_parse_chunked(r, b, ctx)
#endif


/*
 * The location configuration of the proxy module is private before 1.29.4,
 * but begins with the public upstream configuration in every version.
 */

extern ngx_module_t  ngx_http_proxy_module;

#define ngx_http_llm_conf_get_proxy(cf)                                       \
    ((ngx_http_upstream_conf_t *)                                             \
         ngx_http_conf_get_module_loc_conf(cf, ngx_http_proxy_module))


/* newer versions have the structure without a context, too */

#define ngx_http_llm_conf_has_ssl(conf)                                       \
    ((conf)->ssl != NULL && (conf)->ssl->ctx != NULL)


#endif /* _NGX_HTTP_LLM_COMPAT_H_INCLUDED_ */
