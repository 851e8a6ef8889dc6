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
source_dir := $(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST))))
sql_dir := $(source_dir)/../sql
sql_parts := $(sort $(wildcard $(sql_dir)/*.sql))
sql_code := $(sort $(wildcard $(sql_dir)/[3-9]*.sql))
sources := $(sort $(wildcard $(source_dir)/*.cpp $(source_dir)/*/*.cpp))
# What a database can be made with, and brought up to. Released versions are frozen; a way up is a hand-written change of the
# tables, then the parts of the script that hold code and can be run again, then what could not be done before them.
UPGRADES = 0.2.0--0.3.0
DATA_built = paysync--$(EXTVERSION).sql $(UPGRADES:%=paysync--%.sql) $(notdir $(wildcard $(sql_dir)/released/*.sql))

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
SHLIB_LINK = -Wl,--version-script=$(exports) -Wl,-z,relro,-z,now -lm

# A plain assignment would be overwritten by the server's own configuration. C++ bitcode is of no use without inlining into it.
override with_llvm = no
PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Another server, other flags or another compiler: everything is compiled again.
build_key := $(CXX) $(CXXFLAGS) $(CPPFLAGS) $(SHLIB_LINK) $(shell $(PG_CONFIG) --version) $(OBJS)
$(shell printf '%s' '$(subst ','\'',$(build_key))' | cmp -s - build.key || printf '%s' '$(subst ','\'',$(build_key))' > build.key)
$(OBJS): %.o: $(source_dir)/%.cpp build.key
	@mkdir -p $(@D)
	$(quiet)$(if $(quiet),echo "  CXX    extension/$*.cpp" &&) $(CXX) $(CXXFLAGS) $(CPPFLAGS) -c -o $@ $<
paysync.so: $(exports) build.key

paysync--$(EXTVERSION).sql: $(sql_parts) build.key
	$(quiet)cat $(sql_parts) > $@
$(UPGRADES:%=paysync--%.sql): paysync--%.sql: $(sql_dir)/upgrade/%_before.sql $(sql_code) $(sql_dir)/upgrade/%_after.sql build.key
	$(quiet)cat $(filter %.sql,$^) > $@
paysync--%.sql: $(sql_dir)/released/paysync--%.sql
	$(quiet)cp $< $@

-include $(OBJS:.o=.d)

endif
