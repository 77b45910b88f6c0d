
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_names.h"


typedef struct {
    const char   *conf;
    const char   *name;
    const char   *expanded;
} ngx_llm_unit_name_t;


static ngx_llm_unit_name_t  expansions[] = {
    { "", "short", "short" },
    { "", "a.test", "a.test" },
    { "search one.test two.test\n", "short",
      "short.one.test short.two.test short" },
    { "search one.test two.test\n", "a.test",
      "a.test a.test.one.test a.test.two.test" },
    { "search one.test two.test\n", "a.test.", "a.test." },
    { "search one.test\noptions edns0 ndots:2 rotate\n", "a.test",
      "a.test.one.test a.test" },
    { "search one.test\noptions ndots:0\n", "short", "short short.one.test" },
    { "search one.test\noptions ndots:99\n", "a.test",
      "a.test.one.test a.test" },
    { "search one.test\noptions ndots:x ndots:\n", "a.b", "a.b a.b.one.test" },
    { "search one.test\nsearch two.test\n", "a", "a.two.test a" },
    { "search one.test\ndomain three.test.\n", "a", "a.three.test a" },
    { "search .\n", "a", "a" },
    { "search one.test # two.test\n", "a", "a.one.test a" },
    { "\tsearch\tone.test\r\n", "a", "a.one.test a" },
    { "search one.test", "a", "a.one.test a" },
    { "searching one.test\n;search two.test\n#search three.test\n", "a", "a" },
    { NULL, NULL, NULL }
};


static ngx_llm_unit_name_t  servers[] = {
    { "nameserver 127.0.0.11\n", NULL, "127.0.0.11" },
    { "nameserver 10.0.0.1\nnameserver 10.0.0.2\n", NULL,
      "10.0.0.1 10.0.0.2" },
    { "nameserver fd00::1\nnameserver ::1\n", NULL, "[fd00::1] [::1]" },
    { "nameserver fe80::1%eth0\nnameserver 10.0.0.1\n", NULL, "10.0.0.1" },
    { "nameserver name.test\nnameserver\nnameserver 1.2.3\n", NULL, "" },
    { "nameserver 10.0.0.1 10.0.0.2\n", NULL, "10.0.0.1" },
    { "nameserver 10.0.0.1\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n"
      "nameserver 10.0.0.4\n", NULL, "10.0.0.1 10.0.0.2 10.0.0.3" },
    { "#nameserver 10.0.0.1\n; nameserver 10.0.0.2\n", NULL, "" },
    { "", NULL, "" },
    { "\n\n\n", NULL, "" },
    { NULL, NULL, NULL }
};


static ngx_llm_unit_name_t  hosts[] = {
    { "127.0.0.1 one\n", "one", "1" },
    { "127.0.0.1 one two\n", "two", "1" },
    { "127.0.0.1\tone\t\ttwo\r\n", "TWO", "1" },
    { "127.0.0.1 one", "one", "1" },
    { "127.0.0.1 one\n", "on", "" },
    { "127.0.0.1 one\n", "ones", "" },
    { "127.0.0.1 one\n", "127.0.0.1", "" },
    { "127.0.0.1 one # two\n", "two", "" },
    { "# 127.0.0.1 one\n", "one", "" },
    { "", "one", "" },
    { NULL, NULL, NULL }
};


static void ngx_llm_unit_names_list(ngx_pool_t *pool,
    ngx_llm_unit_name_t *test, ngx_array_t *list);


void
ngx_llm_unit_names(ngx_pool_t *pool)
{
    ngx_str_t              text, name;
    ngx_array_t            list;
    ngx_uint_t             has;
    ngx_llm_unit_name_t   *test;
    ngx_http_llm_names_t   names;

    for (test = expansions; test->conf; test++) {
        text.data = (u_char *) test->conf;
        text.len = ngx_strlen(test->conf);
        name.data = (u_char *) test->name;
        name.len = ngx_strlen(test->name);

        if (ngx_http_llm_names_parse(pool, &text, &names) != NGX_OK
            || ngx_array_init(&list, pool, 1, sizeof(ngx_str_t)) != NGX_OK
            || ngx_http_llm_names_expand(pool, &names, &name, &list) != NGX_OK)
        {
            ngx_llm_unit_ok(0, "names of %s", test->name);
            continue;
        }

        ngx_llm_unit_names_list(pool, test, &list);
    }

    for (test = servers; test->conf; test++) {
        text.data = (u_char *) test->conf;
        text.len = ngx_strlen(test->conf);

        if (ngx_http_llm_names_parse(pool, &text, &names) != NGX_OK) {
            ngx_llm_unit_ok(0, "name servers \"%s\"", test->expanded);
            continue;
        }

        ngx_llm_unit_names_list(pool, test, &names.servers);
    }

    for (test = hosts; test->conf; test++) {
        text.data = (u_char *) test->conf;
        text.len = ngx_strlen(test->conf);
        name.data = (u_char *) test->name;
        name.len = ngx_strlen(test->name);

        has = ngx_http_llm_names_hosts(&text, &name);

        ngx_llm_unit_ok(has == (test->expanded[0] == '1'),
                        "hosts, %s, %ui", test->name, has);
    }

    ngx_llm_unit_ok(ngx_http_llm_names_read(pool, "/none/such", &text)
                    == NGX_OK && text.len == 0, "no file");
}


static void
ngx_llm_unit_names_list(ngx_pool_t *pool, ngx_llm_unit_name_t *test,
    ngx_array_t *list)
{
    u_char      *p;
    ngx_str_t    line, *s;
    ngx_uint_t   i;

    line.data = ngx_pnalloc(pool, 1024);

    if (line.data == NULL) {
        ngx_llm_unit_ok(0, "no memory");
        return;
    }

    p = line.data;
    s = list->elts;

    for (i = 0; i < list->nelts; i++) {
        p = ngx_slprintf(p, line.data + 1024, "%s%V", i ? " " : "", &s[i]);
    }

    line.len = p - line.data;

    ngx_llm_unit_ok(line.len == ngx_strlen(test->expanded)
                    && ngx_strncmp(line.data, test->expanded, line.len) == 0,
                    "names \"%V\"", &line);
}
