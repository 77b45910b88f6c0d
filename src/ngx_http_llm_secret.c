
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_secret.h"


/* a list of ten thousand keys fits; what is larger is not a key file */

#define NGX_HTTP_LLM_SECRET_MAX_FILE  (1024 * 1024)


static ngx_int_t ngx_http_llm_secret_variable(ngx_conf_t *cf, ngx_str_t *name,
    ngx_str_t *text, ngx_uint_t *file);
static ngx_int_t ngx_http_llm_secret_file(ngx_conf_t *cf, ngx_str_t *path,
    ngx_str_t *text);
static ngx_uint_t ngx_http_llm_secret_trim(ngx_str_t *item);
static ngx_int_t ngx_http_llm_secret_check(ngx_str_t *item);


ngx_int_t
ngx_http_llm_secret_env(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *text)
{
    ngx_int_t   rc;
    ngx_uint_t  file;

    rc = ngx_http_llm_secret_variable(cf, name, text, &file);

    if (rc != NGX_OK) {
        return rc;
    }

    while (text->len && (text->data[text->len - 1] == LF
                         || text->data[text->len - 1] == CR))
    {
        text->len--;
    }

    (void) ngx_http_llm_secret_trim(text);

    return text->len ? NGX_OK : NGX_DECLINED;
}


static ngx_int_t
ngx_http_llm_secret_variable(ngx_conf_t *cf, ngx_str_t *name, ngx_str_t *text,
    ngx_uint_t *file)
{
    char       *value;
    u_char     *p, *variable;
    ngx_str_t   path;

    *file = 0;

    variable = ngx_pnalloc(cf->temp_pool, name->len + sizeof("_FILE"));
    if (variable == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(variable, name->data, name->len);
    *p = '\0';

    value = getenv((char *) variable);

    if (value && *value) {
        text->len = ngx_strlen(value);
        text->data = ngx_pnalloc(cf->pool, text->len);
        if (text->data == NULL) {
            return NGX_ERROR;
        }

        ngx_memcpy(text->data, value, text->len);

        return NGX_OK;
    }

    ngx_memcpy(p, "_FILE", sizeof("_FILE"));

    value = getenv((char *) variable);

    if (value == NULL || *value == '\0') {
        return NGX_DECLINED;
    }

    *file = 1;

    path.data = (u_char *) value;
    path.len = ngx_strlen(value);

    return ngx_http_llm_secret_file(cf, &path, text);
}


static ngx_int_t
ngx_http_llm_secret_file(ngx_conf_t *cf, ngx_str_t *path, ngx_str_t *text)
{
    off_t            size;
    ssize_t          n;
    ngx_int_t        rc;
    ngx_file_t       file;
    ngx_file_info_t  fi;

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name.len = path->len;
    file.name.data = ngx_pnalloc(cf->pool, path->len + 1);
    if (file.name.data == NULL) {
        return NGX_ERROR;
    }

    ngx_cpystrn(file.name.data, path->data, path->len + 1);

    if (ngx_conf_full_name(cf->cycle, &file.name, 1) != NGX_OK) {
        return NGX_ERROR;
    }

    file.log = cf->log;
    file.fd = ngx_open_file(file.name.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_open_file_n " \"%V\" failed", &file.name);
        return NGX_ERROR;
    }

    rc = NGX_ERROR;

    if (ngx_fd_info(file.fd, &fi) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_fd_info_n " \"%V\" failed", &file.name);
        goto done;
    }

    size = ngx_file_size(&fi);

    if (!ngx_is_file(&fi) || size > NGX_HTTP_LLM_SECRET_MAX_FILE) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "\"%V\" is not a key file", &file.name);
        goto done;
    }

    text->data = ngx_pnalloc(cf->pool, (size_t) size + 1);
    if (text->data == NULL) {
        goto done;
    }

    n = ngx_read_file(&file, text->data, (size_t) size, 0);

    if (n == NGX_ERROR) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, ngx_errno,
                           ngx_read_file_n " \"%V\" failed", &file.name);
        goto done;
    }

    text->len = n;
    rc = NGX_OK;

done:

    if (ngx_close_file(file.fd) == NGX_FILE_ERROR) {
        ngx_conf_log_error(NGX_LOG_ALERT, cf, ngx_errno,
                           ngx_close_file_n " \"%V\" failed", &file.name);
    }

    return rc;
}


