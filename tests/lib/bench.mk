# Programs that benchmarks run: each tests/bench/*.cpp, on libpaysync as it is installed.

bench_programs := $(patsubst tests/bench/%.cpp,$(BUILD)/bench/bin/%,$(sort $(wildcard tests/bench/*.cpp)))

.PHONY: bench-programs
bench-programs: $(bench_programs)

$(bench_programs): $(BUILD)/bench/bin/%: $(BUILD)/obj/plain/tests/bench/%.o $(BUILD)/lib/libpaysync.a
	@mkdir -p $(@D)
	$(call link,$@) $(CXX) $(link_flags) $(LDFLAGS) -o $@ $^ $(pkg_libs)

-include $(patsubst %.o,%.d,$(call objects,plain,$(sort $(wildcard tests/bench/*.cpp))))
