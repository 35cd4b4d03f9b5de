// Four lanes: what every x86-64 (SSE2) and ARM (NEON) processor has.
#define LANES 4
#define PATH plain

#include "table.h"

const dien::Path dien::path_plain = dien::plain::table;
