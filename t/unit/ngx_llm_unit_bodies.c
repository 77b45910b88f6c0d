
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_json.h"
#include "../../src/ngx_http_llm_mask.h"
#include "../../src/ngx_http_llm_multipart.h"


/*
 * What arrives in pieces: the result must not depend on where they are cut.
 * Each text is fed whole, byte by byte, and cut in two at every place.
 */

typedef struct {
    const char   *text;
    ngx_int_t     rc;
    ngx_uint_t    state;
    const char   *value;
    const char   *raw;       /* what is between start and end */
    ngx_uint_t    stream;
} ngx_llm_unit_body_t;


static ngx_llm_unit_body_t  jsons[] = {

    { "{\"model\":\"m\"}", NGX_OK, NGX_HTTP_LLM_FIELD_STRING, "m",
      ":\"m\"", 0 },

    { " {\"a\":[1,{\"model\":\"x\"}],\"mod\\u0065l\" : \"\\u006d\\/1\" }\n",
      NGX_OK, NGX_HTTP_LLM_FIELD_STRING, "m/1", " : \"\\u006d\\/1\"", 0 },

    { "{\"model\":\"a\",\"stream\":true,\"model\":\"b\"}", NGX_OK,
      NGX_HTTP_LLM_FIELD_STRING, "b", ":\"b\"", 1 },

    { "{\"stream\":true,\"stream\":false,\"x\":{\"stream\":true}}", NGX_OK,
      NGX_HTTP_LLM_FIELD_ABSENT, "", "", 0 },

    { "{\"model\":\"a\",\"model\":{\"b\":\"c\"}}", NGX_OK,
      NGX_HTTP_LLM_FIELD_OTHER, "", "", 0 },

    { "{\"model\":[\"a\"],\"stream\":\"true\"}", NGX_OK,
      NGX_HTTP_LLM_FIELD_OTHER, "", "", 0 },

    { "{\"model\":12345678901234567890123}", NGX_OK,
      NGX_HTTP_LLM_FIELD_OTHER, "", "", 0 },

    { "{\"model\":\"\"}", NGX_OK, NGX_HTTP_LLM_FIELD_STRING, "", ":\"\"", 0 },

    { "{}", NGX_OK, NGX_HTTP_LLM_FIELD_ABSENT, "", "", 0 },

    { "{\"a\":\"\\\"model\\\":\\\"x\\\"\\\\\",\"model\":\"\xc3\xbc\"}", NGX_OK,
      NGX_HTTP_LLM_FIELD_STRING, "\xc3\xbc", ":\"\xc3\xbc\"", 0 },

    { "{\"model\":\"m\"", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "{\"model\":\"m\"}}", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "{\"model\":\"m\"} x", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "[{\"model\":\"m\"}]", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "\"model\"", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "12", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "true", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "null", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "{\"a\":\"\xff\"}", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "{\"a\":\"\n\"}", NGX_DECLINED, 0, NULL, NULL, 0 },
    { " ", NGX_DECLINED, 0, NULL, NULL, 0 },

    { NULL, 0, 0, NULL, NULL, 0 }
};


#define PART(head, body)                                                      \
    "--B\r\nContent-Disposition: form-data; " head "\r\n\r\n" body "\r\n"


