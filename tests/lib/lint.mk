# Style and static analysis: clang-format over all C++, clang-tidy, cppcheck and shellcheck. A finding fails the target.

cpp_files = $(shell find extension relay clients tests \( -name '*.cpp' -o -name '*.hpp' \) -not -path '*/build/*' | sort)
tidy_files := $(wire_sources) $(filter-out $(wire_sources),$(libpaysync_sources)) $(cli_sources) $(relay_sources)
tidy_extension_files := $(filter-out $(wire_sources),$(sort $(wildcard extension/*.cpp extension/*/*.cpp)))
shell_files = $(shell grep -rlE --include='*' '^\#!(/bin/sh|/bin/bash|/usr/bin/env bash)' .ci packaging tests)

format:
	clang-format -i $(cpp_files)
format-check:
	clang-format --dry-run --Werror $(cpp_files)

lint: lint-tidy lint-cppcheck lint-shell
.PHONY: lint-tidy lint-cppcheck lint-shell $(addprefix tidy/,$(tidy_files) $(tidy_extension_files))

lint-tidy: $(addprefix tidy/,$(tidy_files) $(tidy_extension_files))
$(addprefix tidy/,$(tidy_files)): tidy/%:
	@echo "  TIDY   $*"
	@clang-tidy --quiet $* -- $(filter-out -Werror,$(common_flags)) $(call includes,$*)
$(addprefix tidy/,$(tidy_extension_files)): tidy/%:
	@echo "  TIDY   $*"
	@clang-tidy --quiet $* -- -std=c++17 -fno-exceptions -fno-rtti -DMSGPACK_NO_BOOST -DPAYSYNC_VERSION='"$(VERSION)"' -Iextension \
		-isystem $$($(PG_CONFIG) --includedir-server) -Wno-register '-DPGDLLEXPORT=__attribute__((visibility("default")))'

# Suppressed by file, what cppcheck gets wrong: in reader.hpp the shift is by 0, 1 or 2 and the array access is an assignment's left
# side; in chunk_reader.cpp an ereport(ERROR), which does not return, guards the index.
lint-cppcheck:
	cppcheck --quiet --std=c++20 --language=c++ --enable=warning,performance,portability --inline-suppr --error-exitcode=1 \
		--suppress=missingIncludeSystem --suppress=unknownMacro --suppress=shiftNegative:extension/wire/reader.hpp \
		--suppress=signConversionCond:extension/wire/reader.hpp --suppress=constStatement:extension/wire/reader.hpp \
		--suppress=negativeIndex:extension/drain/chunk_reader.cpp -DMSGPACK_NO_BOOST -DPG_VERSION_NUM=150000 \
		-DPAYSYNC_VERSION='"$(VERSION)"' -D'PG_FUNCTION_INFO_V1(x)=' -j $(JOBS) \
		$(includes_tests) extension relay clients

lint-shell:
	shellcheck $(shell_files)