ngx_int_t
ngx_http_llm_secret_read(ngx_conf_t *cf, ngx_str_t *source, ngx_array_t *keys)
{
    ngx_int_t                     rc;
    ngx_str_t                     name, text;
    ngx_uint_t                    before, lines;
    ngx_http_llm_secret_flaws_t   flaws;

    lines = 0;

    if (source->len > 4 && ngx_strncmp(source->data, "env:", 4) == 0) {
        name.data = source->data + 4;
        name.len = source->len - 4;

        rc = ngx_http_llm_secret_variable(cf, &name, &text, &lines);
        if (rc != NGX_OK) {
            return rc;
        }

        name = *source;

    } else if (source->len > 5 && ngx_strncmp(source->data, "file:", 5) == 0) {
        name.data = source->data + 5;
        name.len = source->len - 5;

        rc = ngx_http_llm_secret_file(cf, &name, &text);
        if (rc != NGX_OK) {
            return rc;
        }

        name = *source;
        lines = 1;

    } else {
        text = *source;
        ngx_str_set(&name, "written out");
    }

    before = keys->nelts;

    ngx_memzero(&flaws, sizeof(ngx_http_llm_secret_flaws_t));

    if (ngx_http_llm_secret_split(&text, lines, keys, &flaws) != NGX_OK) {

        if (flaws.broken) {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid character in key %ui of \"%V\"",
                               flaws.broken, &name);
        }

        return NGX_ERROR;
    }

    if (flaws.empty || flaws.trimmed || flaws.duplicate) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "keys \"%V\": %ui empty and %ui duplicate dropped, "
                           "%ui freed of blanks or quotes",
                           &name, flaws.empty, flaws.duplicate, flaws.trimmed);
    }

    if (keys->nelts == before && flaws.duplicate == 0) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "no keys in \"%V\"", &name);
        return NGX_ERROR;
    }

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_secret_split(ngx_str_t *text, ngx_uint_t lines, ngx_array_t *keys,
    ngx_http_llm_secret_flaws_t *flaws)
{
    u_char      *p, *last, *end;
    ngx_str_t    item, *key;
    ngx_uint_t   i, n, eol, trimmed;

    p = text->data;
    last = text->data + text->len;

    if (lines == 0) {

        /* the newline that ends a value read from a file is no flaw */

        while (last > p && (last[-1] == LF || last[-1] == CR)) {
            last--;
        }

        /* an env_file of a container keeps the quotes around a whole list */

        if (last - p > 1
            && (*p == '"' || *p == '\'')
            && last[-1] == *p
            && ngx_strlchr(p + 1, last - 1, *p) == NULL)
        {
            p++;
            last--;
            flaws->trimmed++;
        }
    }

    for (n = 1; p <= last; n++) {

        eol = 1;

        for (end = p; end < last; end++) {
            if (*end == ',') {
                eol = 0;
                break;
            }

            if (lines && *end == LF) {
                break;
            }
        }

        item.data = p;
        item.len = end - p;
        p = end + 1;

        if (lines && item.len && item.data[item.len - 1] == CR) {
            item.len--;
        }

        trimmed = ngx_http_llm_secret_trim(&item);

        if (item.len == 0) {

            /* an empty line, or nothing behind the last one, is no flaw */

            if (!(lines && eol && trimmed == 0)) {
                flaws->empty++;
            }

            continue;
        }

        if (ngx_http_llm_secret_check(&item) != NGX_OK) {
            flaws->broken = n;
            return NGX_ERROR;
        }

        flaws->trimmed += trimmed;

        key = keys->elts;

        for (i = 0; i < keys->nelts; i++) {
            if (key[i].len == item.len
                && ngx_memcmp(key[i].data, item.data, item.len) == 0)
            {
                break;
            }
        }

        if (i < keys->nelts) {
            flaws->duplicate++;
            continue;
        }

        key = ngx_array_push(keys);
        if (key == NULL) {
            return NGX_ERROR;
        }

        *key = item;
    }

    return NGX_OK;
}


/* blanks, and a pair of quotes, around an item */

static ngx_uint_t
ngx_http_llm_secret_trim(ngx_str_t *item)
{
    ngx_uint_t  trimmed;

    trimmed = 0;

    /* what some editors begin a file with */

    if (item->len >= 3 && ngx_memcmp(item->data, "\xef\xbb\xbf", 3) == 0) {
        item->data += 3;
        item->len -= 3;
        trimmed = 1;
    }

    while (item->len && (item->data[0] == ' ' || item->data[0] == '\t')) {
        item->data++;
        item->len--;
        trimmed = 1;
    }

    while (item->len && (item->data[item->len - 1] == ' '
                         || item->data[item->len - 1] == '\t'))
    {
        item->len--;
        trimmed = 1;
    }

    if (item->len > 1
        && (item->data[0] == '"' || item->data[0] == '\'')
        && item->data[item->len - 1] == item->data[0])
    {
        item->data++;
        item->len -= 2;
        trimmed = 1;
    }

    return trimmed;
}


static ngx_int_t
ngx_http_llm_secret_check(ngx_str_t *item)
{
    size_t  i;

    for (i = 0; i < item->len; i++) {
        if (item->data[i] <= ' ' || item->data[i] == 0x7f) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


char *
ngx_http_llm_secret_param(ngx_conf_t *cf, ngx_str_t *param, ngx_uint_t n)
{
    u_char      *p, *last;
    ngx_uint_t   word;

    last = param->data + param->len;

    for (p = param->data; p < last; p++) {
        if ((*p < 'a' || *p > 'z') && *p != '_') {
            break;
        }
    }

    /* a name in front of "=", or a short word of letters, is no key */

    word = (p > param->data) && (p - param->data <= 16);

    if (word && (p == last || *p == '=')) {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid parameter \"%V\"",
                           param);

    } else {
        ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                           "invalid parameter %ui, which is not shown "
                           "as it may be a key", n);
    }

    return NGX_CONF_ERROR;
}
