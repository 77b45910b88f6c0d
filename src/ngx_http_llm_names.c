
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_names.h"


/* as the C library has it */

#define NGX_HTTP_LLM_NAMES_SERVERS  3
#define NGX_HTTP_LLM_NAMES_NDOTS    15

#define NGX_HTTP_LLM_NAMES_SIZE     (1024 * 1024)


static ngx_int_t ngx_http_llm_names_line(ngx_pool_t *pool, ngx_str_t *line,
    ngx_http_llm_names_t *names);
static ngx_int_t ngx_http_llm_names_server(ngx_pool_t *pool, ngx_str_t *word,
    ngx_http_llm_names_t *names);
static ngx_int_t ngx_http_llm_names_search(ngx_pool_t *pool, ngx_str_t *word,
    ngx_http_llm_names_t *names);
static void ngx_http_llm_names_option(ngx_str_t *word,
    ngx_http_llm_names_t *names);
static ngx_int_t ngx_http_llm_names_add(ngx_pool_t *pool, ngx_str_t *name,
    ngx_str_t *domain, ngx_array_t *expanded);
static ngx_uint_t ngx_http_llm_names_next_line(ngx_str_t *text,
    const char *comment, ngx_str_t *line);
static ngx_uint_t ngx_http_llm_names_next_word(ngx_str_t *line,
    ngx_str_t *word);
static ngx_uint_t ngx_http_llm_names_is(ngx_str_t *word, const char *name);


ngx_int_t
ngx_http_llm_names_read(ngx_pool_t *pool, const char *path, ngx_str_t *text)
{
    off_t       size;
    ssize_t     n;
    ngx_file_t  file;

    ngx_str_null(text);

    ngx_memzero(&file, sizeof(ngx_file_t));

    file.name.data = (u_char *) path;
    file.name.len = ngx_strlen(path);
    file.log = pool->log;

    file.fd = ngx_open_file(file.name.data, NGX_FILE_RDONLY, NGX_FILE_OPEN, 0);

    if (file.fd == NGX_INVALID_FILE) {
        return NGX_OK;
    }

    if (ngx_fd_info(file.fd, &file.info) == NGX_FILE_ERROR) {
        (void) ngx_close_file(file.fd);
        return NGX_OK;
    }

    size = ngx_min(ngx_file_size(&file.info), NGX_HTTP_LLM_NAMES_SIZE);

    text->data = ngx_pnalloc(pool, (size_t) size + 1);
    if (text->data == NULL) {
        (void) ngx_close_file(file.fd);
        return NGX_ERROR;
    }

    n = ngx_read_file(&file, text->data, (size_t) size, 0);

    text->len = (n > 0) ? (size_t) n : 0;

    (void) ngx_close_file(file.fd);

    return NGX_OK;
}


