
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_llm_unit.h"
#include "../../src/ngx_http_llm_ids.h"
#include "../../src/ngx_http_llm_usage.h"

#include <ngx_http.h>


#define J  NGX_HTTP_LLM_USAGE_JSON
#define E  NGX_HTTP_LLM_USAGE_EVENTS
#define L  NGX_HTTP_LLM_USAGE_LINES


/* what an answer says, whichever pieces it comes in */

static struct {
    ngx_uint_t   kind;
    const char  *text;
    const char  *tokens;       /* input output cached reasoning total */
} answers[] = {

    /* OpenAI, and those who answer alike */

    { J, "{\"id\":\"chatcmpl-1\",\"choices\":[{\"message\":{}}],\"usage\":"
         "{\"prompt_tokens\":10,\"completion_tokens\":5,\"total_tokens\":15,"
         "\"prompt_tokens_details\":{\"cached_tokens\":4},"
         "\"completion_tokens_details\":{\"reasoning_tokens\":2}}}",
      "10 5 4 2 15" },
    { J, "{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5,"
         "\"total_tokens\":25,\"completion_tokens_details\":"
         "{\"reasoning_tokens\":10}}}", "10 15 0 10 25" },
    { J, "{\"usage\":{\"prompt_tokens\":8,\"total_tokens\":8}}",
      "8 0 0 0 8" },
    { J, "{\"usage\":{\"total_tokens\":8}}", "8 0 0 0 8" },
    { J, "{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1,"
         "\"prompt_cache_hit_tokens\":6,\"prompt_cache_miss_tokens\":4}}",
      "10 1 6 0 11" },
    { J, "{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1,"
         "\"num_cached_tokens\":3}}", "10 1 3 0 11" },
    { J, "{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1,"
         "\"cached_tokens\":7}}", "10 1 7 0 11" },
    { J, "{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1,"
         "\"total_tokens\":11,\"reasoning_tokens\":1,\"citation_tokens\":9}}",
      "10 1 0 1 11" },
    { J, "{\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":1,"
         "\"total_tokens\":11,\"cache_read_input_tokens\":5,"
         "\"cache_creation_input_tokens\":2}}", "10 1 5 0 11" },
    { J, "{\"output\":[],\"usage\":{\"input_tokens\":10,\"input_tokens_details"
         "\":{\"cached_tokens\":3},\"output_tokens\":6,"
         "\"output_tokens_details\":{\"reasoning_tokens\":4},"
         "\"total_tokens\":16}}", "10 6 3 4 16" },

    { E, "data: {\"choices\":[{\"delta\":{\"content\":\"usage\"}}],\"usage\":"
         "null}\n\ndata: {\"choices\":[],\"usage\":{\"prompt_tokens\":10,"
         "\"completion_tokens\":5,\"total_tokens\":15}}\n\ndata: [DONE]\n\n",
      "10 5 0 0 15" },
    { E, ": keep-alive\r\n\r\nevent: x\r\ndata:{\"usage\":{\"prompt_tokens\":"
         "10,\r\ndata: \"completion_tokens\":5}}\r\n\r\ndata: {\"usage\":"
         "null}\r\n\r\ndata: [DONE]\r\n\r\n", "10 5 0 0 15" },
    { E, "id: 1\rdata: {\"usage\":{\"prompt_tokens\":1}}\r\rdata: {\"usage\":"
         "{\"prompt_tokens\":2}}\r\r", "2 0 0 0 2" },
    { E, "data: {\"x_groq\":{\"usage\":{\"prompt_tokens\":3,"
         "\"completion_tokens\":4}}}\n\n", "3 4 0 0 7" },
    { E, "data: {\"choices\":[{\"usage\":{\"prompt_tokens\":3,"
         "\"completion_tokens\":4,\"cached_tokens\":2}}]}\n\n",
      "3 4 2 0 7" },
    { E, "event: response.created\ndata: {\"response\":{\"usage\":null}}\n\n"
         "event: response.completed\ndata: {\"type\":\"response.completed\","
         "\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":4,"
         "\"total_tokens\":7}}}\n\n", "3 4 0 0 7" },

    /* broken events, and an end in the middle of one */

    { E, "data: {\"usage\":{\"prompt_tokens\":1}]\n\ndata: x\n\ndata\n\ndat: "
         "{}\n\ndatax: {}\n\ndata: {\"usage\":{\"prompt_tokens\":2}}\n\n",
      "2 0 0 0 2" },
    { E, "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6",
      "5 0 0 0 5" },
    { E, "data: {\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":6}}",
      "5 6 0 0 11" },
    { E, "{\"usage\":{\"prompt_tokens\":5}}\n\n", "" },

    /* Anthropic */

    { J, "{\"type\":\"message\",\"content\":[{\"type\":\"tool_use\",\"input\":"
         "{\"output_tokens\":99,\"usage\":{\"input_tokens\":99}}}],\"usage\":"
         "{\"input_tokens\":10,\"output_tokens\":5,"
         "\"cache_read_input_tokens\":100,\"cache_creation_input_tokens\":"
         "1000,\"cache_creation\":{\"ephemeral_5m_input_tokens\":1000}}}",
      "1110 5 100 0 1115" },
    { E, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":"
         "{\"usage\":{\"input_tokens\":10,\"cache_read_input_tokens\":20,"
         "\"output_tokens\":1}}}\n\nevent: message_delta\ndata: {\"delta\":{},"
         "\"usage\":{\"output_tokens\":15}}\n\n", "30 15 20 0 45" },
    { J, "{\"usage\":{\"input_tokens\":10,\"output_tokens\":5,\"iterations\":"
         "[{\"input_tokens\":3,\"output_tokens\":2}]}}", "10 5 0 0 15" },

    { J, "{\"usage\":{\"input_tokens\":10,\"output_tokens\":5,\"total_tokens\""
         ":15,\"cache_read_input_tokens\":4}}", "10 5 4 0 15" },

    /* Gemini, its stream as events and as an array */

    { J, "{\"candidates\":[],\"usageMetadata\":{\"promptTokenCount\":10,"
         "\"candidatesTokenCount\":5,\"thoughtsTokenCount\":7,"
         "\"toolUsePromptTokenCount\":3,\"cachedContentTokenCount\":4,"
         "\"totalTokenCount\":25}}", "13 12 4 7 25" },
    { J, "[{\"usageMetadata\":{\"promptTokenCount\":10,\"totalTokenCount\":10}"
         "}\n,\r\n{\"usageMetadata\":{\"promptTokenCount\":10,"
         "\"candidatesTokenCount\":5,\"totalTokenCount\":15}}]",
      "10 5 0 0 15" },
    { E, "data: {\"usageMetadata\":{\"promptTokenCount\":10,\"totalTokenCount"
         "\":10}}\r\n\r\ndata: {\"usageMetadata\":{\"promptTokenCount\":10,"
         "\"candidatesTokenCount\":5,\"totalTokenCount\":15}}\r\n\r\n",
      "10 5 0 0 15" },

    /* Cohere */

    { J, "{\"usage\":{\"billed_units\":{\"input_tokens\":1,\"output_tokens\":"
         "2},\"tokens\":{\"input_tokens\":10.0,\"output_tokens\":20.0}}}",
      "10 20 0 0 30" },
    { J, "{\"usage\":{\"tokens\":{\"input_tokens\":10,\"output_tokens\":20},"
         "\"billed_units\":{\"input_tokens\":1,\"output_tokens\":2}}}",
      "10 20 0 0 30" },
    { E, "data: {\"type\":\"message-end\",\"delta\":{\"usage\":"
         "{\"billed_units\":{\"input_tokens\":6}}}}\n\n", "6 0 0 0 6" },
    { J, "{\"meta\":{\"billed_units\":{\"input_tokens\":6}}}", "6 0 0 0 6" },

    /* Ollama */

    { L, "{\"message\":{\"content\":\"a\"},\"done\":false}\n\n{\"done\":true,"
         "\"prompt_eval_count\":26,\"eval_count\":298}\n", "26 298 0 0 324" },
    { L, "{\"prompt_eval_count\":1}\n{]\n{\"prompt_eval_count\":2,"
         "\"eval_count\":3}", "2 3 0 0 5" },
    { L, "{\"message\":{\"prompt_eval_count\":1}}\n", "" },

    /* nothing, or nothing to rely on */

    { J, "{\"usage\":null}", "" },
    { J, "{\"usage\":{\"type\":\"duration\",\"seconds\":12}}", "" },
    { J, "{\"usage\":{\"prompt_tokens\":-1,\"completion_tokens\":1e5,"
         "\"total_tokens\":\"9\"}}", "" },
    { J, "{\"prompt_tokens\":7,\"message\":{\"prompt_tokens\":8}}", "" },
    { J, "{\"usage\":{\"prompt_tokens\":99999999999999999999999}}",
      "1000000000000000 0 0 0 1000000000000000" },
    { J, "\x1f\x8b\x08 gzip", "" },
    { J, "not JSON", "" },
    { J, "", "" },
    { J, "{\"usage\":{\"prompt_tokens\":4,\"x\":}", "4 0 0 0 4" },

    { 0, NULL, NULL }
};


