# The relay: build/bin/paysync-relay.

.PHONY: relay install-relay
relay: $(BUILD)/bin/paysync-relay

$(BUILD)/bin/paysync-relay: $(call objects,plain,$(relay_sources) $(wire_sources))
	@mkdir -p $(@D)
	$(call link,$@) $(CXX) $(link_flags) $(LDFLAGS) -o $@ $^ $(pkg_libs)

install-relay: relay
	install -D -m 755 $(BUILD)/bin/paysync-relay $(DESTDIR)$(prefix)/bin/paysync-relay
