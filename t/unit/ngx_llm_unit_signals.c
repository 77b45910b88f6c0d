
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_fields.h"
#include "../../src/ngx_http_llm_hash.h"
#include "../../src/ngx_http_llm_ids.h"


/* what a request says about itself, whichever pieces it comes in */

static struct {
    const char  *text;
    ngx_uint_t   max_tokens;
    const char  *session;
    const char  *ids;          /* parted by blanks, "=" is encrypted content */
} requests[] = {

    { "{\"max_tokens\":100}", 100, "", "" },
    { "{\"max_tokens\":0}", 0, "", "" },
    { "{\"max_tokens\":-5}", 0, "", "" },
    { "{\"max_tokens\":1.5}", 0, "", "" },
    { "{\"max_tokens\":1e9}", 0, "", "" },
    { "{\"max_tokens\":\"7\"}", 0, "", "" },
    { "{\"max_tokens\":null}", 0, "", "" },
    { "{\"x\":{\"max_tokens\":5}}", 0, "", "" },
    { "{\"max_tokens\":99999999999999999999999999}", 0x7fffffff, "", "" },
    { "{\"max_completion_tokens\":5,\"max_tokens\":9,\"max_output_tokens\":7}",
      9, "", "" },
    { "{\"max_tokens\":5,\"max_completion_tokens\":9}", 9, "", "" },
    { "{\"generationConfig\":{\"maxOutputTokens\":11}}", 11, "", "" },

    { "{\"user\":\"u\",\"metadata\":{\"session_id\":\"s\"}}", 0, "s", "" },
    { "{\"metadata\":{\"session_id\":\"s\"},\"user\":\"u\"}", 0, "s", "" },
    { "{\"prompt_cache_key\":\"p\",\"metadata\":{\"session_id\":\"s\"}}", 0,
      "p", "" },
    { "{\"metadata\":{\"session_id\":\"s\"},\"prompt_cache_key\":\"p\"}", 0,
      "p", "" },
    { "{\"user\":\"u\",\"prompt_cache_key\":\"\"}", 0, "u", "" },
    { "{\"user\":\"u\",\"prompt_cache_key\":{\"x\":\"y\"}}", 0, "u", "" },
    { "{\"user\":5,\"metadata\":\"session_id\"}", 0, "", "" },
    { "{\"metadata\":{\"user_id\":\"i\"}}", 0, "i", "" },
    { "{\"x\":[{\"user\":\"u\"}],\"messages\":[{\"user\":\"u\"}]}", 0, "",
      "" },

    { "{\"previous_response_id\":\"resp_1\",\"conversation\":\"conv_1\"}", 0,
      "", "resp_1 conv_1" },
    { "{\"previous_response_id\":null,\"conversation\":{\"id\":\"conv_1\"}}",
      0, "", "conv_1" },
    { "{\"input_file_id\":\"file-1\",\"container\":{\"id\":\"c_1\"}}", 0, "",
      "file-1 c_1" },
    { "{\"messages\":[{\"content\":[{\"source\":{\"file_id\":\"file_1\"}},"
      "{\"a\":{\"b\":{\"c\":{\"file\":{\"file_id\":\"file_2\"}}}}},"
      "{\"file_id\":\"file_1\"}]}]}", 0, "", "file_1 file_2" },
    { "{\"file_uri\":\"https://h/v1beta/files/abc\",\"cached_content\":"
      "\"cachedContents/x1\",\"fileUr\":\"a-1\",\"file_ur\":\"a-2\","
      "\"file_uri_\":\"a-3\",\"fileUri\\u0000\":\"a-4\"}", 0, "", "abc x1" },
    { "{\"contents\":[{\"parts\":[{\"fileData\":{\"fileUri\":"
      "\"https:\\/\\/h/v1beta/files/abc\"}},{\"file_data\":{\"file_uri\":"
      "\"https://www.example.com/watch?v=files\"}}]}],"
      "\"cachedContent\":\"cachedContents/x1\"}", 0, "", "abc x1" },
    { "{\"tools\":[{\"vector_store_ids\":[\"vs_1\",\"vs_2\"],"
      "\"container\":{\"type\":\"auto\",\"file_ids\":[\"file-3\"]}},"
      "{\"container\":\"cntr_1\"}]}", 0, "", "vs_1 vs_2 file-3 cntr_1" },
    { "{\"batch\":{\"input_config\":{\"file_name\":\"files/b\"}}}", 0, "",
      "b" },

    /* what only looks like an id */

    { "{\"messages\":[{\"content\":[{\"type\":\"tool_use\",\"input\":"
      "{\"file_id\":\"x\",\"a\":{\"b\":[{\"container\":\"y\"}]}}}]}],"
      "\"metadata\":{\"file_id\":\"z\"}}", 0, "", "" },
    { "{\"contents\":[{\"parts\":[{\"functionCall\":{\"args\":"
      "{\"file_id\":\"x\"}}}]}]}", 0, "", "" },
    { "{\"tools\":[{\"parameters\":{\"properties\":{\"file_id\":"
      "{\"type\":\"string\"}},\"required\":[\"file_id\"]}}]}", 0, "", "" },
    { "{\"file_id\":5,\"container\":[\"x\"],\"conversation\":\"\"}", 0, "",
      "" },

    { "{\"input\":[{\"id\":\"msg_1\",\"role\":\"user\"},"
      "{\"id\":\"rs_1\",\"type\":\"reasoning\"},"
      "{\"type\":\"reasoning\",\"encrypted_content\":\"secret\"}],"
      "\"previous_response_id\":\"resp_1\"}", 0, "", "resp_1 rs_1 =secret" },

    /* the latest items, and room for them */

    { "{\"input\":[{\"id\":\"rs_1\"},{\"id\":\"rs_2\"},{\"id\":\"rs_3\"},"
      "{\"id\":\"rs_4\"},{\"id\":\"rs_5\"},{\"id\":\"rs_6\"}],"
      "\"file_ids\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\","
      "\"10\",\"11\",\"12\",\"13\"]}", 0, "",
      "1 2 3 4 5 6 7 8 9 10 11 12 rs_5 rs_6 rs_3 rs_4" },

    { NULL, 0, NULL, NULL }
};


