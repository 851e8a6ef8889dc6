// While a row is encoded or filtered, functions of users may run: a row filter's, an output function's. What they may
// not do is change rows that are captured, since the row that called them is half encoded.
#pragma once

namespace paysync {

// Error 55000 if called from inside such a function.
void refuse_while_called_out();

// Around what may call such functions. An error ends it with its (sub)transaction.
void begin_call_out();
void end_call_out();

// The (sub)transaction at nesting level `level`, or all from there on, was rolled back; 0: all.
void forget_call_out(int level);

}  // namespace paysync