#define T   NGX_HTTP_LLM_READ_TOKENS
#define O   NGX_HTTP_LLM_READ_OBJECT
#define N   NGX_HTTP_LLM_READ_NAME
#define S   NGX_HTTP_LLM_READ_LIST
#define I   NGX_HTTP_LLM_READ_ITEMS


/* calls: ids in the path, what to read, and the ids in an answer */

static struct {
    ngx_uint_t   method;
    const char  *path;
    const char  *fields;       /* NULL: no body */
    const char  *bound;
    ngx_uint_t   reads;
    ngx_uint_t   kind;
    const char  *answer;
    const char  *ids;          /* "=" is encrypted content */
} calls[] = {

    { NGX_HTTP_POST, "/v1/files", NULL, "", T|O, J,
      "{\"id\":\"file-1\",\"object\":\"file\",\"data\":[{\"id\":\"x\"}],"
      "\"name\":\"files/x\",\"metadata\":{\"id\":\"x\"}}", "file-1" },
    { NGX_HTTP_GET, "/v1/files", NULL, "", S, J,
      "{\"id\":\"x\",\"data\":[{\"id\":\"file-1\",\"x\":{\"id\":\"x\"}},"
      "{\"id\":\"file-2\"},{\"id\":\"file-1\"}]}", "file-1 file-2" },
    { NGX_HTTP_GET, "/v1/files/file-1", NULL, "file-1", O, J,
      "{\"id\":\"file-1\"}", "file-1" },
    { NGX_HTTP_GET, "/v1/files/file-1/content", NULL, "file-1", 0, J,
      "{\"id\":\"file-x\"}", "" },
    { NGX_HTTP_HEAD, "/v1/files/file-1", NULL, "file-1", 0, 0, "", "" },
    { NGX_HTTP_POST, "/v1/uploads/upload_1/complete", NULL, "upload_1", T|O, J,
      "{\"id\":\"upload_1\",\"file\":{\"id\":\"file-1\"}}", "upload_1 file-1" },
    { NGX_HTTP_GET, "/openai/v1/batches/batch_1", NULL, "batch_1", O, J,
      "{\"id\":\"batch_1\",\"output_file_id\":\"file-2\",\"error_file_id\":"
      "null,\"metadata\":{\"output_file_id\":\"x\"}}", "batch_1 file-2" },
    { NGX_HTTP_GET, "/v1/batches", NULL, "", S, J,
      "{\"data\":[{\"id\":\"batch_1\",\"output_file_id\":\"file-2\"}]}",
      "batch_1 file-2" },
    { NGX_HTTP_POST, "/v1/batch/jobs", NULL, "", T|O, J,
      "{\"id\":\"u-1\",\"output_file\":\"u-2\"}", "u-1 u-2" },
    { NGX_HTTP_POST, "/v1/vector_stores/vs_1/files", NULL, "vs_1", T|O, J,
      "{\"id\":\"file-1\"}", "file-1" },
    { NGX_HTTP_GET, "/v1/vector_stores/vs_1/files", NULL, "vs_1", 0, 0, "",
      "" },
    { NGX_HTTP_GET, "/v1/threads/thread_1/runs/run_1", NULL, "thread_1 run_1",
      O, J, "{\"id\":\"run_1\",\"thread_id\":\"thread_1\"}",
      "run_1 thread_1" },
    { NGX_HTTP_POST, "/v1/threads/runs", NULL, "", T|O, E,
      "event: thread.created\ndata: {\"id\":\"thread_1\"}\n\n"
      "data: {\"id\":\"run_1\",\"thread_id\":\"thread_1\"}\n\n",
      "thread_1 run_1" },
    { NGX_HTTP_GET, "/v1/fine_tuning/jobs/ftjob-1", NULL, "ftjob-1", O, J,
      "{\"id\":\"ftjob-1\",\"fine_tuned_model\":\"ft:m:o::1\"}",
      "ftjob-1 ft:m:o::1" },
    { NGX_HTTP_GET, "/v1/fine_tuning/jobs/ftjob-1", NULL, "ftjob-1", O, J,
      "{\"id\":\"ftjob-1\",\"fine_tuned_model\":\"gpt-4o\"}", "ftjob-1" },

    { NGX_HTTP_POST, "/v1/responses", "{}", "", T|I|O, E,
      "data: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}"
      "\n\ndata: {\"type\":\"response.output_item.done\",\"item\":{\"id\":"
      "\"rs_1\",\"encrypted_content\":\"abc\"}}\n\ndata: {\"item\":{\"id\":"
      "\"msg_1\",\"type\":\"message\"}}\n\ndata: {\"response\":{\"id\":"
      "\"resp_1\"}}\n\n", "resp_1 rs_1 =abc" },
    { NGX_HTTP_POST, "/v1/responses", "{\"store\":false}", "", T|I, J,
      "{\"id\":\"resp_1\",\"output\":[{\"id\":\"rs_1\",\"encrypted_content\":"
      "\"abc\"},{\"id\":\"ci_1\",\"container_id\":\"cntr_1\"}]}",
      "rs_1 =abc cntr_1" },
    { NGX_HTTP_GET, "/v1/responses/resp_1", NULL, "resp_1", O, J,
      "{\"id\":\"resp_1\"}", "resp_1" },
    { NGX_HTTP_POST, "/v1/responses/compact", "{}", "", T|I|O, 0, "", "" },
    { NGX_HTTP_POST, "/v1/chat/completions", "{}", "", T, J,
      "{\"id\":\"chatcmpl-1\"}", "" },
    { NGX_HTTP_POST, "/chat/completions", "{\"store\":true}", "", T|O, J,
      "{\"id\":\"chatcmpl-1\"}", "chatcmpl-1" },
    { NGX_HTTP_GET, "/v1/chat/completions/chatcmpl-1", NULL, "chatcmpl-1", O,
      0, "", "" },
    { NGX_HTTP_POST, "/v1/agents/completions", "{}", "", T, J,
      "{\"id\":\"x\"}", "" },

    { NGX_HTTP_POST, "/v1/messages", "{}", "", T|I, J,
      "{\"id\":\"msg_1\",\"container\":{\"id\":\"container_1\"},\"content\":"
      "[{\"type\":\"tool_use\",\"id\":\"toolu_1\",\"input\":{\"id\":\"x\"}}]}",
      "container_1" },
    { NGX_HTTP_POST, "/v1/messages/batches", "{}", "", T|O, J,
      "{\"id\":\"msgbatch_1\"}", "msgbatch_1" },
    { NGX_HTTP_GET, "/v1/messages/batches/msgbatch_1/results", NULL,
      "msgbatch_1", 0, 0, "", "" },
    { NGX_HTTP_POST, "/v1/messages/batches/msgbatch_1/cancel", NULL,
      "msgbatch_1", T|O, 0, "", "" },

    { NGX_HTTP_POST, "/upload/v1beta/files", NULL, "", T|O|N, J,
      "{\"file\":{\"name\":\"files/abc\",\"displayName\":\"files/x\",\"uri\":"
      "\"https://h/v1beta/files/abc\"}}", "abc" },
    { NGX_HTTP_GET, "/v1beta/files/abc", NULL, "abc", O|N, J,
      "{\"name\":\"files/abc\"}", "abc" },
    { NGX_HTTP_GET, "/v1beta/files", NULL, "", S, J,
      "{\"files\":[{\"name\":\"files/a\"},{\"name\":\"b\"}]}", "a" },
    { NGX_HTTP_GET, "/download/v1beta/files/abc:download", NULL, "abc", 0, 0,
      "", "" },
    { NGX_HTTP_POST, "/v1beta/cachedContents", "{}", "", T|O|N, J,
      "{\"name\":\"cachedContents/c1\",\"usageMetadata\":{}}", "c1" },
    { NGX_HTTP_POST, "/v1beta/batches/b1:cancel", "{}", "b1", T|O|N, 0, "",
      "" },
    { NGX_HTTP_POST, "/v1beta/models/m:batchGenerateContent", "{}", "", T|O|N,
      J, "{\"name\":\"batches/b1\",\"response\":{\"responsesFile\":"
      "\"files/r\"}}", "b1 r" },
    { NGX_HTTP_POST, "/v1beta/models/m:generateContent", "{}", "", T, J,
      "{\"responseId\":\"r\",\"name\":\"files/x\",\"id\":\"x\"}", "" },
    { NGX_HTTP_POST, "/v1beta/tunedModels/t1:generateContent", "{}", "t1",
      T|O|N, 0, "", "" },

    { NGX_HTTP_GET, "/v1/models", NULL, "", 0, 0, "", "" },
    { NGX_HTTP_POST, "/v1/moderations", "{}", "", T, J, "{\"id\":\"x\"}",
      "" },
    { NGX_HTTP_POST, "/v1/unknown", "{}", "", 0, 0, "", "" },
    { NGX_HTTP_GET, "/v1/files/1/runs/2/jobs/3/evals/4/videos/5", NULL,
      "1 2 3 4", O, 0, "", "" },
    { NGX_HTTP_GET, "/v1/files//", NULL, "", S, 0, "", "" },
    { NGX_HTTP_GET, "/", NULL, "", 0, 0, "", "" },

    { 0, NULL, NULL, NULL, 0, 0, NULL, NULL }
};