static ngx_llm_unit_body_t  forms[] = {

    { PART("name=\"model\"", "m") "--B--\r\n", NGX_OK,
      NGX_HTTP_LLM_FIELD_STRING, "m", "m", 0 },

    { PART("name=\"file\"; filename=\"f\"", "\r\n--\r\r\n--A\r\n-")
      PART("name=\"model\"", "a\r\nb\r\r\n-") "--B--", NGX_OK,
      NGX_HTTP_LLM_FIELD_STRING, "a\r\nb\r\r\n-", "a\r\nb\r\r\n-", 0 },

    { "preamble\r\n" PART("name=model", "x") "--B-- \r\nepilogue\r\n--B\r\n",
      NGX_OK, NGX_HTTP_LLM_FIELD_STRING, "x", "x", 0 },

    { PART("name=\"model\"", "") "--B--\r\n", NGX_OK,
      NGX_HTTP_LLM_FIELD_STRING, "", "", 0 },

    { PART("name=\"model\"; filename=\"x\"", "m") "--B--\r\n", NGX_OK,
      NGX_HTTP_LLM_FIELD_ABSENT, "", "", 0 },

    { PART("filename=\"x\"; name=\"model\"", "m") "--B--\r\n", NGX_OK,
      NGX_HTTP_LLM_FIELD_ABSENT, "", "", 0 },

    { PART("name=\"model\"", "m") PART("name=\"model\"", "n") "--B--\r\n",
      NGX_OK, NGX_HTTP_LLM_FIELD_AMBIGUOUS, NULL, NULL, 0 },

    { PART("name=\"models\"", "m") "--B--\r\n", NGX_OK,
      NGX_HTTP_LLM_FIELD_ABSENT, "", "", 0 },

    { "--B\r\nX: y\r\nCONTENT-disposition: form-data;name=\"model\"\r\n\r\nm"
      "\r\n--B--", NGX_OK, NGX_HTTP_LLM_FIELD_STRING, "m", "m", 0 },

    { "--B--\r\n", NGX_OK, NGX_HTTP_LLM_FIELD_ABSENT, "", "", 0 },

    { PART("name=\"model\"", "m") "--B-", NGX_DECLINED, 0, NULL, NULL, 0 },
    { PART("name=\"model\"", "m"), NGX_DECLINED, 0, NULL, NULL, 0 },
    { "--Bx\r\n", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "--B\rx", NGX_DECLINED, 0, NULL, NULL, 0 },
    { "nothing of the kind", NGX_DECLINED, 0, NULL, NULL, 0 },

    { NULL, 0, 0, NULL, NULL, 0 }
};


/* where metadata stands, with the comma in front of it */

static struct {
    const char  *text;
    ngx_uint_t   state;
    ngx_uint_t   first;
    const char  *raw;
} notes[] = {

    { "{\"n\":1}", NGX_HTTP_LLM_METADATA_ABSENT, 0, "" },
    { "{\"n\":{\"metadata\":1}}", NGX_HTTP_LLM_METADATA_ABSENT, 0, "" },

    { " { \"metadata\" : {\"a\":\"b\"} , \"n\":1}",
      NGX_HTTP_LLM_METADATA_STRINGS, 1, " \"metadata\" : {\"a\":\"b\"}" },

    { "{\"n\": 12 , \"met\\u0061data\":{ } }", NGX_HTTP_LLM_METADATA_STRINGS,
      0, " , \"met\\u0061data\":{ }" },

    { "{\"n\":[{}],\"metadata\":{\"a\":{\"b\":\"c\"}},\"m\":2}",
      NGX_HTTP_LLM_METADATA_OTHER, 0,
      ",\"metadata\":{\"a\":{\"b\":\"c\"}}" },

    { "{\"n\":\"x\",\"metadata\":{\"a\":[],\"b\":\"c\"}}",
      NGX_HTTP_LLM_METADATA_OTHER, 0, ",\"metadata\":{\"a\":[],\"b\":\"c\"}" },

    { "{\"n\":true,\"metadata\":null}", NGX_HTTP_LLM_METADATA_NULL, 0,
      ",\"metadata\":null" },

    { "{\"metadata\":12,\"n\":{}}", NGX_HTTP_LLM_METADATA_OTHER, 1,
      "\"metadata\":12" },

    { "{\"metadata\":{\"a\":1},\"n\":2.5,\"metadata\":{\"a\":\"b\"}}",
      NGX_HTTP_LLM_METADATA_STRINGS, 0, ",\"metadata\":{\"a\":\"b\"}" },

    { NULL, 0, 0, NULL }
};


