# Programs that benchmarks run: each tests/bench/*.cpp, on libpaysync as it is installed. They may use all of the relay but its
# main(); the archives give each program only what it names.

bench_programs := $(patsubst tests/bench/%.cpp,$(BUILD)/bench/bin/%,$(sort $(wildcard tests/bench/*.cpp)))

.PHONY: bench-programs
bench-programs: $(bench_programs) $(BUILD)/bench/lib/calls.so $(BUILD)/bench/lib/nothing.so

$(BUILD)/bench/lib/librelay.a: $(call objects,plain,$(filter-out relay/main.cpp,$(relay_sources)))
	@mkdir -p $(@D)
	@rm -f $@
	$(call link,$@) $(AR) rcs $@ $^

$(filter-out %/compression,$(bench_programs)): $(BUILD)/bench/bin/%: $(BUILD)/obj/plain/tests/bench/%.o $(BUILD)/bench/lib/librelay.a $(BUILD)/lib/libpaysync.a
	@mkdir -p $(@D)
	$(call link,$@) $(CXX) $(link_flags) $(LDFLAGS) -o $@ $^ $(pkg_libs)

# Nothing of ours is in it. The server's own method lies in the library of what server and programs share.
$(BUILD)/bench/bin/compression: $(BUILD)/obj/plain/tests/bench/compression.o
	@mkdir -p $(@D)
	$(call link,$@) $(CXX) $(link_flags) $(LDFLAGS) -o $@ $^ $(shell $(PG_CONFIG) --pkglibdir)/libpgcommon.a -llz4 -lzstd

# Loaded before libc into programs that are watched.
$(BUILD)/bench/lib/calls.so: $(BUILD)/obj/plain/tests/bench/preload/calls.o
	@mkdir -p $(@D)
	$(call link,$@) $(CXX) -shared -pthread $(LDFLAGS) -o $@ $^

# Loaded into a server, with the extension's one way to the server's headers.
$(BUILD)/bench/lib/nothing.so: tests/bench/server/nothing.cpp extension/postgres.hpp
	@mkdir -p $(@D)
	$(call link,$@) $(CXX) -std=c++17 -O2 -fPIC -fno-exceptions -fno-rtti -fvisibility=hidden '-DPGDLLEXPORT=__attribute__((visibility("default")))' \
		-isystem $(shell $(PG_CONFIG) --includedir-server) -Iextension -Wno-register $(WARNINGS) -shared $(LDFLAGS) -o $@ $<

-include $(patsubst %.o,%.d,$(call objects,plain,$(sort $(wildcard tests/bench/*.cpp))))