static struct {
    const char  *model;
    const char  *id;
} models[] = {
    { "gpt-4o", NULL },
    { "ft:gpt-4o:org::1", "ft:gpt-4o:org::1" },
    { "openai/ft:gpt-4o:org::1", "ft:gpt-4o:org::1" },
    { "ag:1234:name:5678", "ag:1234:name:5678" },
    { "tunedModels/abc", "abc" },
    { "vendor/gpt-4o", NULL },
    { "ft:", NULL },
    { "soft:x", NULL },
    { "", NULL },
    { NULL, NULL }
};


static ngx_pool_t  *pool;


static const ngx_http_llm_provider_t *
named(void *data, ngx_str_t *name)
{
    return NULL;
}


/* step: bytes in a piece, 0 for pieces of random sizes */

static ngx_http_llm_usage_t *
feed(ngx_uint_t kind, ngx_uint_t reads, const char *text, size_t step)
{
    size_t                 len, n, size;
    ngx_http_llm_usage_t  *usage;

    len = ngx_strlen(text);
    usage = ngx_http_llm_usage_create(pool, kind, reads);

    for (n = 0; n < len; n += size) {
        size = step ? step : (size_t) random() % 9;
        size = ngx_min(size, len - n);
        ngx_http_llm_usage_feed(usage, (u_char *) text + n, size);
    }

    return usage;
}


