
/*
 * Copyright (C) the NGINX LLM balancer authors
 */


#include "ngx_http_llm_catalog.h"


/* the admin and billing trees of the providers are left out of every list */

static const char  ngx_http_llm_roots_openai[] =
    "chat completions responses embeddings images audio "
    "moderations models files uploads batches fine_tuning "
    "vector_stores assistants threads conversations "
    "containers videos realtime evals rerank";

static const char  ngx_http_llm_roots_compat[] =
    "chat completions responses embeddings images audio "
    "moderations models files batches rerank videos realtime";

static const char  ngx_http_llm_roots_chat[] =
    "chat";

static const char  ngx_http_llm_roots_gemini_compat[] =
    "chat embeddings images models files batches";

static const char  ngx_http_llm_roots_gemini[] =
    "models tunedModels files cachedContents batches "
    "operations fileSearchStores interactions";

static const char  ngx_http_llm_roots_gemini_files[] =
    "files fileSearchStores";

static const char  ngx_http_llm_roots_mistral[] =
    "chat fim agents completions conversations embeddings "
    "moderations classifications ocr audio files batch "
    "fine_tuning models libraries";

static const char  ngx_http_llm_roots_codestral[] =
    "chat fim";

static const char  ngx_http_llm_roots_openrouter[] =
    "chat completions responses embeddings models key "
    "credits generation";

static const char  ngx_http_llm_roots_anthropic[] =
    "messages complete models files skills";

static const char  ngx_http_llm_roots_messages[] =
    "messages";

static const char  ngx_http_llm_roots_balance[] =
    "balance";

static const char  ngx_http_llm_roots_completions[] =
    "completions";

static const char  ngx_http_llm_roots_perplexity[] =
    "chat async search";

static const char  ngx_http_llm_roots_cohere_compat[] =
    "chat embeddings";

static const char  ngx_http_llm_roots_cohere[] =
    "chat embed rerank classify tokenize detokenize models";

static const char  ngx_http_llm_roots_inference[] =
    "inference";

static const char  ngx_http_llm_roots_moonshot[] =
    "chat completions embeddings models files users "
    "tokenizers";

static const char  ngx_http_llm_roots_dashscope[] =
    "services tasks";

static const char  ngx_http_llm_roots_vercel[] =
    "chat completions embeddings models credits images";

static const char  ngx_http_llm_roots_ollama[] =
    "chat generate embed embeddings tags show ps version";

static const char  ngx_http_llm_roots_vllm[] =
    "tokenize detokenize score rerank pooling classify";


const ngx_http_llm_auth_form_t  ngx_http_llm_auth_bearer = {
    ngx_string("Authorization"), ngx_string("Bearer ")
};

static const ngx_http_llm_auth_form_t  ngx_http_llm_auth_api_key = {
    ngx_string("api-key"), ngx_null_string
};

static const ngx_http_llm_auth_form_t  ngx_http_llm_auth_x_api_key = {
    ngx_string("x-api-key"), ngx_null_string
};

static const ngx_http_llm_auth_form_t  ngx_http_llm_auth_goog = {
    ngx_string("x-goog-api-key"), ngx_null_string
};