/* two requests, and whether they are of one conversation */

static struct {
    const char  *a;
    const char  *b;            /* NULL: a has no prompt */
    ngx_uint_t   same;
} prompts[] = {

    { "{\"model\":\"m\"}", NULL, 0 },
    { "{\"messages\":[]}", NULL, 0 },
    { "{\"input\":{}}", NULL, 0 },

#define M0  "{\"role\":\"system\",\"content\":\"be\"}"
#define M1  "{\"role\":\"user\",\"content\":\"do\"}"
#define M2  "{\"role\":\"assistant\",\"content\":\"done\"}"

    { "{\"messages\":[" M0 "," M1 "]}",
      "{\"model\":\"m\",\"messages\":[" M0 "," M1 "," M2 "," M0 "]}", 1 },
    { "{\"messages\":[" M0 "," M1 "]}", "{\"messages\":[" M0 "," M0 "]}", 0 },
    { "{\"messages\":[" M0 "," M1 "]}", "{\"messages\":[" M1 "," M0 "]}", 0 },
    { "{\"messages\":[" M1 "]}", "{\"messages\":[" M1 "," M2 "," M1 "]}", 1 },
    { "{\"messages\":[" M1 "]}", "{\"messages\":[" M1 "," M1 "]}", 0 },

    /* a mark for the cache turns a string into a list */

    { "{\"messages\":[" M0 "," M1 "]}",
      "{\"messages\":[" M0 ",{\"role\":\"user\",\"content\":[{\"type\":"
      "\"text\",\"text\":\"do\",\"cache_control\":{\"type\":\"ephemeral\","
      "\"ttl\":\"5m\"}}]}]}", 1 },

    { "{\"system\":\"be\",\"messages\":[" M1 "]}",
      "{\"messages\":[" M1 "," M2 "],\"system\":[{\"type\":\"text\","
      "\"text\":\"be\"}]}", 1 },
    { "{\"system\":\"be\",\"messages\":[" M1 "]}",
      "{\"messages\":[" M1 "]}", 0 },

    { "{\"instructions\":\"i\",\"input\":\"q\"}",
      "{\"input\":\"q\",\"instructions\":\"i\"}", 1 },
    { "{\"instructions\":\"i\",\"input\":\"q\"}",
      "{\"input\":\"i\",\"instructions\":\"q\"}", 0 },
    { "{\"input\":[" M0 "," M1 "]}", "{\"input\":[" M0 "," M1 "," M2 "]}", 1 },
    { "{\"input\":[" M1 "]}",
      "{\"input\":[" M1 ",{\"type\":\"function_call\",\"id\":\"x\"}]}", 1 },
    { "{\"input\":[" M0 "," M1 "]}", "{\"input\":[" M0 "," M0 "]}", 0 },

    { "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}",
      "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]},{\"parts\":[]}]}", 1 },
    { "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}]}",
      "{\"contents\":[{\"parts\":[{\"text\":\"a\"}]}],\"systemInstruction\":"
      "{\"parts\":[{\"text\":\"s\"}]}}", 0 },

    { "{\"prompt\":\"ab\"}", "{\"prompt\":\"\\u0061b\"}", 1 },
    { "{\"prompt\":[\"ab\",\"c\"]}", "{\"prompt\":[\"a\",\"bc\"]}", 0 },

    { NULL, NULL, 0 }
};


