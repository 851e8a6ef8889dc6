// Waking the relay's backend after a commit: its latch is set, no NOTIFY, no lock.
#pragma once

#include "postgres.hpp"

namespace paysync {

// A backend that waits in next_tick(): its PGPROC's number, or -1 for none, and its process id.
struct Reader {
    int procno = -1;
    int pid = 0;
};

// Sets the reader's latch, if that process still has that PGPROC. Called in the commit callback, after the transaction
// became visible: cannot fail. A latch set for nothing costs the process that gets it one look.
inline void wake_reader(const Reader& reader) {
    if (reader.procno < 0 || reader.procno >= static_cast<int>(ProcGlobal->allProcCount)) return;
    PGPROC* const process = &ProcGlobal->allProcs[reader.procno];
    if (process->pid == reader.pid && reader.pid != MyProcPid) SetLatch(&process->procLatch);
}

}  // namespace paysync
