// The kernels of one path, as a table.
#pragma once

#include "attention.h"
#include "auxiliary.h"

namespace dien::PATH::mlp {

constexpr Kernels table{attention_scratch,  auxiliary_scratch,  attention_forward,
                        attention_backward, auxiliary};

}  // namespace dien::PATH::mlp
