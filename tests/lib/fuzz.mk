# Fuzzing: each tests/fuzz/*.cpp is a libFuzzer program (clang, AddressSanitizer, UndefinedBehaviorSanitizer).
# `make fuzz` runs every one for SECONDS= (60) from SEED= (0: by the clock), starting from tests/fuzz/corpus/NAME where that exists.
# Inputs found go to build/fuzz/corpus, inputs that crash to build/fuzz/crash-*; the first crash ends the run.

fuzz_sources := $(sort $(wildcard tests/fuzz/*.cpp))
fuzz_names := $(patsubst tests/fuzz/%.cpp,%,$(fuzz_sources))
fuzz_seconds = $(or $(SECONDS),60)

.PHONY: fuzz fuzz-programs
fuzz-programs: $(fuzz_names:%=$(BUILD)/fuzz/%)

fuzz: fuzz-programs
	@for name in $(fuzz_names); do \
		mkdir -p $(BUILD)/fuzz/corpus/$$name; \
		seeds=tests/fuzz/corpus/$$name; test -d $$seeds || seeds=; \
		echo "fuzz $$name for $(fuzz_seconds) s"; \
		$(BUILD)/fuzz/$$name -max_total_time=$(fuzz_seconds) -seed=$(or $(SEED),0) -max_len=65536 -rss_limit_mb=2048 \
			-timeout=10 -print_final_stats=1 -artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/corpus/$$name $$seeds \
			> $(BUILD)/fuzz/$$name.log 2>&1 || { tail -n 40 $(BUILD)/fuzz/$$name.log; exit 1; }; \
		grep -E 'number_of_executed_units|average_exec_per_sec' $(BUILD)/fuzz/$$name.log; \
	done

$(BUILD)/fuzz/lib/libpaysync.a: $(call objects,fuzz,$(libpaysync_sources))
$(BUILD)/fuzz/lib/librelay.a: $(call objects,fuzz,$(filter-out relay/main.cpp,$(relay_sources)))
$(BUILD)/fuzz/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call link,$@) $(AR) rcs $@ $^

$(fuzz_names:%=$(BUILD)/fuzz/%): $(BUILD)/fuzz/%: $(BUILD)/obj/fuzz/tests/fuzz/%.o $(BUILD)/fuzz/lib/librelay.a $(BUILD)/fuzz/lib/libpaysync.a
	$(call link,$@) $(FUZZ_CXX) -pthread -fsanitize=fuzzer,address,undefined $(LDFLAGS) -o $@ $^ $(pkg_libs)

.SECONDARY: $(call objects,fuzz,$(fuzz_sources))