static ngx_pool_t  *pool;


static ngx_uint_t
check(ngx_llm_unit_body_t *body, ngx_int_t rc, ngx_http_llm_field_t *field)
{
    size_t  len;

    if (rc != body->rc) {
        return 0;
    }

    if (rc != NGX_OK) {
        return 1;
    }

    if (field->state != body->state) {
        return 0;
    }

    if (field->state != NGX_HTTP_LLM_FIELD_STRING) {
        return 1;
    }

    len = ngx_strlen(body->value);

    return field->value.len == len
           && ngx_memcmp(field->value.data, body->value, len) == 0
           && field->end - field->start == (off_t) ngx_strlen(body->raw)
           && ngx_strncmp(body->text + field->start, body->raw,
                          ngx_strlen(body->raw))
              == 0;
}


/* cut: 0 for whole, the place of the cut, or -1 for byte by byte */

static ngx_uint_t
feed_json(ngx_llm_unit_body_t *body, ngx_int_t cut)
{
    size_t                  len, n, step;
    u_char                 *text;
    ngx_int_t               rc;
    ngx_http_llm_fields_t  *fields;

    text = (u_char *) body->text;
    len = ngx_strlen(text);

    fields = ngx_http_llm_fields_create(pool);
    rc = NGX_OK;

    for (n = 0; n < len && rc == NGX_OK; n += step) {
        step = (cut == -1) ? 1 : (n == 0 && cut) ? (size_t) cut : len - n;
        rc = ngx_http_llm_fields_feed(fields, text + n, step);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_llm_fields_finish(fields);
    }

    return check(body, rc, &fields->model)
           && (rc != NGX_OK || fields->stream == body->stream);
}


static ngx_uint_t
note(ngx_uint_t i, size_t step)
{
    size_t                    len, n;
    u_char                   *text;
    ngx_int_t                 rc;
    ngx_http_llm_fields_t    *fields;
    ngx_http_llm_metadata_t  *metadata;

    text = (u_char *) notes[i].text;
    len = ngx_strlen(text);

    fields = ngx_http_llm_fields_create(pool);
    rc = NGX_OK;

    for (n = 0; n < len && rc == NGX_OK; n += step) {
        rc = ngx_http_llm_fields_feed(fields, text + n,
                                      ngx_min(step, len - n));
    }

    if (rc != NGX_OK || ngx_http_llm_fields_finish(fields) != NGX_OK) {
        return 0;
    }

    metadata = &fields->metadata;
    n = ngx_strlen(notes[i].raw);

    return metadata->state == notes[i].state
           && metadata->first == notes[i].first
           && metadata->end - metadata->start == (off_t) n
           && ngx_strncmp(text + metadata->start, notes[i].raw, n) == 0;
}


/* what is found is written as "path:text " */

static const ngx_http_llm_json_path_t  paths[] = {
    { { "error", "code", NULL } },
    { { "error", NULL } },
    { { "d", "[]", "x", NULL } },
    { { "m", "[1]", "**", NULL } },
    { { "**", "id", NULL } },
    { { "a", "b", "c", "d", "e", "f", NULL } },
    { { "w", "**", NULL } },
    { { NULL } }
};

