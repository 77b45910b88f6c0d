
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#define _GNU_SOURCE

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "llm_yaml.h"


#define LLM_YAML_MAX_DEPTH  64
#define LLM_YAML_MAX_SIZE   (16 * 1024 * 1024)


typedef struct {
    const char         *name;
    llm_node_t         *node;
} llm_anchor_t;


typedef struct {
    const char         *text;
    int                *lines;
    size_t              n;
} llm_warning_t;


typedef struct {
    yaml_parser_t       parser;
    llm_anchor_t      **anchors;
    size_t              n;
} llm_reader_t;


static unsigned char *llm_yaml_file(const char *path, size_t *len);
static llm_node_t *llm_yaml_node(llm_reader_t *reader, yaml_event_t *event,
    int depth);
static void llm_yaml_event(llm_reader_t *reader, yaml_event_t *event);
static void llm_yaml_broken(llm_reader_t *reader);
static llm_node_t *llm_yaml_alias(llm_reader_t *reader, yaml_event_t *event);
static void llm_yaml_add(llm_node_t *map, llm_node_t *key, llm_node_t *value,
    int merged);
static void llm_yaml_merge(llm_node_t *map, llm_node_t *value);
static int llm_yaml_word(llm_node_t *node, const char *words);


static const char      *llm_yaml_path;
static llm_warning_t  **llm_warnings;
static size_t           llm_nwarnings;


llm_node_t *
llm_yaml_read(const char *path)
{
    size_t          len;
    llm_node_t     *root;
    llm_reader_t    reader;
    yaml_event_t    event;
    unsigned char  *text;

    llm_yaml_path = path;

    text = llm_yaml_file(path, &len);

    memset(&reader, 0, sizeof(llm_reader_t));

    if (!yaml_parser_initialize(&reader.parser)) {
        fprintf(stderr, "%s: out of memory\n", path);
        exit(1);
    }

    yaml_parser_set_input_string(&reader.parser, text, len);

    llm_yaml_event(&reader, &event);                     /* of the stream */
    llm_yaml_event(&reader, &event);

    if (event.type == YAML_STREAM_END_EVENT) {
        return NULL;
    }

    llm_yaml_event(&reader, &event);
    root = llm_yaml_node(&reader, &event, 0);

    llm_yaml_event(&reader, &event);                     /* of the document */
    llm_yaml_event(&reader, &event);

    if (event.type != YAML_STREAM_END_EVENT) {
        fprintf(stderr, "%s:%d:%d: a second document\n", path,
                (int) event.start_mark.line + 1,
                (int) event.start_mark.column + 1);
        exit(1);
    }

    return root;
}


static unsigned char *
llm_yaml_file(const char *path, size_t *len)
{
    FILE           *file;
    unsigned char  *text;

    file = fopen(path, "r");

    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }

    text = llm_alloc(LLM_YAML_MAX_SIZE + 1);
    *len = fread(text, 1, LLM_YAML_MAX_SIZE + 1, file);

    if (ferror(file)) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }

    if (*len > LLM_YAML_MAX_SIZE) {
        fprintf(stderr, "%s: larger than %d bytes\n", path,
                LLM_YAML_MAX_SIZE);
        exit(1);
    }

    (void) fclose(file);

    return text;
}


static llm_node_t *
llm_yaml_node(llm_reader_t *reader, yaml_event_t *event, int depth)
{
    llm_node_t     *node, *key;
    llm_anchor_t   *anchor;
    yaml_event_t    next;
    unsigned char  *name;

    if (event->type == YAML_ALIAS_EVENT) {
        return llm_yaml_alias(reader, event);
    }

    node = llm_alloc(sizeof(llm_node_t));

    node->line = (int) event->start_mark.line + 1;
    node->column = (int) event->start_mark.column + 1;

    if (depth > LLM_YAML_MAX_DEPTH) {
        llm_fail(node, "nested too deeply");
    }

    switch (event->type) {

    case YAML_SCALAR_EVENT:
        name = event->data.scalar.anchor;
        node->kind = LLM_SCALAR;
        node->text = (char *) event->data.scalar.value;
        node->plain = event->data.scalar.plain_implicit;

        if (strlen(node->text) != event->data.scalar.length) {
            llm_fail(node, "a zero byte");
        }

        break;

    case YAML_SEQUENCE_START_EVENT:
        name = event->data.sequence_start.anchor;
        node->kind = LLM_SEQUENCE;

        for ( ;; ) {
            llm_yaml_event(reader, &next);

            if (next.type == YAML_SEQUENCE_END_EVENT) {
                break;
            }

            llm_push(&node->items, &node->n,
                     llm_yaml_node(reader, &next, depth + 1));
        }

        break;

    default: /* YAML_MAPPING_START_EVENT */
        name = event->data.mapping_start.anchor;
        node->kind = LLM_MAPPING;

        for ( ;; ) {
            llm_yaml_event(reader, &next);

            if (next.type == YAML_MAPPING_END_EVENT) {
                break;
            }

            key = llm_yaml_node(reader, &next, depth + 1);

            if (key->kind != LLM_SCALAR) {
                llm_fail(key, "a key that is no word");
            }

            llm_yaml_event(reader, &next);
            llm_yaml_add(node, key, llm_yaml_node(reader, &next, depth + 1),
                         0);
        }
    }

    /* known from here on only, so that nothing is inside itself */

    if (name) {
        anchor = llm_alloc(sizeof(llm_anchor_t));
        anchor->name = (char *) name;
        anchor->node = node;

        llm_push(&reader->anchors, &reader->n, anchor);
    }

    return node;
}


