// What a DDL command may do to registered tables, by its parse tree alone: the cheap filter in front of everything
// else.
#pragma once

#include "postgres.hpp"

namespace paysync {

struct CommandKind {
    bool matters;   // it may reach a registered table, or what a row filter stands on
    bool retells;   // values of its type, or rows of its table inside others, may be written in another way
    bool inherits;  // it may make a table inherit from another
};

CommandKind kind_of_command(const Node* command);

}  // namespace paysync