static ngx_uint_t
answer(ngx_uint_t i, size_t step)
{
    u_char                  text[256];
    ngx_http_llm_usage_t   *usage;
    ngx_http_llm_tokens_t  *t;

    usage = feed(answers[i].kind, NGX_HTTP_LLM_READ_TOKENS, answers[i].text,
                 step);
    t = &usage->tokens;
    text[0] = '\0';

    if (t->known) {
        (void) ngx_sprintf(text, "%uL %uL %uL %uL %uL%Z", t->input, t->output,
                           t->cached, t->reasoning, t->total);
    }

    ngx_http_llm_usage_finish(usage);

    return ngx_strcmp(text, answers[i].tokens) == 0 && usage->nids == 0;
}


static ngx_uint_t
has_ids(uint64_t *ids, ngx_uint_t nids, const char *list)
{
    uint64_t    id;
    ngx_str_t   word;
    ngx_uint_t  n;

    for (n = 0; *list; n++) {
        word.data = (u_char *) list + (*list == '=');
        word.len = strcspn((char *) word.data, " ");

        id = (*list == '=') ? ngx_http_llm_ids_content(&word)
                            : ngx_http_llm_ids_hash(&word);

        if (n >= nids || ids[n] != id) {
            return 0;
        }

        list = (char *) word.data + word.len;
        list += (*list == ' ');
    }

    return nids == n;
}


