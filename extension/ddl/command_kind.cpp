#include "ddl/command_kind.hpp"

namespace paysync {
namespace {

// Ours, and all that sort before them.
constexpr char kLastOfOurTriggers[] = "!paysync_~";

// A table that belongs to no other cannot be part of a registered one: applications make such tables all day.
bool has_parents(const Node* command) {
    if (IsA(command, CreateStmt)) return reinterpret_cast<const CreateStmt*>(command)->inhRelations != NIL;
    if (IsA(command, CreateForeignTableStmt))
        return reinterpret_cast<const CreateForeignTableStmt*>(command)->base.inhRelations != NIL;
    return false;
}

bool any_has_parents(const CreateSchemaStmt* command) {
    ListCell* cell = nullptr;
    foreach (cell, command->schemaElts)
        if (has_parents(static_cast<const Node*>(lfirst(cell)))) return true;
    return false;
}

CommandKind kind_of_alter_table(const AlterTableStmt* command) {
    CommandKind kind{true, false, false};
    ListCell* cell = nullptr;
    foreach (cell, command->cmds) {
        const AlterTableType type = lfirst_node(AlterTableCmd, cell)->subtype;
        kind.retells = kind.retells || type == AT_AddColumn || type == AT_DropColumn;
        kind.inherits = kind.inherits || type == AT_AddInherit;
    }
    return kind;
}

}  // namespace

CommandKind kind_of_command(const Node* command) {
    constexpr CommandKind kMatters{true, false, false};
    switch (nodeTag(command)) {
        case T_CreateStmt:
        case T_CreateForeignTableStmt:
            return CommandKind{has_parents(command), false, false};
        case T_CreateSchemaStmt:
            return CommandKind{any_has_parents(reinterpret_cast<const CreateSchemaStmt*>(command)), false, false};
        case T_AlterTableStmt:
            return kind_of_alter_table(reinterpret_cast<const AlterTableStmt*>(command));
        case T_CreateTrigStmt: {
            const char* const name = reinterpret_cast<const CreateTrigStmt*>(command)->trigname;
            return CommandKind{strcmp(name, kLastOfOurTriggers) < 0, false, false};
        }
        case T_AlterEnumStmt: {
            const bool renames = reinterpret_cast<const AlterEnumStmt*>(command)->oldVal != nullptr;
            return CommandKind{renames, renames, false};
        }
        case T_ViewStmt: {  // a replaced view's row type may have more columns
            const bool replaces = reinterpret_cast<const ViewStmt*>(command)->replace;
            return CommandKind{replaces, replaces, false};
        }
        case T_IndexStmt:
            return CommandKind{reinterpret_cast<const IndexStmt*>(command)->unique, false, false};
        case T_CreateFunctionStmt:
            return CommandKind{reinterpret_cast<const CreateFunctionStmt*>(command)->replace, false, false};
        case T_RenameStmt:
        case T_AlterObjectSchemaStmt:
        case T_AlterFunctionStmt:
            return kMatters;
        default:
            return CommandKind{};
    }
}

}  // namespace paysync
