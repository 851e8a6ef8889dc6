# libpaysync (build/lib/libpaysync.a, the wire code included, so that it links alone) and the paysync command (build/bin/paysync).

.PHONY: clients install-clients
clients: $(BUILD)/lib/libpaysync.a $(BUILD)/bin/paysync

# Removed first: ar would keep the objects of files that are gone.
$(BUILD)/lib/libpaysync.a: $(call objects,plain,$(libpaysync_sources))
	@mkdir -p $(@D)
	@rm -f $@
	$(call link,$@) $(AR) rcs $@ $^

$(BUILD)/bin/paysync: $(call objects,plain,$(cli_sources)) $(BUILD)/lib/libpaysync.a
	@mkdir -p $(@D)
	$(call link,$@) $(CXX) $(link_flags) $(LDFLAGS) -o $@ $^ $(pkg_libs)

install-clients: clients
	install -D -m 755 $(BUILD)/bin/paysync $(DESTDIR)$(prefix)/bin/paysync
	install -D -m 644 $(BUILD)/lib/libpaysync.a $(DESTDIR)$(prefix)/lib/libpaysync.a
	install -D -m 644 clients/cpp/paysync.hpp $(DESTDIR)$(prefix)/include/paysync.hpp