static void
call(ngx_uint_t i)
{
    size_t                  step;
    uint64_t                ids[NGX_HTTP_LLM_BIND_IDS];
    ngx_str_t               uri;
    ngx_uint_t              n, reads, bad;
    ngx_http_llm_path_t     path;
    ngx_http_llm_usage_t   *usage;
    ngx_http_llm_fields_t  *fields;

    uri.data = (u_char *) calls[i].path;
    uri.len = ngx_strlen(calls[i].path);

    (void) ngx_http_llm_path_parse(pool, &uri, named, NULL, &path);

    fields = NULL;

    if (calls[i].fields) {
        fields = ngx_http_llm_fields_create(pool);
        (void) ngx_http_llm_fields_feed(fields, (u_char *) calls[i].fields,
                                        ngx_strlen(calls[i].fields));
        (void) ngx_http_llm_fields_finish(fields);
    }

    n = ngx_http_llm_bind_path(&path, ids);

    ngx_llm_unit_ok(has_ids(ids, n, calls[i].bound), "bind: ids in %s",
                    calls[i].path);

    reads = ngx_http_llm_bind_reads(calls[i].method, &path, fields);

    ngx_llm_unit_ok(reads == calls[i].reads, "bind: %ui reads %ui of %s", i,
                    reads, calls[i].path);

    if (calls[i].kind == 0) {
        return;
    }

    for (bad = 0, step = 0; step < 100; step++) {
        usage = feed(calls[i].kind, reads, calls[i].answer, step);
        bad += !has_ids(usage->ids, usage->nids, calls[i].ids);
        ngx_http_llm_usage_finish(usage);
    }

    ngx_llm_unit_ok(bad == 0, "bind: ids in the answer of %ui: %s", i,
                    calls[i].ids);
}


