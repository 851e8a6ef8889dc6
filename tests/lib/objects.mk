# How C++ outside the server is compiled, in three kinds: plain (what is installed), asan (unit tests), fuzz (libFuzzer).
# Objects lie in build/obj/KIND/ under their source's path, so a file needs no rule of its own.

# Evaluated once, at first use: before `make deps` there may be no pkg-config.
pkg_cflags = $(eval pkg_cflags := $$(shell pkg-config --cflags libpq libzmq spdlog libmicrohttpd | sed 's/-I/-isystem /g'))$(pkg_cflags)
pkg_libs = $(eval pkg_libs := $$(shell pkg-config --libs libpq libzmq libsystemd spdlog libmicrohttpd))$(pkg_libs)

# A component sees itself and what it may stand on, nothing else.
includes_relay := -Iextension -Irelay
includes_clients := -Iextension -Iclients/cpp
includes_extension := -Iextension
includes_tests := -Iextension -Irelay -Iclients/cpp -I.
includes = $(includes_$(firstword $(subst /, ,$(1))))

common_flags = -std=c++20 -g -pthread -DMSGPACK_NO_BOOST -DPAYSYNC_VERSION='"$(VERSION)"' $(WARNINGS) $(pkg_cflags) $(CPPFLAGS)
hardening := -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIC
flags_plain = $(common_flags) -O2 $(hardening) $(CXXFLAGS)
flags_asan = $(common_flags) -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all
flags_fuzz = $(common_flags) -O1 -fno-omit-frame-pointer -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
# $(call link,PROGRAM): what stands before a linking command, its short line instead of the command.
link = $(quiet)$(if $(quiet),echo "  LINK   $(1)" &&)
link_flags := -pthread -pie -Wl,-z,relro,-z,now -Wl,--as-needed
FUZZ_CXX ?= clang++

# $(call objects,KIND,sources): where their objects lie.
objects = $(patsubst %.cpp,$(BUILD)/obj/$(1)/%.o,$(2))

wire_sources := $(sort $(wildcard extension/wire/*.cpp))
libpaysync_sources := $(sort $(wildcard clients/cpp/*.cpp)) $(wire_sources)
cli_sources := $(sort $(wildcard clients/cli/*.cpp))
relay_sources := $(sort $(wildcard relay/*.cpp))

# $(1): kind, $(2): compiler. The key file changes with the flags, and then everything of that kind is compiled again.
define compile_kind
$(BUILD)/obj/$(1).key: FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$$(subst ','\'',$(2) $$(flags_$(1)))' | cmp -s - $$@ || printf '%s\n' '$$(subst ','\'',$(2) $$(flags_$(1)))' > $$@
$(BUILD)/obj/$(1)/%.o: %.cpp $(BUILD)/obj/$(1).key
	@mkdir -p $$(@D)
	$$(quiet)$$(if $$(quiet),echo "  CXX    $$<  ($(1))" &&) $(2) $$(flags_$(1)) $$(call includes,$$*) -MMD -MP -c -o $$@ $$<
endef
$(eval $(call compile_kind,plain,$$(CXX)))
$(eval $(call compile_kind,asan,$$(CXX)))
$(eval $(call compile_kind,fuzz,$$(FUZZ_CXX)))

-include $(foreach kind,plain asan fuzz,$(wildcard $(patsubst %.o,%.d,$(call objects,$(kind),\
	$(libpaysync_sources) $(cli_sources) $(relay_sources) $(wildcard tests/unit/*.cpp tests/fuzz/*.cpp)))))
