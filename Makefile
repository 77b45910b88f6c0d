NGINX_SRC ?= /usr/share/nginx/src
OBJS = $(CURDIR)/objs
MODULE = $(OBJS)/ngx_http_llm_balancer_module.so
UNIT = $(OBJS)/unit/ngx_llm_unit_module.so

CC_OPT = -g -O2 -Wall -Wextra -Werror -fPIC
LD_OPT = -fPIC

BUILD_PACKAGES = gcc libc6-dev make nginx nginx-dev libyajl-dev libyaml-dev \
	ca-certificates
TEST_PACKAGES = perl procps curl openssl git valgrind python3 python3-venv \
	node=nodejs npm=npm promtool=prometheus

SOURCES = config ngx_http_llm_balancer_module.c \
	$(wildcard src/*.c) $(wildcard src/*.h)

ENTRYPOINT = $(addprefix docker/,entrypoint.c flags.c convert.c demo.c port.c \
	serve.c settings.c) src/ngx_http_llm_catalog.c

.PHONY: all build run test unit sdk clients harvest image clean packages \
	test-packages

all: build


build: packages $(MODULE) $(OBJS)/llm-entrypoint $(OBJS)/llm-config


# what a fresh machine lacks; does nothing when all of it is there

packages:
	@.ci/packages $(BUILD_PACKAGES)


test-packages:
	@.ci/packages $(BUILD_PACKAGES) $(TEST_PACKAGES)


$(OBJS)/Makefile: config src/status.html | packages
	@mkdir -p $(OBJS)
	@echo "configuring for $$(nginx -v 2>&1 || /usr/sbin/nginx -v 2>&1)"
	@cd $(NGINX_SRC) && bash -c '. ./conf_flags; ./configure \
		--with-cc-opt="$(CC_OPT)" --with-ld-opt="$(LD_OPT)" \
		"$${NGX_CONF_FLAGS[@]}" \
		--add-dynamic-module=$(CURDIR) --builddir=$(OBJS)' \
		> $(OBJS).configure.log 2>&1 \
		|| { cat $(OBJS).configure.log; rm -f $(OBJS).configure.log; \
		     exit 1; }
	@mv $(OBJS).configure.log $(OBJS)/configure.log


$(MODULE): $(SOURCES) $(OBJS)/Makefile
	@echo "building the module"
	@$(MAKE) -s -f $(OBJS)/Makefile -C $(NGINX_SRC) modules


$(OBJS)/llm-entrypoint: $(ENTRYPOINT) docker/start.h \
		src/ngx_http_llm_catalog.h $(OBJS)/Makefile
	@cd $(NGINX_SRC) && gcc -g -O2 -Wall -Wextra -Werror \
		-Wno-unused-parameter -I src/core -I src/event \
		-I src/event/modules -I src/event/quic -I src/os/unix \
		-I $(OBJS) -o $@ $(addprefix $(CURDIR)/,$(ENTRYPOINT))


CONFIG_SOURCES = $(addprefix $(CURDIR)/docker/,llm_config.c llm_entry.c \
	llm_print.c llm_rule.c llm_settings.c llm_yaml.c) $(CURDIR)/src/ngx_http_llm_catalog.c

$(OBJS)/llm-config: $(CONFIG_SOURCES) docker/llm_settings.h docker/llm_yaml.h \
		src/ngx_http_llm_catalog.h $(OBJS)/Makefile
	@cd $(NGINX_SRC) && gcc -g -O2 -Wall -Wextra -Werror \
		-Wno-unused-parameter -I src/core -I src/event \
		-I src/event/modules -I src/event/quic -I src/os/unix \
		-I $(OBJS) -o $@ $(CONFIG_SOURCES) -lyaml -lm


# tests of single rooms, as a module

unit: $(UNIT)


$(OBJS)/unit/Makefile: t/unit/config $(OBJS)/Makefile
	@mkdir -p $(OBJS)/unit
	@cd $(NGINX_SRC) && bash -c '. ./conf_flags; ./configure \
		--with-cc-opt="$(CC_OPT)" --with-ld-opt="$(LD_OPT)" \
		"$${NGX_CONF_FLAGS[@]}" --add-dynamic-module=$(CURDIR)/t/unit \
		--builddir=$(OBJS)/unit' > $(OBJS)/unit.log 2>&1 \
		|| { cat $(OBJS)/unit.log; exit 1; }


$(UNIT): $(SOURCES) $(wildcard t/unit/*) $(OBJS)/unit/Makefile
	@echo "building the unit tests"
	@$(MAKE) -s -f $(OBJS)/unit/Makefile -C $(NGINX_SRC) modules


# real clients, in folders of their own

$(OBJS)/sdk/.python: t/sdk/requirements.txt
	@echo "installing the clients of PyPI"
	@mkdir -p $(OBJS)/sdk
	@python3 -m venv $(OBJS)/sdk/venv
	@$(OBJS)/sdk/venv/bin/pip install -q -r t/sdk/requirements.txt
	@touch $@


$(OBJS)/sdk/.node: t/sdk/package.json $(wildcard t/sdk/*.mjs)
	@echo "installing the clients of npm"
	@mkdir -p $(OBJS)/sdk
	@cp t/sdk/package.json t/sdk/*.mjs $(OBJS)/sdk
	@cd $(OBJS)/sdk && npm install --silent --no-audit --no-fund \
		--no-package-lock
	@touch $@


sdk: $(OBJS)/sdk/.python $(OBJS)/sdk/.node


# more of them, against providers that refuse what the real ones refuse:
# CLIENTS="litellm" runs some

$(OBJS)/clients/.python: t/clients/requirements.txt \
		t/clients/requirements-1.77.7.txt
	@echo "installing more clients of PyPI"
	@mkdir -p $(OBJS)/clients
	@python3 -m venv $(OBJS)/clients/venv
	@$(OBJS)/clients/venv/bin/pip install -q -r t/clients/requirements.txt
	@python3 -m venv $(OBJS)/clients/venv-1.77.7
	@$(OBJS)/clients/venv-1.77.7/bin/pip install -q \
		-r t/clients/requirements-1.77.7.txt
	@touch $@


$(OBJS)/clients/.node: t/clients/package.json
	@echo "installing more clients of npm"
	@mkdir -p $(OBJS)/clients
	@cp t/clients/package.json $(OBJS)/clients
	@cd $(OBJS)/clients && npm install --silent --no-audit --no-fund \
		--no-package-lock
	@touch $@


clients: test-packages build $(OBJS)/clients/.python $(OBJS)/clients/.node
	@cp t/clients/client.mjs $(OBJS)/clients
	@prove $(PROVE) -It/lib t/clients/


# FLAGS="--port 5000" are LiteLLM's

run: build
	@mkdir -p run
	@exec $(OBJS)/llm-entrypoint conf.d run $(MODULE) $(FLAGS)


# TESTS="t/round.t t/tls.t" runs some of them; PROVE="-v" tells more

test: test-packages build unit sdk
	@prove $(or $(PROVE),-j4) -It/lib $(or $(TESTS),t/)


# a benchmark: HARVEST="--quick --policy headroom --load 130" does less

harvest: build
	@exec python3 -B t/harvest/run.py $(HARVEST)


# ENGINE="buildah --storage-driver=vfs bud --isolation chroot" says with what

IMAGE ?= llm-balancer

image:
	@engine="$(ENGINE)"; \
	if [ "$$engine" ]; then :; \
	elif docker info >/dev/null 2>&1; then engine="docker build"; \
	elif podman info >/dev/null 2>&1; then \
		engine="podman build --format docker"; \
	elif buildah info >/dev/null 2>&1; then \
		engine="buildah bud --format docker"; \
	else \
		echo "docker, podman or buildah is needed, and none answers" >&2; \
		exit 1; \
	fi; \
	$$engine -t $(IMAGE) -f docker/Dockerfile .


clean:
	rm -rf $(OBJS) run