static void
forgets(void)
{
    ngx_str_t            uri, id;
    ngx_uint_t           i, bad;
    ngx_http_llm_path_t  path;

    static struct {
        ngx_uint_t   method;
        const char  *path;
        const char  *id;
    } list[] = {
        { NGX_HTTP_DELETE, "/v1/files/file-1", "file-1" },
        { NGX_HTTP_DELETE, "/v1beta/files/abc", "abc" },
        { NGX_HTTP_DELETE, "/v1/vector_stores/vs_1/files/file-1", NULL },
        { NGX_HTTP_DELETE, "/v1/files/file-1/x", NULL },
        { NGX_HTTP_DELETE, "/v1/files", NULL },
        { NGX_HTTP_GET, "/v1/files/file-1", NULL },
        { NGX_HTTP_POST, "/v1/files/file-1", NULL }
    };

    bad = 0;

    for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        uri.data = (u_char *) list[i].path;
        uri.len = ngx_strlen(list[i].path);

        (void) ngx_http_llm_path_parse(pool, &uri, named, NULL, &path);

        id.data = (u_char *) (list[i].id ? list[i].id : "");
        id.len = ngx_strlen(id.data);

        bad += ngx_http_llm_bind_forgets(list[i].method, &path)
               != ngx_http_llm_ids_hash(&id);
    }

    ngx_llm_unit_ok(bad == 0, "bind: what is deleted is forgotten");
}


static void
kinds(void)
{
    ngx_str_t   type;
    ngx_uint_t  i, bad;

    static struct {
        const char  *type;
        ngx_uint_t   kind;
    } list[] = {
        { "application/json", J },
        { "Application/JSON; charset=utf-8", J },
        { "json", J },
        { "text/event-stream", E },
        { "text/event-stream; charset=utf-8", E },
        { "application/x-ndjson", L },
        { "application/jsonl", L },
        { "text/html; x=json", NGX_HTTP_LLM_USAGE_NONE },
        { "audio/mpeg", NGX_HTTP_LLM_USAGE_NONE },
        { "x", NGX_HTTP_LLM_USAGE_NONE },
        { "", NGX_HTTP_LLM_USAGE_NONE }
    };

    bad = 0;

    for (i = 0; i < sizeof(list) / sizeof(list[0]); i++) {
        type.data = (u_char *) list[i].type;
        type.len = ngx_strlen(list[i].type);
        bad += ngx_http_llm_usage_kind(&type) != list[i].kind;
    }

    ngx_llm_unit_ok(bad == 0, "usage: content types");
}


