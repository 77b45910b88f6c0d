NGINX_SRC ?= /usr/share/nginx/src
OBJS = $(CURDIR)/objs
MODULE = $(OBJS)/ngx_http_llm_balancer_module.so

CC_OPT = -g -O2 -Wall -Wextra -Werror -fPIC
LD_OPT = -fPIC

BUILD_PACKAGES = gcc libc6-dev make nginx nginx-dev libyajl-dev ca-certificates

SOURCES = config ngx_http_llm_balancer_module.c \
	$(wildcard src/*.c) $(wildcard src/*.h)


.PHONY: all build run test clean packages test-packages

all: build


build: packages $(MODULE) $(OBJS)/llm-entrypoint


# what a fresh machine lacks; does nothing when all of it is there

packages:
	@.ci/packages $(BUILD_PACKAGES)


$(OBJS)/Makefile: config | packages
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


$(OBJS)/llm-entrypoint: docker/entrypoint.c src/ngx_http_llm_catalog.c \
		src/ngx_http_llm_catalog.h $(OBJS)/Makefile
	@cd $(NGINX_SRC) && gcc -g -O2 -Wall -Wextra -Werror \
		-Wno-unused-parameter -I src/core -I src/event -I src/os/unix \
		-I $(OBJS) -o $@ $(CURDIR)/docker/entrypoint.c \
		$(CURDIR)/src/ngx_http_llm_catalog.c


run: build
	@mkdir -p run
	@exec $(OBJS)/llm-entrypoint conf.d run $(MODULE)


clean:
	rm -rf $(OBJS) run
