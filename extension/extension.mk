# The extension, built by PGXS in build/extension. Included by the top Makefile, it adds the targets extension and
# install-extension; those run this same file with PGXS in a make of its own, because PGXS claims `all`, `check` and `clean`.

ifndef IN_PGXS

.PHONY: extension install-extension
in_pgxs = $(if $(quiet),-s) --no-print-directory -C $(BUILD)/extension -f $(CURDIR)/extension/extension.mk IN_PGXS=1 \
	PG_CONFIG=$(PG_CONFIG) EXTVERSION=$(VERSION) WARNINGS='$(WARNINGS)' quiet='$(quiet)'

extension:
	@mkdir -p $(BUILD)/extension
	+@$(MAKE) $(in_pgxs) all
install-extension: extension
	+@$(MAKE) $(in_pgxs) install

else

MODULE_big = paysync
EXTENSION = paysync
DATA_built = paysync--$(EXTVERSION).sql

source_dir := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))
sql_parts := $(sort $(wildcard $(source_dir)/../sql/*.sql))
sources := $(sort $(wildcard $(source_dir)/*.cpp $(source_dir)/*/*.cpp))
OBJS = $(patsubst $(source_dir)/%.cpp,%.o,$(sources))

# -isystem: the server's headers are not ours to warn about. It must come before PGXS's -I of the same folder, which gcc then drops.
PG_CPPFLAGS = -isystem $(shell $(PG_CONFIG) --includedir-server) -I$(source_dir) -DMSGPACK_NO_BOOST \
	-DPAYSYNC_VERSION='"$(EXTVERSION)"' \
	-ffile-prefix-map=$(source_dir)/=extension/ -MMD -MP
# An ereport is a longjmp and an exception that leaves us aborts the server: the language features that need either are off.
# PostgreSQL 15 exports every symbol and leaves PGDLLEXPORT empty: hide all but what is marked, and name the marked in exports.map.
PG_CXXFLAGS = -std=c++17 -fno-exceptions -fno-rtti -fno-threadsafe-statics -fvisibility=hidden \
	'-DPGDLLEXPORT=__attribute__((visibility("default")))' -Wno-register $(WARNINGS)
exports := $(source_dir)/exports.map
SHLIB_LINK = -Wl,--version-script=$(exports) -Wl,-z,relro,-z,now

# A plain assignment would be overwritten by the server's own configuration. C++ bitcode is of no use without inlining into it.
override with_llvm = no
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Another server, other flags or another compiler: everything is compiled again.
build_key := $(CXX) $(CXXFLAGS) $(CPPFLAGS) $(shell $(PG_CONFIG) --version) $(OBJS)
$(shell printf '%s' '$(subst ','\'',$(build_key))' | cmp -s - build.key || printf '%s' '$(subst ','\'',$(build_key))' > build.key)
$(OBJS): %.o: $(source_dir)/%.cpp build.key
	@mkdir -p $(@D)
	$(quiet)$(if $(quiet),echo "  CXX    extension/$*.cpp" &&) $(CXX) $(CXXFLAGS) $(CPPFLAGS) -c -o $@ $<
paysync.so: $(exports) build.key

paysync--$(EXTVERSION).sql: $(sql_parts) build.key
	$(quiet)cat $(sql_parts) > $@

-include $(OBJS:.o=.d)

endif
