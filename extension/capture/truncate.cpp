#include "capture/truncate.hpp"

#include "capture/command_order.hpp"
#include "capture/gap.hpp"
#include "capture/transaction_buffer.hpp"
#include "wire/change.hpp"

namespace paysync {
namespace {

// Truncates of the last statements of which the stream knows already. A statement fires the trigger of a table before
// those of its parts; what a user's trigger truncates comes in between.
struct Told {
    FullTransactionId xid;
    CommandId place;
    Oid registered;
};
constexpr uint32 kRemembered = 64;
Told told[kRemembered];
uint32 next_told = 0;

bool is_told(Oid registered, CommandId place) {
    const FullTransactionId xid = GetTopFullTransactionId();
    for (const Told& known : told)
        if (known.registered == registered && known.place == place && FullTransactionIdEquals(known.xid, xid))
            return true;
    return false;
}

// A savepoint that is rolled back takes what was told along, but command ids are not used twice.
void tell(Oid registered, CommandId place) {
    told[next_told++ % kRemembered] = Told{GetTopFullTransactionId(), place, registered};
}

// Whether all that inherits from `relation` is empty now, and nobody else can write to it before this transaction ends.
// So it is after TRUNCATE, but not after TRUNCATE ONLY, which locks the table alone.
bool is_empty_below(Relation relation) {
    List* const members = find_all_inheritors(RelationGetRelid(relation), NoLock, nullptr);
    bool empty = true;
    ListCell* cell = nullptr;
    foreach (cell, members) {
        const Oid member = lfirst_oid(cell);
        if (member == RelationGetRelid(relation) || get_rel_persistence(member) != RELPERSISTENCE_PERMANENT) continue;
        if (get_rel_relkind(member) != RELKIND_RELATION) continue;
        // Not waited for: who holds it against us is somebody else.
        empty = ConditionalLockRelationOid(member, AccessShareLock);
        if (!empty) break;
        const Relation open = relation_open(member, NoLock);
        empty = CheckRelationLockedByMe(open, AccessExclusiveLock, false) && RelationGetNumberOfBlocks(open) == 0;
        relation_close(open, AccessShareLock);
        if (!empty) break;
    }
    list_free(members);
    return empty;
}

void buffer_truncate(const CapturedTable& table, CommandId place) {
    ByteBuffer truncate{};
    truncate.start(CurrentMemoryContext);
    Packer packer(truncate);
    packer.pack_array(3);
    packer.pack_uint64(static_cast<uint64>(wire::Operation::kTruncate));
    packer.pack_int64(table.shape);
    packer.pack_uint64(place);
    buffer_change(truncate.bytes(), place, table.shape, table.channel);
}

}  // namespace

void capture_truncate(Relation relation, const CapturedTable& table) {
    const bool is_partitioned = relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE;
    const CommandId place = place_of_truncate();
    if (table.reports_parts) {
        // A partitioned table has no rows of its own: each partition tells for itself.
        if (!is_partitioned) buffer_truncate(table, place);
        return;
    }
    const bool was_told = is_told(table.registered, place);
    tell(table.registered, place);
    if (table.reported_as_root) {
        if (was_told) return;
        buffer_gap(table.shape, table.channel, place,
                   psprintf(relation->rd_rel->relispartition ? "partition \"%s\" was truncated"
                                                             : "inheriting table \"%s\" was truncated",
                            RelationGetRelationName(relation)));
    } else if (!is_partitioned && relation->rd_rel->relhassubclass && !is_empty_below(relation)) {
        buffer_gap(table.shape, table.channel, place,
                   psprintf("table \"%s\" was truncated without all that inherits from it",
                            RelationGetRelationName(relation)));
    } else {
        buffer_truncate(table, place);
    }
}

}  // namespace paysync