static void
llm_yaml_event(llm_reader_t *reader, yaml_event_t *event)
{
    if (!yaml_parser_parse(&reader->parser, event)) {
        llm_yaml_broken(reader);
    }
}


static void
llm_yaml_broken(llm_reader_t *reader)
{
    size_t                i, line, column;
    const char           *context;
    yaml_parser_t        *parser;
    const unsigned char  *text;

    parser = &reader->parser;

    line = parser->problem_mark.line;
    column = parser->problem_mark.column;

    if (parser->error == YAML_READER_ERROR) {

        /* a byte that is no UTF-8: only its offset is known */

        line = 0;
        column = 0;

        text = parser->input.string.start;

        for (i = 0; i < parser->problem_offset
                    && text + i < parser->input.string.end; i++)
        {
            column++;

            if (text[i] == '\n') {
                line++;
                column = 0;
            }
        }
    }

    context = parser->context ? parser->context : "";

    fprintf(stderr, "%s:%d:%d: %s%s%s\n", llm_yaml_path, (int) line + 1,
            (int) column + 1, context, *context ? ": " : "",
            parser->problem ? parser->problem : "out of memory");

    exit(1);
}


static llm_node_t *
llm_yaml_alias(llm_reader_t *reader, yaml_event_t *event)
{
    size_t       i;
    llm_node_t   place;
    const char  *name;

    name = (char *) event->data.alias.anchor;

    /* the last one of that name */

    for (i = reader->n; i > 0; i--) {
        if (strcmp(reader->anchors[i - 1]->name, name) == 0) {
            return reader->anchors[i - 1]->node;
        }
    }

    place.line = (int) event->start_mark.line + 1;
    place.column = (int) event->start_mark.column + 1;

    llm_fail(&place, "unknown alias \"%s\"", name);
}


/* what the mapping has itself goes before what it gets by "<<" */

static void
llm_yaml_add(llm_node_t *map, llm_node_t *key, llm_node_t *value, int merged)
{
    size_t       i;
    llm_node_t  *old;

    if (!merged && key->plain && strcmp(key->text, "<<") == 0) {
        llm_yaml_merge(map, value);
        return;
    }

    for (i = 0; i < map->n; i += 2) {
        old = map->items[i];

        if (strcmp(old->text, key->text) != 0) {
            continue;
        }

        if (!merged) {
            if (!old->merged) {
                llm_warn(key, "\"%s\" is there twice, the last one counts",
                         key->text);
            }

            map->items[i] = key;
            map->items[i + 1] = value;
        }

        return;
    }

    if (merged) {
        old = llm_alloc(sizeof(llm_node_t));
        *old = *key;
        old->merged = 1;
        key = old;
    }

    llm_push(&map->items, &map->n, key);
    llm_push(&map->items, &map->n, value);
}


static void
llm_yaml_merge(llm_node_t *map, llm_node_t *value)
{
    size_t  i;

    if (value->kind == LLM_SCALAR) {
        llm_fail(value, "\"<<\" expects a mapping");
    }

    for (i = 0; i < value->n; i++) {

        if (value->kind == LLM_SEQUENCE) {
            if (value->items[i]->kind != LLM_MAPPING) {
                llm_fail(value->items[i], "\"<<\" expects a mapping");
            }

            llm_yaml_merge(map, value->items[i]);
            continue;
        }

        llm_yaml_add(map, value->items[i], value->items[i + 1], 1);
        i++;
    }
}


