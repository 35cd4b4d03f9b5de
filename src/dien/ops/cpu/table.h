// The table of one path; a path_*.cpp defines LANES and PATH, chooses instructions and includes this.
#pragma once

#include "gru/kernels.h"
#include "linear/kernels.h"
#include "mlp/kernels.h"
#include "path.h"
#include "rows/kernels.h"

namespace dien::PATH {

constexpr Path table{LANES, gru::table, linear::table, mlp::table, rows::table};

}  // namespace dien::PATH
