
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_directive.h"


ngx_int_t
ngx_http_llm_directive(ngx_conf_t *cf, ngx_str_t *text)
{
    char             *rv;
    ngx_buf_t         b;
    ngx_array_t      *args;
    ngx_conf_file_t   conf_file, *saved;

    ngx_memzero(&conf_file, sizeof(ngx_conf_file_t));
    ngx_memzero(&b, sizeof(ngx_buf_t));

    b.start = text->data;
    b.pos = text->data;
    b.last = text->data + text->len;
    b.end = b.last;

    conf_file.file.fd = NGX_INVALID_FILE;
    conf_file.buffer = &b;

    saved = cf->conf_file;
    args = cf->args;

    cf->conf_file = &conf_file;

    cf->args = ngx_array_create(cf->temp_pool, 10, sizeof(ngx_str_t));
    if (cf->args == NULL) {
        return NGX_ERROR;
    }

    rv = ngx_conf_parse(cf, NULL);

    cf->conf_file = saved;
    cf->args = args;

    return (rv == NGX_CONF_OK) ? NGX_OK : NGX_ERROR;
}