/* a document that is too long is left, the next one is read */

static void
too_long(void)
{
    u_char                *p;
    ngx_uint_t             i;
    ngx_http_llm_usage_t  *usage;

    static u_char  head[] = "data: {\"a\":[";
    static u_char  tail[] = "1],\"usage\":{\"prompt_tokens\":1}}\n\n";
    static u_char  next[] = "data: {\"usage\":{\"completion_tokens\":2}}\n\n";

    p = ngx_alloc(65536, pool->log);
    if (p == NULL) {
        return;
    }

    for (i = 0; i < 65536; i += 2) {
        p[i] = '1';
        p[i + 1] = ',';
    }

    usage = ngx_http_llm_usage_create(pool, E, T);

    ngx_http_llm_usage_feed(usage, head, sizeof(head) - 1);

    for (i = 0; i < NGX_HTTP_LLM_USAGE_SIZE / 65536; i++) {
        ngx_http_llm_usage_feed(usage, p, 65536);
    }

    ngx_http_llm_usage_feed(usage, tail, sizeof(tail) - 1);

    ngx_llm_unit_ok(!usage->tokens.known && usage->document == NULL,
                    "usage: a long document is left");

    ngx_http_llm_usage_feed(usage, next, sizeof(next) - 1);

    ngx_llm_unit_ok(usage->tokens.output == 2 && usage->tokens.input == 0,
                    "usage: and the next one is read");

    /* one that is just long enough */

    usage = ngx_http_llm_usage_create(pool, E, T);

    ngx_http_llm_usage_feed(usage, head, sizeof(head) - 1);

    for (i = 0; i < NGX_HTTP_LLM_USAGE_SIZE / 65536 - 1; i++) {
        ngx_http_llm_usage_feed(usage, p, 65536);
    }

    ngx_http_llm_usage_feed(usage, tail, sizeof(tail) - 1);
    ngx_http_llm_usage_finish(usage);

    ngx_llm_unit_ok(usage->tokens.input == 1, "usage: a document of 8M");

    ngx_free(p);
}


static void
many_ids(void)
{
    u_char                *p, text[64];
    ngx_uint_t             i;
    ngx_http_llm_usage_t  *usage;

    usage = ngx_http_llm_usage_create(pool, L, O);

    for (i = 0; i < 2 * NGX_HTTP_LLM_USAGE_IDS; i++) {
        p = ngx_sprintf(text, "{\"id\":\"file-%ui\"}\n", i);
        ngx_http_llm_usage_feed(usage, text, p - text);
    }

    ngx_llm_unit_ok(usage->nids == NGX_HTTP_LLM_USAGE_IDS,
                    "usage: no more ids than there are places");
}


static void
counts(void)
{
    ngx_uint_t  n;

    for (n = 0; ngx_http_llm_bind_paths[n].names[0]; n++) { /* void */ }

    ngx_llm_unit_ok(n + NGX_HTTP_LLM_USAGE_NAMES + 11
                    <= NGX_HTTP_LLM_JSON_PATHS,
                    "usage: all paths fit into one search");
}


void
ngx_llm_unit_usage(ngx_pool_t *p)
{
    size_t      step;
    ngx_str_t   model, id;
    ngx_uint_t  i, bad;

    pool = p;

    for (i = 0; answers[i].text; i++) {

        for (bad = 0, step = 0; step < 300; step++) {
            bad += !answer(i, step);
        }

        ngx_llm_unit_ok(bad == 0, "usage: answer %ui: %s", i,
                        answers[i].tokens);
    }

    for (i = 0; calls[i].path; i++) {
        call(i);
    }

    for (i = 0; models[i].model; i++) {
        model.data = (u_char *) models[i].model;
        model.len = ngx_strlen(model.data);
        id.data = (u_char *) (models[i].id ? models[i].id : "");
        id.len = ngx_strlen(id.data);

        ngx_llm_unit_ok(ngx_http_llm_bind_model(&model)
                        == ngx_http_llm_ids_hash(&id),
                        "bind: model %V", &model);
    }

    forgets();
    kinds();
    too_long();
    many_ids();
    counts();
}
