// What happens when PostgreSQL loads the library. It may be loaded anywhere, also deep inside a transaction.
#include "postgres.hpp"

#include "capture/relation_cache.hpp"
#include "capture/transaction_buffer.hpp"
#include "outbox/catalog.hpp"
#include "settings.hpp"

extern "C" {

PG_MODULE_MAGIC;

PGDLLEXPORT void _PG_init(void);

void _PG_init(void) {
    paysync::define_settings();
    paysync::watch_catalog();
    paysync::watch_relations();
    paysync::watch_transactions();
}
}