llm_node_t *
llm_yaml_get(llm_node_t *map, const char *name)
{
    size_t  i;

    if (map == NULL || map->kind != LLM_MAPPING) {
        return NULL;
    }

    for (i = 0; i < map->n; i += 2) {
        if (strcmp(map->items[i]->text, name) == 0) {
            return llm_yaml_null(map->items[i + 1]) ? NULL
                                                    : map->items[i + 1];
        }
    }

    return NULL;
}


int
llm_yaml_null(llm_node_t *node)
{
    return llm_yaml_word(node, " ~ null Null NULL ")
           || (node->kind == LLM_SCALAR && node->plain && !*node->text);
}


int
llm_yaml_off(llm_node_t *node)
{
    return llm_yaml_null(node)
           || llm_yaml_word(node, " false False FALSE no No NO off Off OFF 0 ")
           || (node->kind != LLM_SCALAR && node->n == 0);
}


int
llm_yaml_true(llm_node_t *node)
{
    return llm_yaml_word(node, " true True TRUE yes Yes YES on On ON ");
}


static int
llm_yaml_word(llm_node_t *node, const char *words)
{
    const char  *p;

    if (node->kind != LLM_SCALAR || !node->plain || !*node->text
        || strchr(node->text, ' '))
    {
        return 0;
    }

    p = strstr(words, llm_format(" %s ", node->text));

    return p != NULL;
}


void
llm_warn(llm_node_t *node, const char *fmt, ...)
{
    char           *text;
    size_t          i, k;
    va_list         args;
    llm_warning_t  *warning;

    va_start(args, fmt);

    if (vasprintf(&text, fmt, args) == -1) {
        text = "out of memory";
    }

    va_end(args);

    warning = NULL;

    for (i = 0; i < llm_nwarnings; i++) {
        if (strcmp(llm_warnings[i]->text, text) == 0) {
            warning = llm_warnings[i];
            break;
        }
    }

    if (warning == NULL) {
        warning = llm_alloc(sizeof(llm_warning_t));
        warning->text = text;

        llm_push(&llm_warnings, &llm_nwarnings, warning);
    }

    /* an alias brings the same line again */

    for (k = 0; k < warning->n; k++) {
        if (warning->lines[k] == node->line) {
            return;
        }
    }

    warning->lines = realloc(warning->lines, (warning->n + 1) * sizeof(int));

    if (warning->lines == NULL) {
        exit(1);
    }

    warning->lines[warning->n++] = node->line;
}


/* in the order of the file */

void
llm_warn_flush(void)
{
    size_t          i, k;
    llm_warning_t  *warning;

    for (i = 1; i < llm_nwarnings; i++) {
        warning = llm_warnings[i];

        for (k = i; k > 0; k--) {
            if (llm_warnings[k - 1]->lines[0] <= warning->lines[0]) {
                break;
            }

            llm_warnings[k] = llm_warnings[k - 1];
        }

        llm_warnings[k] = warning;
    }

    for (i = 0; i < llm_nwarnings; i++) {
        warning = llm_warnings[i];

        fprintf(stderr, "%s:%d: warning: %s", llm_yaml_path,
                warning->lines[0], warning->text);

        for (k = 1; k < warning->n; k++) {
            fprintf(stderr, "%s%d", (k == 1) ? " (also in line " : ", ",
                    warning->lines[k]);
        }

        fprintf(stderr, "%s\n", (warning->n > 1) ? ")" : "");
    }
}


void
llm_fail(llm_node_t *node, const char *fmt, ...)
{
    va_list  args;

    fprintf(stderr, "%s:%d:%d: ", llm_yaml_path, node->line, node->column);

    va_start(args, fmt);
    (void) vfprintf(stderr, fmt, args);
    va_end(args);

    fputc('\n', stderr);

    exit(1);
}


void *
llm_alloc(size_t size)
{
    void  *p;

    p = calloc(1, size);

    if (p == NULL) {
        fprintf(stderr, "%s: out of memory\n", llm_yaml_path);
        exit(1);
    }

    return p;
}


char *
llm_format(const char *fmt, ...)
{
    int      n;
    char    *text;
    va_list  args;

    va_start(args, fmt);
    n = vasprintf(&text, fmt, args);
    va_end(args);

    if (n == -1) {
        fprintf(stderr, "%s: out of memory\n", llm_yaml_path);
        exit(1);
    }

    return text;
}


/* the address of a list of pointers, which grows by doubling */

void
llm_push(void *list, size_t *n, void *item)
{
    void  ***items = list;

    if ((*n & (*n - 1)) == 0) {
        *items = realloc(*items, (*n ? 2 * *n : 1) * sizeof(void *));

        if (*items == NULL) {
            fprintf(stderr, "%s: out of memory\n", llm_yaml_path);
            exit(1);
        }
    }

    (*items)[(*n)++] = item;
}