static ngx_pool_t  *pool;


/* step: bytes in a piece, 0 for pieces of random sizes */

static ngx_http_llm_fields_t *
fields(const char *text, size_t step)
{
    size_t                  len, n, size;
    ngx_int_t               rc;
    ngx_http_llm_fields_t  *f;

    len = ngx_strlen(text);
    f = ngx_http_llm_fields_create(pool);
    rc = NGX_OK;

    for (n = 0; n < len && rc == NGX_OK; n += size) {
        size = step ? step : (size_t) random() % 9;
        size = ngx_min(size, len - n);
        rc = ngx_http_llm_fields_feed(f, (u_char *) text + n, size);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_llm_fields_finish(f);
    }

    return (rc == NGX_OK) ? f : NULL;
}


static ngx_uint_t
has_ids(ngx_http_llm_fields_t *f, const char *ids)
{
    uint64_t    id;
    ngx_str_t   word;
    ngx_uint_t  n;

    for (n = 0; *ids; n++) {
        word.data = (u_char *) ids + (*ids == '=');
        word.len = strcspn((char *) word.data, " ");

        id = (*ids == '=') ? ngx_http_llm_ids_content(&word)
                           : ngx_http_llm_ids_hash(&word);

        if (n >= f->nids || f->ids[n] != id) {
            return 0;
        }

        ids = (char *) word.data + word.len;
        ids += (*ids == ' ');
    }

    return f->nids == n;
}


static ngx_uint_t
request(ngx_uint_t i, size_t step)
{
    size_t                  len;
    uint64_t                session;
    ngx_http_llm_fields_t  *f;

    f = fields(requests[i].text, step);
    if (f == NULL) {
        return 0;
    }

    session = 0;
    len = ngx_strlen(requests[i].session);

    if (len) {
        session = ngx_http_llm_hash_update(NGX_HTTP_LLM_HASH_START,
                                           (u_char *) requests[i].session, len);
        session = ngx_http_llm_hash_final(session);
    }

    return f->max_tokens == requests[i].max_tokens
           && f->session == session
           && has_ids(f, requests[i].ids);
}


static void
long_prompts(void)
{
    char                    a[4096], b[4096];
    ngx_http_llm_fields_t  *f, *g;

    static const char  head[] = "{\"prompt\":\"";

    ngx_memset(a, 'x', sizeof(a));
    ngx_memcpy(a, head, sizeof(head) - 1);
    ngx_memcpy(a + sizeof(a) - 3, "\"}", 3);
    ngx_memcpy(b, a, sizeof(a));

    b[sizeof(head) - 1 + 1024] = 'y';
    f = fields(a, sizeof(a));
    g = fields(b, 7);

    ngx_llm_unit_ok(f && g && f->prompt == g->prompt,
                    "request: a prompt differs behind its first 1024 bytes");

    b[sizeof(head) - 1 + 1023] = 'y';
    g = fields(b, 7);

    ngx_llm_unit_ok(f && g && f->prompt != g->prompt,
                    "request: a prompt differs within them");
}


static void
stores(void)
{
    ngx_http_llm_fields_t  *a, *b, *c;

    a = fields("{\"store\":true}", 1);
    b = fields("{\"store\":false}", 1);
    c = fields("{\"store\":null,\"x\":{\"store\":true}}", 1);

    ngx_llm_unit_ok(a && b && c
                    && a->store && !a->no_store
                    && !b->store && b->no_store
                    && !c->store && !c->no_store,
                    "request: store");
}


void
ngx_llm_unit_signals(ngx_pool_t *p)
{
    size_t                  step;
    ngx_uint_t              i, bad;
    ngx_http_llm_fields_t  *a, *b;

    pool = p;

    for (i = 0; requests[i].text; i++) {

        for (bad = 0, step = 0; step < 200; step++) {
            bad += !request(i, step);
        }

        ngx_llm_unit_ok(bad == 0, "request: %s", requests[i].text);
    }

    for (i = 0; prompts[i].a; i++) {

        for (bad = 0, step = 0; step < 20; step++) {
            a = fields(prompts[i].a, step);
            b = fields(prompts[i].b ? prompts[i].b : "{}", 100 - step);

            if (a == NULL || b == NULL) {
                bad++;

            } else if (prompts[i].b == NULL) {
                bad += a->prompt != 0;

            } else {
                bad += a->prompt == 0
                       || (a->prompt == b->prompt) != prompts[i].same;
            }
        }

        ngx_llm_unit_ok(bad == 0, "request: prompt %ui of %s", i, prompts[i].a);
    }

    long_prompts();
    stores();
}