static const ngx_http_llm_provider_t  ngx_http_llm_catalog[] = {

    {
        .name = ngx_string("openai"),
        .keys = "OPENAI_API_KEYS OPENAI_API_KEY",
        .bases = "OPENAI_BASE_URL OPENAI_API_BASE",
        .base = ngx_string("https://api.openai.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_openai }
        },
        .globs = "gpt-* chatgpt-* o1* o3* o4* ft:* text-embedding-3-* "
                 "text-embedding-ada-* text-moderation-* "
                 "omni-moderation-* dall-e-* whisper-* tts-* davinci-* "
                 "babbage-* codex-* computer-use-* sora-*",
        .models = "gpt-5 gpt-5-mini gpt-5-nano gpt-4.1 gpt-4.1-mini gpt-4o "
                  "gpt-4o-mini o3 o4-mini text-embedding-3-large "
                  "text-embedding-3-small gpt-4o-transcribe whisper-1 "
                  "gpt-4o-mini-tts gpt-realtime",
        .metadata = NGX_HTTP_LLM_METADATA_STORED
    },

    {
        .name = ngx_string("gemini"),
        .aliases = "google",
        .keys = "GEMINI_API_KEYS GOOGLE_API_KEYS GOOGLE_API_KEY "
                "GEMINI_API_KEY",
        .bases = "GEMINI_API_BASE",
        .base = ngx_string("https://generativelanguage.googleapis.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1beta/openai"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_gemini_compat },
            { NGX_HTTP_LLM_GEMINI, ngx_string("/v1beta"),
              &ngx_http_llm_auth_goog, ngx_http_llm_roots_gemini },
            { NGX_HTTP_LLM_NATIVE, ngx_string("/upload/v1beta"),
              &ngx_http_llm_auth_goog, ngx_http_llm_roots_gemini_files },
            { NGX_HTTP_LLM_NATIVE, ngx_string("/download/v1beta"),
              &ngx_http_llm_auth_goog, ngx_http_llm_roots_gemini_files }
        },
        .globs = "gemini-* gemma-* imagen-* veo-* learnlm-* embedding-001 "
                 "text-embedding-004 text-embedding-005 aqa",
        .models = "gemini-2.5-pro gemini-2.5-flash gemini-2.5-flash-lite "
                  "gemini-2.0-flash gemini-1.5-pro gemini-1.5-flash "
                  "gemini-embedding-001",
        .metadata = NGX_HTTP_LLM_METADATA_NONE,
        .rooted = 1
    },

    {
        .name = ngx_string("mistral"),
        .aliases = "mistralai",
        .keys = "MISTRAL_API_KEYS MISTRAL_API_KEY",
        .bases = "MISTRAL_AZURE_API_BASE MISTRAL_API_BASE",
        .base = ngx_string("https://api.mistral.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_mistral }
        },
        .globs = "mistral-* open-mistral-* open-mixtral-* codestral-* "
                 "ministral-* pixtral-* devstral-* magistral-* voxtral-* "
                 "ag:*",
        .models = "mistral-large-latest mistral-medium-latest "
                  "mistral-small-latest codestral-latest "
                  "devstral-medium-latest magistral-medium-latest "
                  "pixtral-large-latest mistral-embed",
        .rooted = 1
    },

    {
        .name = ngx_string("openrouter"),
        .keys = "OPENROUTER_API_KEYS OPENROUTER_API_KEY OR_API_KEY",
        .bases = "OPENROUTER_API_BASE",
        .base = ngx_string("https://openrouter.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/api/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_openrouter }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("anthropic"),
        .keys = "ANTHROPIC_API_KEYS ANTHROPIC_API_KEY",
        .bases = "ANTHROPIC_API_BASE ANTHROPIC_BASE_URL",
        .base = ngx_string("https://api.anthropic.com"),
        .doors = {
            { NGX_HTTP_LLM_ANTHROPIC, ngx_string("/v1"),
              &ngx_http_llm_auth_x_api_key, ngx_http_llm_roots_anthropic },
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_chat }
        },
        .header = ngx_string("anthropic-version"),
        .value = ngx_string("2023-06-01"),
        .globs = "claude-*",
        .models = "claude-opus-4-1 claude-sonnet-4-5 claude-haiku-4-5 "
                  "claude-3-7-sonnet-latest claude-3-5-haiku-latest",
        .rooted = 1
    },

    {
        .name = ngx_string("azure"),
        .aliases = "azure_openai",
        .keys = "AZURE_API_KEYS AZURE_API_KEY",
        .bases = "AZURE_API_BASE",
        .doors = {
            { NGX_HTTP_LLM_NATIVE, ngx_string("/openai/deployments"),
              &ngx_http_llm_auth_api_key, NULL },
            { NGX_HTTP_LLM_OPENAI, ngx_string("/openai/v1"),
              &ngx_http_llm_auth_api_key, ngx_http_llm_roots_openai }
        },
        .metadata = NGX_HTTP_LLM_METADATA_STORED,
        .rooted = 1
    },

    {
        .name = ngx_string("groq"),
        .keys = "GROQ_API_KEYS GROQ_API_KEY",
        .bases = "GROQ_API_BASE",
        .base = ngx_string("https://api.groq.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/openai/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .globs = "gemma2-9b-it compound-* distil-whisper-*",
        .models = "llama-3.3-70b-versatile llama-3.1-8b-instant "
                  "gemma2-9b-it whisper-large-v3 whisper-large-v3-turbo"
    },

    {
        .name = ngx_string("deepseek"),
        .keys = "DEEPSEEK_API_KEYS DEEPSEEK_API_KEY",
        .bases = "DEEPSEEK_API_BASE",
        .base = ngx_string("https://api.deepseek.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat },
            { NGX_HTTP_LLM_ANTHROPIC, ngx_string("/anthropic/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_messages },
            { NGX_HTTP_LLM_NATIVE, ngx_string("/user"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_balance },
            { NGX_HTTP_LLM_NATIVE, ngx_string("/beta"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_completions }
        },
        .globs = "deepseek-*",
        .models = "deepseek-chat deepseek-reasoner"
    },

    {
        .name = ngx_string("xai"),
        .aliases = "grok",
        .keys = "XAI_API_KEYS XAI_API_KEY",
        .bases = "XAI_API_BASE",
        .base = ngx_string("https://api.x.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .globs = "grok-*",
        .models = "grok-4 grok-3 grok-3-mini grok-code-fast-1"
    },

    {
        .name = ngx_string("together_ai"),
        .aliases = "together",
        .keys = "TOGETHER_AI_API_KEYS TOGETHER_API_KEYS "
                "TOGETHERAI_API_KEYS TOGETHER_API_KEY "
                "TOGETHER_AI_API_KEY TOGETHERAI_API_KEY "
                "TOGETHER_AI_TOKEN",
        .bases = "TOGETHER_AI_API_BASE TOGETHER_API_BASE",
        .base = ngx_string("https://api.together.xyz"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("fireworks_ai"),
        .aliases = "fireworks",
        .keys = "FIREWORKS_AI_API_KEYS FIREWORKS_API_KEYS "
                "FIREWORKSAI_API_KEYS FIREWORKS_API_KEY "
                "FIREWORKS_AI_API_KEY FIREWORKSAI_API_KEY "
                "FIREWORKS_AI_TOKEN",
        .bases = "FIREWORKS_API_BASE FIREWORKS_AI_API_BASE",
        .base = ngx_string("https://api.fireworks.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/inference/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .globs = "accounts/fireworks/*"
    },

    {
        .name = ngx_string("perplexity"),
        .keys = "PERPLEXITY_API_KEYS PERPLEXITYAI_API_KEYS "
                "PERPLEXITYAI_API_KEY PERPLEXITY_API_KEY",
        .bases = "PERPLEXITY_API_BASE",
        .base = ngx_string("https://api.perplexity.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string(""),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_perplexity }
        },
        .globs = "sonar*",
        .models = "sonar sonar-pro sonar-reasoning sonar-deep-research"
    },

    {
        .name = ngx_string("cerebras"),
        .keys = "CEREBRAS_API_KEYS CEREBRAS_API_KEY",
        .bases = "CEREBRAS_API_BASE",
        .base = ngx_string("https://api.cerebras.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .models = "llama3.1-8b"
    },

    {
        .name = ngx_string("cohere"),
        .aliases = "cohere_chat",
        .keys = "COHERE_API_KEYS CO_API_KEYS COHERE_API_KEY CO_API_KEY",
        .bases = "COHERE_API_BASE",
        .base = ngx_string("https://api.cohere.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/compatibility/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_cohere_compat },
            { NGX_HTTP_LLM_NATIVE, ngx_string("/v2"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_cohere },
            { NGX_HTTP_LLM_NATIVE, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_cohere }
        },
        .globs = "command-* embed-* rerank-* c4ai-*",
        .models = "command-a-03-2025 command-r-plus-08-2024 embed-v4.0 "
                  "rerank-v3.5",
        .rooted = 1
    },

    {
        .name = ngx_string("nvidia_nim"),
        .aliases = "nvidia",
        .keys = "NVIDIA_NIM_API_KEYS NVIDIA_API_KEYS NVIDIA_NIM_API_KEY",
        .bases = "NVIDIA_NIM_API_BASE",
        .base = ngx_string("https://integrate.api.nvidia.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("sambanova"),
        .keys = "SAMBANOVA_API_KEYS SAMBANOVA_API_KEY",
        .bases = "SAMBANOVA_API_BASE",
        .base = ngx_string("https://api.sambanova.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        }
    },

    {
        .name = ngx_string("deepinfra"),
        .keys = "DEEPINFRA_API_KEYS DEEPINFRA_API_KEY",
        .bases = "DEEPINFRA_API_BASE",
        .base = ngx_string("https://api.deepinfra.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1/openai"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat },
            { NGX_HTTP_LLM_NATIVE, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_inference }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("huggingface"),
        .aliases = "hf",
        .keys = "HUGGINGFACE_API_KEYS HF_TOKENS HF_TOKEN "
                "HUGGINGFACE_API_KEY",
        .bases = "HUGGINGFACE_API_BASE",
        .base = ngx_string("https://router.huggingface.co"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("moonshot"),
        .aliases = "kimi",
        .keys = "MOONSHOT_API_KEYS MOONSHOT_API_KEY",
        .bases = "MOONSHOT_API_BASE",
        .base = ngx_string("https://api.moonshot.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_moonshot },
            { NGX_HTTP_LLM_ANTHROPIC, ngx_string("/anthropic/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_messages }
        },
        .globs = "kimi-* moonshot-*",
        .models = "kimi-k2-turbo-preview moonshot-v1-128k"
    },

    {
        .name = ngx_string("zai"),
        .aliases = "zhipu",
        .keys = "ZAI_API_KEYS ZAI_API_KEY",
        .bases = "ZAI_API_BASE",
        .base = ngx_string("https://api.z.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/api/paas/v4"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat },
            { NGX_HTTP_LLM_ANTHROPIC, ngx_string("/api/anthropic/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_messages }
        },
        .globs = "glm-*",
        .models = "glm-4.6 glm-4.5-air"
    },

    {
        .name = ngx_string("dashscope"),
        .aliases = "qwen",
        .keys = "DASHSCOPE_API_KEYS DASHSCOPE_API_KEY",
        .bases = "DASHSCOPE_API_BASE",
        .base = ngx_string("https://dashscope.aliyuncs.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/compatible-mode/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat },
            { NGX_HTTP_LLM_NATIVE, ngx_string("/api/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_dashscope }
        },
        .globs = "qwen-* qwen3-* qwq-* qvq-*",
        .models = "qwen-max qwen-plus qwen-turbo"
    },

    {
        .name = ngx_string("minimax"),
        .keys = "MINIMAX_API_KEYS MINIMAX_API_KEY",
        .bases = "MINIMAX_API_BASE",
        .base = ngx_string("https://api.minimax.io"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat },
            { NGX_HTTP_LLM_ANTHROPIC, ngx_string("/anthropic/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_messages }
        },
        .globs = "MiniMax-* abab*",
        .models = "MiniMax-M2"
    },

    {
        .name = ngx_string("novita"),
        .keys = "NOVITA_API_KEYS NOVITA_API_KEY",
        .bases = "NOVITA_API_BASE",
        .base = ngx_string("https://api.novita.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v3/openai"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("hyperbolic"),
        .keys = "HYPERBOLIC_API_KEYS HYPERBOLIC_API_KEY",
        .bases = "HYPERBOLIC_API_BASE",
        .base = ngx_string("https://api.hyperbolic.xyz"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("nebius"),
        .keys = "NEBIUS_API_KEYS NEBIUS_API_KEY",
        .bases = "NEBIUS_API_BASE",
        .base = ngx_string("https://api.studio.nebius.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("vercel_ai_gateway"),
        .aliases = "vercel",
        .keys = "VERCEL_AI_GATEWAY_API_KEYS VERCEL_AI_GATEWAY_API_KEY "
                "VERCEL_OIDC_TOKEN",
        .bases = "VERCEL_AI_GATEWAY_API_BASE",
        .base = ngx_string("https://ai-gateway.vercel.sh"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_vercel }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("github"),
        .aliases = "github_models",
        .keys = "GITHUB_API_KEYS GITHUB_API_KEY",
        .bases = "GITHUB_API_BASE",
        .base = ngx_string("https://models.github.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/inference"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("ollama"),
        .aliases = "ollama_chat",
        .keys = "OLLAMA_API_KEYS OLLAMA_API_KEY",
        .bases = "OLLAMA_API_BASE",
        .base = ngx_string("http://localhost:11434"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat },
            { NGX_HTTP_LLM_NATIVE, ngx_string("/api"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_ollama }
        },
        .rooted = 1,
        .keyless = 1
    },

    {
        .name = ngx_string("hosted_vllm"),
        .aliases = "vllm",
        .keys = "HOSTED_VLLM_API_KEYS HOSTED_VLLM_API_KEY",
        .bases = "HOSTED_VLLM_API_BASE",
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat },
            { NGX_HTTP_LLM_NATIVE, ngx_string(""),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_vllm }
        },
        .keyless = 1
    },

    {
        .name = ngx_string("lm_studio"),
        .aliases = "lmstudio",
        .keys = "LM_STUDIO_API_KEYS LM_STUDIO_API_KEY",
        .bases = "LM_STUDIO_API_BASE",
        .base = ngx_string("http://localhost:1234"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .keyless = 1
    },

    {
        .name = ngx_string("litellm_proxy"),
        .keys = "LITELLM_PROXY_API_KEYS LITELLM_PROXY_API_KEY",
        .bases = "LITELLM_PROXY_API_BASE",
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_openai },
            { NGX_HTTP_LLM_ANTHROPIC, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_messages },
            { NGX_HTTP_LLM_GEMINI, ngx_string("/v1beta"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_gemini }
        },
        .rooted = 1,
        .keyless = 1
    },

    {
        .name = ngx_string("meta_llama"),
        .aliases = "llama",
        .keys = "META_LLAMA_API_KEYS LLAMA_API_KEYS LLAMA_API_KEY",
        .bases = "LLAMA_API_BASE META_LLAMA_API_BASE",
        .base = ngx_string("https://api.llama.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/compat/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .globs = "Llama-*"
    },

    {
        .name = ngx_string("ai21_chat"),
        .aliases = "ai21",
        .keys = "AI21_API_KEYS AI21_CHAT_API_KEYS AI21_API_KEY",
        .bases = "AI21_API_BASE AI21_CHAT_API_BASE",
        .base = ngx_string("https://api.ai21.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/studio/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .globs = "jamba-*",
        .models = "jamba-large jamba-mini"
    },

    {
        .name = ngx_string("friendliai"),
        .aliases = "friendli",
        .keys = "FRIENDLIAI_API_KEYS FRIENDLIAI_API_KEY FRIENDLI_TOKEN",
        .bases = "FRIENDLI_API_BASE FRIENDLIAI_API_BASE",
        .base = ngx_string("https://api.friendli.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/serverless/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        }
    },

    {
        .name = ngx_string("volcengine"),
        .aliases = "ark",
        .keys = "VOLCENGINE_API_KEYS VOLCENGINE_API_KEY",
        .bases = "VOLCENGINE_API_BASE",
        .base = ngx_string("https://ark.cn-beijing.volces.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/api/v3"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .globs = "doubao-*"
    },

    {
        .name = ngx_string("codestral"),
        .keys = "CODESTRAL_API_KEYS CODESTRAL_API_KEY",
        .bases = "CODESTRAL_API_BASE",
        .base = ngx_string("https://codestral.mistral.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_codestral }
        },
        .globs = "codestral-*",
        .rooted = 1
    },

    {
        .name = ngx_string("scaleway"),
        .keys = "SCALEWAY_API_KEYS SCW_SECRET_KEYS SCW_SECRET_KEY",
        .bases = "SCALEWAY_API_BASE",
        .base = ngx_string("https://api.scaleway.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        }
    },

    {
        .name = ngx_string("chutes"),
        .keys = "CHUTES_API_KEYS CHUTES_API_KEY",
        .bases = "CHUTES_API_BASE",
        .base = ngx_string("https://llm.chutes.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("poe"),
        .keys = "POE_API_KEYS POE_API_KEY",
        .bases = "POE_API_BASE",
        .base = ngx_string("https://api.poe.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        }
    },

    {
        .name = ngx_string("nano-gpt"),
        .aliases = "nanogpt",
        .keys = "NANO_GPT_API_KEYS NANOGPT_API_KEYS NANOGPT_API_KEY",
        .bases = "NANOGPT_API_BASE NANO_GPT_API_BASE",
        .base = ngx_string("https://nano-gpt.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/api/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        }
    },

    {
        .name = ngx_string("veniceai"),
        .aliases = "venice",
        .keys = "VENICEAI_API_KEYS VENICE_AI_API_KEYS VENICE_AI_API_KEY",
        .bases = "VENICE_AI_API_BASE VENICEAI_API_BASE",
        .base = ngx_string("https://api.venice.ai"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/api/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        }
    },

    {
        .name = ngx_string("publicai"),
        .keys = "PUBLICAI_API_KEYS PUBLICAI_API_KEY",
        .bases = "PUBLICAI_API_BASE",
        .base = ngx_string("https://api.publicai.co"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        },
        .vendors = 1
    },

    {
        .name = ngx_string("aihubmix"),
        .keys = "AIHUBMIX_API_KEYS AIHUBMIX_API_KEY",
        .bases = "AIHUBMIX_API_BASE",
        .base = ngx_string("https://aihubmix.com"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_compat }
        }
    },

    {
        .name = ngx_string("custom"),
        .doors = {
            { NGX_HTTP_LLM_OPENAI, ngx_string("/v1"),
              &ngx_http_llm_auth_bearer, ngx_http_llm_roots_openai }
        },
        .keyless = 1
    }
};


#define NGX_HTTP_LLM_CATALOG_LEN                                              \
    (sizeof(ngx_http_llm_catalog) / sizeof(ngx_http_llm_provider_t))


const ngx_http_llm_provider_t *
ngx_http_llm_catalog_entry(ngx_uint_t i)
{
    return (i < NGX_HTTP_LLM_CATALOG_LEN) ? &ngx_http_llm_catalog[i] : NULL;
}


const ngx_http_llm_provider_t *
ngx_http_llm_catalog_find(ngx_str_t *name)
{
    ngx_uint_t  i;

    for (i = 0; i < NGX_HTTP_LLM_CATALOG_LEN; i++) {
        if (ngx_http_llm_catalog_named(&ngx_http_llm_catalog[i], name)) {
            return &ngx_http_llm_catalog[i];
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_llm_catalog_named(const ngx_http_llm_provider_t *provider,
    ngx_str_t *name)
{
    if (provider->name.len == name->len
        && ngx_strncmp(provider->name.data, name->data, name->len) == 0)
    {
        return 1;
    }

    return ngx_http_llm_catalog_has(provider->aliases, name);
}


ngx_uint_t
ngx_http_llm_catalog_word(const char **list, ngx_str_t *word)
{
    const char  *p;

    p = *list;

    if (p == NULL || *p == '\0') {
        return 0;
    }

    word->data = (u_char *) p;

    while (*p && *p != ' ') {
        p++;
    }

    word->len = (u_char *) p - word->data;

    while (*p == ' ') {
        p++;
    }

    *list = p;

    return 1;
}


ngx_uint_t
ngx_http_llm_catalog_has(const char *list, ngx_str_t *text)
{
    ngx_str_t  word;

    while (ngx_http_llm_catalog_word(&list, &word)) {
        if (word.len == text->len
            && ngx_strncmp(word.data, text->data, text->len) == 0)
        {
            return 1;
        }
    }

    return 0;
}


ngx_uint_t
ngx_http_llm_glob(ngx_str_t *pattern, ngx_str_t *text)
{
    size_t  p, t, star, mark;

    p = 0;
    t = 0;
    star = pattern->len;
    mark = 0;

    /* after a mismatch the last star takes one more character */

    while (t < text->len) {

        if (p < pattern->len && pattern->data[p] == '*') {
            star = p++;
            mark = t;

        } else if (p < pattern->len && pattern->data[p] == text->data[t]) {
            p++;
            t++;

        } else if (star != pattern->len) {
            p = star + 1;
            t = ++mark;

        } else {
            return 0;
        }
    }

    while (p < pattern->len && pattern->data[p] == '*') {
        p++;
    }

    return p == pattern->len;
}


size_t
ngx_http_llm_catalog_knows(const ngx_http_llm_provider_t *provider,
    ngx_str_t *model)
{
    size_t       best;
    ngx_str_t    glob;
    const char  *list;

    if (ngx_http_llm_catalog_has(provider->models, model)) {
        return model->len + 1;
    }

    best = 0;
    list = provider->globs;

    while (ngx_http_llm_catalog_word(&list, &glob)) {
        if (glob.len > best && ngx_http_llm_glob(&glob, model)) {
            best = glob.len;
        }
    }

    return best;
}