static struct {
    const char  *text;
    ngx_uint_t   wrapped;
    ngx_int_t    rc;
    const char  *found;
} searches[] = {

    { "{\"error\":{\"code\":\"c\",\"x\":{\"code\":1}},\"code\":2}", 0, NGX_OK,
      "1:{ 0:c " },

    { "[{\"error\":\"e\"},{\"error\":3}]", 1, NGX_OK, "1:e 1:3 " },
    { "[{\"error\":\"e\"}]", 0, NGX_DECLINED, "" },
    { "[[{\"error\":\"e\"}]]", 1, NGX_DECLINED, "" },
    { "[1]", 1, NGX_DECLINED, "" },

    { "{\"d\":[{\"x\":1},[{\"x\":2}],{\"x\":3,\"y\":{\"x\":4}},\"x\"]}", 0,
      NGX_OK, "2:1 2:3 " },

    { "{\"m\":[0,{\"r\":\"u\",\"c\":[{\"t\":[[[[[\"deep\"]]]]]}]},2]}", 0,
      NGX_OK, "3:u 3:deep " },

    { "{\"m\":[\"p\",\"q\",\"r\"]}", 0, NGX_OK, "3:q " },
    { "{\"m\":\"p\"}", 0, NGX_OK, "" },

    { "{\"id\":1,\"q\":[{\"z\":[[[[[[[{\"id\":\"n\"}]]]]]]]}],"
      "\"y\":{\"id\":2}}", 0, NGX_OK, "4:1 4:n 4:2 " },

    { "{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":{\"f\":1,\"g\":{\"f\":2}}}}}}}",
      0, NGX_OK, "5:1 " },

    { "{\"w\":{\"x\":[1,{}],\"y\":\"z\"},\"v\":{\"w\":{}},\"w\":2}", 0,
      NGX_OK, "6:{ 6:[ 6:1 6:{ 6:} 6:} 6:z 6:} 6:2 " },

    { "{\"m\":[0,{\"w\":[]}],\"w\":[]}", 0, NGX_OK, "6:[ 6:} " },

    { "{\"error\":{\"code\":\"c\",\"mess", 0, NGX_DECLINED, "1:{ 0:c " },

    { NULL, 0, 0, NULL }
};


static ngx_int_t
found(void *data, ngx_http_llm_json_value_t *value)
{
    u_char **p = data;

    *p = ngx_sprintf(*p, "%ui:", value->path);

    switch (value->type) {

    case NGX_HTTP_LLM_JSON_OBJECT:
        *(*p)++ = '{';
        break;

    case NGX_HTTP_LLM_JSON_ARRAY:
        *(*p)++ = '[';
        break;

    case NGX_HTTP_LLM_JSON_END:
        *(*p)++ = '}';
        break;
    }

    *p = ngx_sprintf(*p, "%V ", &value->text);

    return NGX_OK;
}


static ngx_uint_t
search(ngx_uint_t i, size_t step)
{
    size_t                len, n;
    u_char               *text, *p, buf[128];
    ngx_int_t             rc;
    ngx_http_llm_json_t  *json;

    p = buf;
    text = (u_char *) searches[i].text;
    len = ngx_strlen(text);

    json = ngx_http_llm_json_create(pool, paths, searches[i].wrapped, found,
                                    &p);
    json->whole = (uint64_t) 1 << 6;
    rc = NGX_OK;

    for (n = 0; n < len && rc == NGX_OK; n += step) {
        rc = ngx_http_llm_json_feed(json, text + n, ngx_min(step, len - n));
    }

    if (rc == NGX_OK) {
        rc = ngx_http_llm_json_finish(json);
    }

    *p = '\0';

    return rc == searches[i].rc && ngx_strcmp(buf, searches[i].found) == 0;
}


static ngx_uint_t
feed_form(ngx_llm_unit_body_t *body, ngx_int_t cut)
{
    size_t                     len, n, step;
    u_char                    *text;
    ngx_int_t                  rc;
    ngx_http_llm_multipart_t  *mp;

    static ngx_str_t  type = ngx_string("multipart/form-data; boundary=B");

    text = (u_char *) body->text;
    len = ngx_strlen(text);

    if (ngx_http_llm_multipart_create(pool, &type, &mp) != NGX_OK) {
        return 0;
    }

    rc = NGX_OK;

    for (n = 0; n < len && rc == NGX_OK; n += step) {
        step = (cut == -1) ? 1 : (n == 0 && cut) ? (size_t) cut : len - n;
        rc = ngx_http_llm_multipart_feed(mp, text + n, step);
    }

    if (rc == NGX_OK) {
        rc = ngx_http_llm_multipart_finish(mp);
    }

    return check(body, rc, &mp->model);
}


static void
everywhere(const char *what, ngx_llm_unit_body_t *bodies,
    ngx_uint_t (*feed)(ngx_llm_unit_body_t *body, ngx_int_t cut))
{
    ngx_int_t   cut, len;
    ngx_uint_t  i, bad;

    for (i = 0; bodies[i].text; i++) {
        len = ngx_strlen(bodies[i].text);
        bad = 0;

        for (cut = -1; cut < len; cut++) {
            if (!feed(&bodies[i], cut)) {
                bad++;
            }
        }

        ngx_llm_unit_ok(bad == 0, "%s: %ui in pieces of all sizes", what, i);
    }
}


static void
masks(void)
{
    u_char               text[64];
    size_t               cut, len;
    ngx_str_t            secret = ngx_string("sk-secret-123");
    ngx_uint_t           bad, found;
    ngx_http_llm_mask_t  mask;

    static const char  plain[] = "a sk-sec sk-secret-12 sk-secret-123, ssk-"
                                 "secret-123";
    static const char  masked[] = "a sk-sec sk-secret-12 *************, s****"
                                  "*********";

    len = sizeof(plain) - 1;

    ngx_memcpy(text, plain, len);
    found = ngx_http_llm_mask(NULL, &secret, text, text + len);
    ngx_llm_unit_ok(found && ngx_memcmp(text, masked, len) == 0,
                    "mask: %*s", len, text);

    ngx_memcpy(text, "nothing sk-secret-12", 20);
    found = ngx_http_llm_mask(NULL, &secret, text, text + 20);
    ngx_llm_unit_ok(!found, "mask: nothing");

    /* in two pieces at most seven characters of the key can be seen */

    bad = 0;

    for (cut = 0; cut <= len; cut++) {
        ngx_memcpy(text, plain, len);
        mask.matched = 0;

        (void) ngx_http_llm_mask(&mask, &secret, text, text + cut);
        (void) ngx_http_llm_mask(&mask, &secret, text + cut, text + len);

        text[len] = '\0';

        if (ngx_strstr(text, "sk-secret-123") != NULL
            || ngx_strncmp(text, "a sk-sec ", 9) != 0)
        {
            bad++;
        }
    }

    ngx_llm_unit_ok(bad == 0, "mask: in two pieces");

    /* byte by byte */

    ngx_memcpy(text, plain, len);
    mask.matched = 0;

    for (cut = 0; cut < len; cut++) {
        (void) ngx_http_llm_mask(&mask, &secret, text + cut, text + cut + 1);
    }

    text[len] = '\0';
    ngx_llm_unit_ok(ngx_strstr(text, "secret-123") == NULL,
                    "mask: byte by byte, %s", text);

    ngx_str_set(&secret, "abc");
    ngx_memcpy(text, "abc abc", 7);
    ngx_llm_unit_ok(!ngx_http_llm_mask(NULL, &secret, text, text + 7),
                    "mask: what is too short to be a secret");
}


static void
finds(void)
{
    ngx_uint_t  i, bad;
    size_t      step;

    for (i = 0; searches[i].text; i++) {

        bad = 0;

        for (step = 1; step < 80; step++) {
            bad += !search(i, step);
        }

        ngx_llm_unit_ok(bad == 0, "json: finds in %s", searches[i].text);
    }

    for (i = 0; notes[i].text; i++) {

        bad = 0;

        for (step = 1; step < 80; step++) {
            bad += !note(i, step);
        }

        ngx_llm_unit_ok(bad == 0, "json: metadata in %s", notes[i].text);
    }
}


void
ngx_llm_unit_bodies(ngx_pool_t *p)
{
    pool = p;

    finds();

    everywhere("json", jsons, feed_json);
    everywhere("multipart", forms, feed_form);

    masks();
}
