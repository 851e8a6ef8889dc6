# Unit tests: each tests/unit/*.cpp is a GoogleTest program, built with AddressSanitizer and UndefinedBehaviorSanitizer.
# They may use all of wire, libpaysync and the relay but its main(); the archives give each program only what it names.

unit_sources := $(sort $(wildcard tests/unit/*.cpp))
unit_programs := $(patsubst tests/unit/%.cpp,$(BUILD)/unit/%,$(unit_sources))

.PHONY: unit-tests
unit-tests: $(unit_programs)

$(BUILD)/unit/lib/libpaysync.a: $(call objects,asan,$(libpaysync_sources))
$(BUILD)/unit/lib/librelay.a: $(call objects,asan,$(filter-out relay/main.cpp,$(relay_sources)))
$(BUILD)/unit/lib/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call link,$@) $(AR) rcs $@ $^

$(unit_programs): $(BUILD)/unit/%: $(BUILD)/obj/asan/tests/unit/%.o $(BUILD)/unit/lib/librelay.a $(BUILD)/unit/lib/libpaysync.a
	$(call link,$@) $(CXX) -pthread -fsanitize=address,undefined $(LDFLAGS) -o $@ $^ -lgtest_main -lgtest $(pkg_libs)

# Kept: make would delete them as intermediate files of the chain above and compile them again.
.SECONDARY: $(call objects,asan,$(unit_sources))
