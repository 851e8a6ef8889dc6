# The relay: build/bin/paysync-relay.

.PHONY: relay install-relay
relay: $(BUILD)/bin/paysync-relay

$(BUILD)/bin/paysync-relay: $(call objects,plain,$(relay_sources) $(wire_sources))
	@mkdir -p $(@D)
	$(call link,$@) $(CXX) $(link_flags) $(LDFLAGS) -o $@ $^ $(pkg_libs)

# A configuration that is there already is somebody's: it stays as it is, and the sample beside it is always the new one.
install-relay: relay
	install -D -m 755 $(BUILD)/bin/paysync-relay $(DESTDIR)$(prefix)/bin/paysync-relay
	install -D -m 644 packaging/relay.toml $(DESTDIR)$(prefix)/share/doc/paysync/relay.toml
	test -e $(DESTDIR)$(sysconfdir)/paysync/relay.toml || \
		install -D -m 644 packaging/relay.toml $(DESTDIR)$(sysconfdir)/paysync/relay.toml
	install -d $(DESTDIR)$(unitdir)
	sed 's:@prefix@:$(prefix):g; s:@sysconfdir@:$(sysconfdir):g' packaging/systemd/paysync-relay.service \
		> $(DESTDIR)$(unitdir)/paysync-relay.service
	chmod 644 $(DESTDIR)$(unitdir)/paysync-relay.service