ngx_int_t
ngx_http_llm_names_parse(ngx_pool_t *pool, ngx_str_t *text,
    ngx_http_llm_names_t *names)
{
    ngx_str_t  rest, line;

    names->ndots = 1;

    if (ngx_array_init(&names->servers, pool, 3, sizeof(ngx_str_t)) != NGX_OK
        || ngx_array_init(&names->search, pool, 3, sizeof(ngx_str_t))
           != NGX_OK)
    {
        return NGX_ERROR;
    }

    rest = *text;

    while (ngx_http_llm_names_next_line(&rest, "#;", &line)) {
        if (ngx_http_llm_names_line(pool, &line, names) != NGX_OK) {
            return NGX_ERROR;
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_names_line(ngx_pool_t *pool, ngx_str_t *line,
    ngx_http_llm_names_t *names)
{
    ngx_str_t   key, word;
    ngx_uint_t  search;

    if (!ngx_http_llm_names_next_word(line, &key)) {
        return NGX_OK;
    }

    search = ngx_http_llm_names_is(&key, "search")
             || ngx_http_llm_names_is(&key, "domain");

    if (search) {

        /* the last such line is the one that holds */

        names->search.nelts = 0;
    }

    while (ngx_http_llm_names_next_word(line, &word)) {

        if (ngx_http_llm_names_is(&key, "nameserver")) {
            return ngx_http_llm_names_server(pool, &word, names);
        }

        if (search
            && ngx_http_llm_names_search(pool, &word, names) != NGX_OK)
        {
            return NGX_ERROR;
        }

        if (ngx_http_llm_names_is(&key, "options")) {
            ngx_http_llm_names_option(&word, names);
        }
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_names_server(ngx_pool_t *pool, ngx_str_t *word,
    ngx_http_llm_names_t *names)
{
    u_char      addr[16];
    ngx_str_t  *server;

    if (names->servers.nelts == NGX_HTTP_LLM_NAMES_SERVERS) {
        return NGX_OK;
    }

    if (ngx_inet_addr(word->data, word->len) != INADDR_NONE) {
        server = ngx_array_push(&names->servers);
        if (server == NULL) {
            return NGX_ERROR;
        }

        *server = *word;

        return NGX_OK;
    }

#if (NGX_HAVE_INET6)

    /* nginx knows no scopes, such as that of "fe80::1%eth0" */

    if (ngx_inet6_addr(word->data, word->len, addr) == NGX_OK) {
        server = ngx_array_push(&names->servers);
        if (server == NULL) {
            return NGX_ERROR;
        }

        server->data = ngx_pnalloc(pool, word->len + 2);
        if (server->data == NULL) {
            return NGX_ERROR;
        }

        server->len = ngx_sprintf(server->data, "[%V]", word) - server->data;
    }

#endif

    return NGX_OK;
}


static ngx_int_t
ngx_http_llm_names_search(ngx_pool_t *pool, ngx_str_t *word,
    ngx_http_llm_names_t *names)
{
    ngx_str_t  *domain;

    /* "." is the root: the name as it is */

    while (word->len && word->data[word->len - 1] == '.') {
        word->len--;
    }

    if (word->len == 0) {
        return NGX_OK;
    }

    domain = ngx_array_push(&names->search);
    if (domain == NULL) {
        return NGX_ERROR;
    }

    domain->len = word->len;
    domain->data = ngx_pstrdup(pool, word);

    return domain->data ? NGX_OK : NGX_ERROR;
}


static void
ngx_http_llm_names_option(ngx_str_t *word, ngx_http_llm_names_t *names)
{
    ngx_int_t  n;

    if (word->len <= 6 || ngx_strncmp(word->data, "ndots:", 6) != 0) {
        return;
    }

    n = ngx_atoi(word->data + 6, word->len - 6);

    if (n != NGX_ERROR) {
        names->ndots = ngx_min(n, NGX_HTTP_LLM_NAMES_NDOTS);
    }
}


ngx_uint_t
ngx_http_llm_names_hosts(ngx_str_t *text, ngx_str_t *name)
{
    ngx_str_t  rest, line, word;

    rest = *text;

    while (ngx_http_llm_names_next_line(&rest, "#", &line)) {

        if (!ngx_http_llm_names_next_word(&line, &word)) {
            continue;
        }

        while (ngx_http_llm_names_next_word(&line, &word)) {
            if (word.len == name->len
                && ngx_strncasecmp(word.data, name->data, word.len) == 0)
            {
                return 1;
            }
        }
    }

    return 0;
}


ngx_int_t
ngx_http_llm_names_expand(ngx_pool_t *pool, ngx_http_llm_names_t *names,
    ngx_str_t *name, ngx_array_t *expanded)
{
    size_t      i;
    ngx_str_t  *search;
    ngx_uint_t  n, dots;

    dots = 0;

    for (i = 0; i < name->len; i++) {
        dots += (name->data[i] == '.');
    }

    if (name->len && name->data[name->len - 1] == '.') {
        return ngx_http_llm_names_add(pool, name, NULL, expanded);
    }

    if (dots >= names->ndots
        && ngx_http_llm_names_add(pool, name, NULL, expanded) != NGX_OK)
    {
        return NGX_ERROR;
    }

    search = names->search.elts;

    for (n = 0; n < names->search.nelts; n++) {
        if (ngx_http_llm_names_add(pool, name, &search[n], expanded)
            != NGX_OK)
        {
            return NGX_ERROR;
        }
    }

    return (dots < names->ndots)
           ? ngx_http_llm_names_add(pool, name, NULL, expanded) : NGX_OK;
}


/* copies, since nginx's resolver turns them to lower case in place */

static ngx_int_t
ngx_http_llm_names_add(ngx_pool_t *pool, ngx_str_t *name, ngx_str_t *domain,
    ngx_array_t *expanded)
{
    u_char     *p;
    ngx_str_t  *s;

    s = ngx_array_push(expanded);
    if (s == NULL) {
        return NGX_ERROR;
    }

    s->data = ngx_pnalloc(pool, name->len + 1 + (domain ? domain->len : 0));
    if (s->data == NULL) {
        return NGX_ERROR;
    }

    p = ngx_cpymem(s->data, name->data, name->len);

    if (domain) {
        *p++ = '.';
        p = ngx_cpymem(p, domain->data, domain->len);
    }

    s->len = p - s->data;

    return NGX_OK;
}


/* takes the next line off the text, without its comment */

static ngx_uint_t
ngx_http_llm_names_next_line(ngx_str_t *text, const char *comment,
    ngx_str_t *line)
{
    size_t  i, end;

    if (text->len == 0) {
        return 0;
    }

    end = text->len;

    for (i = 0; i < text->len && text->data[i] != LF; i++) {
        if (end == text->len && ngx_strchr(comment, text->data[i])) {
            end = i;
        }
    }

    line->data = text->data;
    line->len = ngx_min(i, end);

    i += (i < text->len);

    text->data += i;
    text->len -= i;

    return 1;
}


static ngx_uint_t
ngx_http_llm_names_next_word(ngx_str_t *line, ngx_str_t *word)
{
    u_char  *p, *last;

    p = line->data;
    last = p + line->len;

    while (p < last && (*p == ' ' || *p == '\t' || *p == CR)) {
        p++;
    }

    word->data = p;

    while (p < last && *p != ' ' && *p != '\t' && *p != CR) {
        p++;
    }

    word->len = p - word->data;

    line->data = p;
    line->len = last - p;

    return word->len != 0;
}


static ngx_uint_t
ngx_http_llm_names_is(ngx_str_t *word, const char *name)
{
    return word->len == ngx_strlen(name)
           && ngx_strncmp(word->data, name, word->len) == 0;
}
