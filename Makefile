build:
	mkdir -p objs
	cd /usr/share/nginx/src && bash -c '. ./conf_flags; ./configure --with-cc-opt="-g -O2 -Wall -Wextra -Werror -fPIC" --with-ld-opt="-fPIC" "$${NGX_CONF_FLAGS[@]}" --add-dynamic-module=$(CURDIR) --builddir=$(CURDIR)/objs' > $(CURDIR)/objs/configure.log
	$(MAKE) -j2 -k -f $(CURDIR)/objs/Makefile -C /usr/share/nginx/src modules
