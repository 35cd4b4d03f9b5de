// Four lanes: what every x86-64 (SSE2) and ARM (NEON) processor has.
#define LANES 4
#define ISA plain

#include "cpu/table.h"

const dien::InstructionSet dien::isa_plain = dien::plain::table;
